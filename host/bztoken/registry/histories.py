"""Takes the contact history of a phone into the registry: all of it or nothing, and the same file only once."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from sqlalchemy import delete, insert, or_, select
from sqlalchemy.orm import Session

from bztoken.errors import FormatError, RegistryError
from bztoken.formats.history import HistoryLine, digest_of, read_history
from bztoken.registry import labels, matched_days
from bztoken.registry.logs import KIND_PHONE, by_digest
from bztoken.registry.models import Exposure, FollowUp, Log, PeerKey, Sighting, Visit
from bztoken.registry.pages import KIND_BLUEZONE
from bzwire.bluezone import DAY_S

WINDOW_S = 300  # the phone app's scan cycle, and the window of a token
_ROWS_AT_ONCE = 2000


def add_history(session: Session, path: Path, label: str, now_s: int, person_id: int | None = None) -> tuple[Log, int]:
    """(log, lines added); 0 lines when this very file was added before, under whatever label.

    person_id: whose phone it is; said of a known file, it is added to it. Raises FormatError, also for a history from
    the future, RegistryError for an empty file, a label that is none or a phone that is another person's, or OSError;
    the caller's transaction must then end.
    """
    label = labels.required(label, "a contact history needs a label that says whose phone it came from")
    digest = digest_of(path)
    known = by_digest(session, digest)
    if known is not None:
        _belongs(known, person_id)
        return known, 0
    log = Log(kind=KIND_PHONE, token_id=None, label=label, digest=digest, imported_at_s=now_s, person_id=person_id)
    session.add(log)
    session.flush()
    lines = _add_lines(session, log, _past(path, now_s))
    if lines == 0:
        raise RegistryError("the contact history is empty: nothing was stored, upload it again from the phone")
    return log, lines


def forget(session: Session, log_id: int) -> None:
    """Delete what a phone's history said and what was found from it; the row of a phone that other cases' contacts are
    about stays, for they are to be told.
    """
    matched_days.forget(session)
    for table in (Sighting, PeerKey, Visit):
        session.execute(delete(table).where(table.log_id == log_id))
    session.execute(delete(Exposure).where(or_(Exposure.log_id == log_id, Exposure.via_log_id == log_id)))
    session.execute(delete(Log).where(Log.id == log_id, Log.id.not_in(select(FollowUp.log_id))))


def require_past(path: Path, number: int, line: HistoryLine, now_s: int) -> None:
    """Raises FormatError for a line that is more than a day ahead of our clock: a phone's may be somewhat off."""
    if line.unix_ms // 1000 > now_s + DAY_S:
        raise FormatError(
            path,
            number,
            "the contact is of the future: nothing was stored, look at the clock of this computer and of the phone",
        )


def _past(path: Path, now_s: int) -> Iterator[HistoryLine]:
    """The lines of a history that is none from the future."""
    for number, line in enumerate(read_history(path), 1):
        require_past(path, number, line, now_s)
        yield line


def _belongs(log: Log, person_id: int | None) -> None:
    if person_id is None or log.person_id == person_id:
        return
    if log.person_id is not None:
        raise RegistryError("this file is in the registry already, as that of another person: nothing was changed")
    log.person_id = person_id


def _add_lines(session: Session, log: Log, lines: Iterator[HistoryLine]) -> int:
    added = 0
    while rows := [_sighting_row(log, line) for line in islice(lines, _ROWS_AT_ONCE)]:
        session.execute(insert(Sighting), rows)
        added += len(rows)
    return added


def _sighting_row(log: Log, line: HistoryLine) -> dict[str, object]:
    seen_s = line.unix_ms // 1000
    return {
        "log_id": log.id,
        "page_id": None,
        "kind": KIND_BLUEZONE,
        "rotating_id": line.contact_id,
        "first_s": seen_s,
        "last_s": seen_s,
        "window_start_s": seen_s - seen_s % WINDOW_S,
        "packets": 1,
        "scans": 1,
        "scan_period_s": 0,  # a phone does not say how long a line stands for: the rule decides
        "rssi_max_dbm": line.rssi_dbm,
        "rssi_mean_dbm": line.rssi_dbm,
        "tx_power_dbm": None,
        "aem": None,
        "stale": False,
        "connected": False,
    }
