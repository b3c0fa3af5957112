"""Takes the contact history of a phone into the registry: all of it or nothing, and the same file only once."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.orm import Session

from bztoken.errors import RegistryError
from bztoken.formats.history import HistoryLine, digest_of, read_history
from bztoken.registry import labels
from bztoken.registry.logs import KIND_PHONE, by_digest
from bztoken.registry.models import Log, Sighting
from bztoken.registry.pages import KIND_BLUEZONE

WINDOW_S = 300  # the phone app's scan cycle, and the window of a token
_ROWS_AT_ONCE = 2000


def add_history(session: Session, path: Path, label: str, now_s: int) -> tuple[Log, int]:
    """(log, lines added); 0 lines when this very file was added before, under whatever label.

    Raises FormatError, RegistryError for an empty file or a label that is none, or OSError; the caller's transaction
    must then end.
    """
    label = labels.required(label, "a contact history needs a label that says whose phone it came from")
    digest = digest_of(path)
    known = by_digest(session, digest)
    if known is not None:
        return known, 0
    log = Log(kind=KIND_PHONE, token_id=None, label=label, digest=digest, imported_at_s=now_s)
    session.add(log)
    session.flush()
    lines = _add_lines(session, log, read_history(path))
    if lines == 0:
        raise RegistryError("the contact history is empty: nothing was stored, upload it again from the phone")
    return log, lines


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
