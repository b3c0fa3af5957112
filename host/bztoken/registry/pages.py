"""Takes a token's log pages into the registry, each exactly once, in the caller's transaction.

The caller commits, and only then acknowledges to the token. Pages of version 1 and 2 are taken. Times stay as the
token's clock wrote them until `page_times` corrects them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from bztoken.crypto import aes_ecb
from bztoken.errors import PageConflict, PageDamaged
from bztoken.registry.models import Log, Page, Sighting
from bzwire import keys
from bzwire.bluezone import TX_POWER_UNKNOWN
from bzwire.errors import WireError
from bzwire.gaen import RPI_BYTES
from bzwire.page import KIND_GAEN as RECORD_KIND_GAEN
from bzwire.page import RECORD_CONNECTED, RECORD_STALE, PageHeader, Record, check_page, open_page

KIND_BLUEZONE = "bluezone"
KIND_GAEN = "gaen"
CONFLICT = (
    "page {sequence} differs from the stored page of the same number: a second device seems to have this token's "
    "identity; nothing was acknowledged, keep the token and tell the person in charge"
)
_CACHED_LOG_KEYS = 64  # a day has one key and a token is read day by day


def import_page(session: Session, log: Log, raw: bytes, first_log_key: bytes | None, now_s: int) -> bool:
    """Add a page and its sightings; True when new, False when the very same page is stored already.

    first_log_key: None where there is none, on a courier's computer: the page is kept unopened, without sightings.
    Raises PageDamaged (checksum, authentication, format) or PageConflict; then nothing may be acknowledged.
    """
    found = import_pages(session, log, [raw], first_log_key, now_s)
    if found.damaged:
        raise next(iter(found.damaged.values()))
    return found.new == 1


@dataclass
class Imported:
    """new, known: how many pages were stored now or before; damaged: what is wrong with others, by their sequence."""

    new: int = 0
    known: int = 0
    damaged: dict[int, PageDamaged] = field(default_factory=dict)


def import_pages(
    session: Session, log: Log, raws: Iterable[bytes], first_log_key: bytes | None, now_s: int
) -> Imported:
    """`import_page` for many at once, many times as fast; damaged pages are told, the others are stored.

    Raises PageConflict; then nothing may be acknowledged, and nothing of these pages may stay.
    """
    found = Imported()
    opened: list[_Opened] = []
    for raw in raws:
        try:
            opened.append(_open(raw, first_log_key))
        except _Damaged as damaged:
            found.damaged[damaged.sequence] = PageDamaged(str(damaged))
    new = _unknown(session, log, opened)
    found.known, found.new = len(opened) - len(new), len(new)
    if not new:
        return found
    connection = session.connection()
    adding = insert(Page).returning(Page.id, sort_by_parameter_order=True)
    numbers = session.scalars(adding, [_page_row(log, page, now_s) for page in new]).all()
    rows = [
        _sighting_row(log.id, number, page.header, record)
        for number, page in zip(numbers, new, strict=True)
        for record in page.records
    ]
    if rows:
        connection.execute(insert(Sighting.__table__), rows)  # type: ignore[arg-type]
    return found


def next_sequence(session: Session, log: Log) -> int:
    """The first page number that the registry lacks at the end of this log; 0 when it never had one.

    Pages that were deleted for their age count: up to `safe_sequence` all were here.
    """
    last = session.scalar(select(func.max(Page.sequence)).where(Page.log_id == log.id))
    if last is None:
        return log.safe_sequence + 1 if log.safe_sequence else 0
    return last + 1


def raw_of(session: Session, log: Log, sequence: int) -> bytes | None:
    """The page with this number, the one stored last where a token has counted anew."""
    query = select(Page.raw).where(Page.log_id == log.id, Page.sequence == sequence).order_by(Page.id.desc())
    return session.scalars(query.limit(1)).first()


@lru_cache(maxsize=_CACHED_LOG_KEYS)
def _log_key(first_log_key: bytes, number: int) -> bytes:
    return keys.next_log_key(first_log_key, number)


def _open(raw: bytes, first_log_key: bytes | None) -> "_Opened":
    sequence = 0
    try:
        header = check_page(raw)
        sequence = header.sequence
        whole = bytes(raw[: header.length])
        if first_log_key is None:
            return _Opened(header, whole, [])
        log_key = _log_key(first_log_key, header.log_key_number)
    except WireError as error:
        raise _Damaged(
            sequence, f"a log page arrived damaged ({error}); nothing of it was stored or acknowledged, read it again"
        ) from error
    try:
        return _Opened(header, whole, open_page(whole, log_key, aes_ecb)[1])
    except WireError as error:
        raise _Damaged(
            sequence,
            f"page {sequence} does not open with this token's key ({error}); nothing of it was stored or acknowledged, "
            "check that this is the registry the token belongs to",
        ) from error


class _Opened(NamedTuple):
    header: PageHeader
    raw: bytes
    records: list[Record]


class _Damaged(Exception):
    """A page that cannot be taken, and its number; 0 where not even that can be read."""

    def __init__(self, sequence: int, sentence: str) -> None:
        super().__init__(sentence)
        self.sequence = sequence


def _unknown(session: Session, log: Log, opened: Sequence[_Opened]) -> list[_Opened]:
    """Those that are not stored yet. Raises PageConflict."""
    if not opened:
        return []
    sequences = [page.header.sequence for page in opened]
    known: dict[tuple[int, int], bytes] = {
        (boot_id, sequence): raw
        for boot_id, sequence, raw in session.execute(
            select(Page.boot_id, Page.sequence, Page.raw).where(
                Page.log_id == log.id, Page.sequence >= min(sequences), Page.sequence <= max(sequences)
            )
        )
    }
    new = []
    for page in opened:
        stored = known.setdefault((page.header.boot_id, page.header.sequence), page.raw)
        if stored is page.raw:
            new.append(page)
        elif stored != page.raw:
            # To call it known would let the token delete a page that nobody has.
            raise PageConflict(CONFLICT.format(sequence=page.header.sequence))
    return new


def _page_row(log: Log, page: _Opened, now_s: int) -> dict[str, object]:
    header = page.header
    told = header.version > 1
    return {
        "log_id": log.id,
        "sequence": header.sequence,
        "boot_id": header.boot_id,
        "uptime_ms": header.uptime_ms,
        "window_start_s": header.window_start_s,
        "window_s": header.window_s,
        "scan_period_s": header.scan_period_s,
        "clock_state": header.clock_state,
        "lost_results": header.lost_results,
        "crowded": header.crowded,
        "raw": page.raw,
        "received_at_s": now_s,
        "version": header.version,
        "listened_ds": header.listened_ds if told else None,
        "page_state": header.state if told else None,
    }


def _sighting_row(log_id: int, page_id: int, header: PageHeader, record: Record) -> dict[str, object]:
    gaen = record.kind == RECORD_KIND_GAEN
    return {
        "log_id": log_id,
        "page_id": page_id,
        "kind": KIND_GAEN if gaen else KIND_BLUEZONE,
        "rotating_id": record.rotating_id[:RPI_BYTES],
        "aem": record.rotating_id[RPI_BYTES:] if gaen else None,
        "first_s": header.window_start_s + record.first_s,
        "last_s": header.window_start_s + record.last_s,
        "window_start_s": header.window_start_s,
        "packets": record.packets,
        "scans": record.scans,
        "scan_period_s": header.scan_period_s,
        "rssi_max_dbm": record.rssi_max_dbm,
        "rssi_mean_dbm": record.rssi_mean_dbm,
        "tx_power_dbm": None if record.tx_power_dbm == TX_POWER_UNKNOWN else record.tx_power_dbm,
        "stale": bool(record.flags & RECORD_STALE),
        "connected": bool(record.flags & RECORD_CONNECTED),
    }
