"""Takes a token's log pages into the registry, each exactly once, in the caller's transaction.

The caller commits, and only then acknowledges to the token. Pages of version 1 and 2 are taken. Times stay as the
token's clock wrote them; pages of a clock that was never set therefore lie in 1970 and match nobody until they are
corrected.
"""

from functools import lru_cache

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
_CACHED_LOG_KEYS = 64  # a day has one key and a token is read day by day


def import_page(session: Session, log: Log, raw: bytes, first_log_key: bytes, now_s: int) -> bool:
    """Add a page and its sightings; True when new, False when the very same page is stored already.

    Raises PageDamaged (checksum, authentication, format) or PageConflict; then nothing may be acknowledged.
    """
    header, records = _open(raw, first_log_key)
    raw = bytes(raw[: header.length])
    if _is_known(session, log, header, raw):
        return False
    page = _page_row(log, header, raw, now_s)
    session.add(page)
    session.flush()
    if records:
        session.execute(insert(Sighting), [_sighting_row(page, header, record) for record in records])
    return True


def next_sequence(session: Session, log: Log) -> int:
    """The first page number that the registry lacks at the end of this log; 0 when it has none."""
    last = session.scalar(select(func.max(Page.sequence)).where(Page.log_id == log.id))
    return 0 if last is None else last + 1


@lru_cache(maxsize=_CACHED_LOG_KEYS)
def _log_key(first_log_key: bytes, number: int) -> bytes:
    return keys.next_log_key(first_log_key, number)


def _open(raw: bytes, first_log_key: bytes) -> tuple[PageHeader, list[Record]]:
    try:
        header = check_page(raw)
    except WireError as error:
        raise PageDamaged(
            f"a log page arrived damaged ({error}); nothing of it was stored or acknowledged, read it again"
        ) from error
    try:
        return open_page(raw, _log_key(first_log_key, header.log_key_number), aes_ecb)
    except WireError as error:
        raise PageDamaged(
            f"page {header.sequence} does not open with this token's key ({error}); nothing of it was stored or "
            "acknowledged, check that this is the registry the token belongs to"
        ) from error


def _is_known(session: Session, log: Log, header: PageHeader, raw: bytes) -> bool:
    stored = session.scalar(
        select(Page.raw).where(Page.log_id == log.id, Page.boot_id == header.boot_id, Page.sequence == header.sequence)
    )
    if stored is not None and stored != raw:
        # To call it known would let the token delete a page that nobody has.
        raise PageConflict(
            f"page {header.sequence} differs from the stored page of the same number; nothing was acknowledged, keep "
            "the token and ask for help"
        )
    return stored is not None


def _page_row(log: Log, header: PageHeader, raw: bytes, now_s: int) -> Page:
    told = header.version > 1
    return Page(
        log_id=log.id,
        sequence=header.sequence,
        boot_id=header.boot_id,
        uptime_ms=header.uptime_ms,
        window_start_s=header.window_start_s,
        window_s=header.window_s,
        scan_period_s=header.scan_period_s,
        clock_state=header.clock_state,
        lost_results=header.lost_results,
        crowded=header.crowded,
        raw=raw,
        received_at_s=now_s,
        version=header.version,
        listened_ds=header.listened_ds if told else None,
        page_state=header.state if told else None,
    )


def _sighting_row(page: Page, header: PageHeader, record: Record) -> dict[str, object]:
    gaen = record.kind == RECORD_KIND_GAEN
    return {
        "log_id": page.log_id,
        "page_id": page.id,
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
