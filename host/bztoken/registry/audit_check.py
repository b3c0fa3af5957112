"""Is the audit as it was written? Walks its chain from the first entry, then holds the end against the anchor.

Reads the rows as the database has them, so that an edit that no row of ours could hold is found as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from bztoken.errors import BztokenError
from bztoken.home import Home
from bztoken.registry import audit, audit_head
from bztoken.registry.audit import Said
from bztoken.registry.audit_head import Head

MOST_FAULTS = 20
_WORDS = ("by", "role", "action", "what", "detail")
# Words as bytes: a text that was cut in the middle of a letter must not keep the others from being read.
_COLUMNS = ", ".join(
    f'CAST("{name}" AS BLOB), typeof("{name}")' if name in _WORDS else f'"{name}"' for name in Said._fields
)
_QUERY = f"SELECT {_COLUMNS}, digest FROM audit ORDER BY id"
_AT_ONCE = 1000


@dataclass
class Verified:
    """faults: sentences, each with the number of the entry; head: the last entry; anchor: what the file knows."""

    entries: int = 0
    head: Head = audit_head.NOTHING_YET
    anchor: Head | None = None
    faults: list[str] = field(default_factory=list)


def verify(home: Home, session: Session) -> Verified:
    """The chain and its anchor. Raises OSError; what is wrong is in the answer."""
    found = Verified()
    digests: dict[int, bytes] = {}
    try:
        found.anchor = audit_head.read(home)
    except BztokenError as error:
        found.faults.append(str(error))
    else:
        if found.anchor is None:
            found.faults.append(f"{audit_head.NAME} is missing: whether entries are missing at the end is not known")
    wanted = None if found.anchor is None else found.anchor.number
    for said, digest in _rows(session):
        found.faults += _faults_of(said, digest, found.head)
        if said.id == wanted:
            digests[said.id] = digest
        found.entries, found.head = found.entries + 1, Head(said.id, digest)
    if found.anchor is not None:
        found.faults += _faults_at_the_end(found.anchor, found.head, digests)
    more = len(found.faults) - MOST_FAULTS
    if more > 0:
        found.faults[MOST_FAULTS:] = [f"and {more} more"]
    return found


def _rows(session: Session) -> Iterator[tuple[Said, bytes]]:
    cursor = session.connection().exec_driver_sql(_QUERY)
    while rows := cursor.fetchmany(_AT_ONCE):
        for row in rows:
            yield _read(row)


def _read(row: Any) -> tuple[Said, bytes]:
    cells = iter(row)
    values = [_word(next(cells), next(cells)) if name in _WORDS else next(cells) for name in Said._fields]
    return Said(*values), next(cells)


def _word(cell: Any, kind: str) -> Any:
    """A text; anything else, which an entry never has there, as bytes, which no digest is made of."""
    if kind != "text":
        return cell
    try:
        return cell.decode()
    except UnicodeDecodeError:
        return cell


def _faults_of(said: Said, digest: Any, before: Head) -> Iterator[str]:
    expected = before.number + 1
    if said.id != expected:
        missing = f"entry {expected} is" if said.id == expected + 1 else f"entries {expected} to {said.id - 1} are"
        yield f"{missing} missing" if said.id > expected else f"entry {said.id} was not written by this program"
    if not _is_intact(said, digest):
        yield f"entry {said.id} was changed"
    elif said.id == expected and said.previous != before.digest:
        yield f"entry {said.id} does not follow the one before: it, or entry {before.number}, is not what was written"


def _is_intact(said: Said, digest: Any) -> bool:
    try:
        return bool(digest == audit.digest_of(said))
    except (TypeError, AttributeError, ValueError):  # a cell of a kind that no entry has
        return False


def _faults_at_the_end(anchor: Head, last: Head, digests: dict[int, bytes]) -> Iterator[str]:
    if anchor.number > last.number:
        missing = f"entries {last.number + 1} to {anchor.number} are"
        if anchor.number == last.number + 1:
            missing = f"entry {anchor.number} is"
        yield f"{missing} missing at the end; or a restore was interrupted, which `bztoken db restore` finishes"
    elif anchor.number and digests.get(anchor.number) != anchor.digest:
        yield f"entry {anchor.number} is not the one that was written: {audit_head.NAME} knows another"
