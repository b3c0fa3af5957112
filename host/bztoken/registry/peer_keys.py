"""Keys of devices that are no case, released at their buttons: of site tokens, so that visits show, and of contacts
(F1) of a case, so that their own contacts (F2) can be found. Whoever reads keys here matches, never prints.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.formats.tracing_key import TracingKey
from bztoken.registry.key_rows import columns_of, key_of
from bztoken.registry.models import Case, Log, PeerKey

PURPOSE_SITE = "site"
PURPOSE_CONTACT = "contact"


@dataclass(frozen=True)
class Released:
    """What one device released for one purpose. first_s, last_s: the time that its keys cover."""

    log_id: int
    label: str
    purpose: str
    case: str | None
    keys: int
    first_s: int
    last_s: int
    released_at_s: int


def store(
    session: Session, log: Log, purpose: str, case: Case | None, keys: Sequence[TracingKey], now_s: int
) -> tuple[int, int]:
    """(new keys, keys that were here and now reach longer). A key is here once for a log and a case."""
    case_id = None if case is None else case.id
    known = {
        row.day_key: row
        for row in session.scalars(select(PeerKey).where(PeerKey.log_id == log.id, PeerKey.case_id.is_(case_id)))
    }
    added = longer = 0
    for key in keys:
        row = known.get(key.key)
        if row is None:
            session.add(_row(log, purpose, case_id, key, now_s))
            added += 1
        elif key.time_end_s > row.time_end_s:
            row.time_start_s, row.time_end_s = key.time_start_s, key.time_end_s
            row.uncertainty_s, row.released_at_s = key.uncertainty_s, now_s
            longer += 1
    session.flush()
    return added, longer


def of_sites(session: Session) -> list[tuple[int, TracingKey]]:
    """(log, key) of every site's token."""
    query = select(PeerKey).where(PeerKey.purpose == PURPOSE_SITE).order_by(PeerKey.id)
    return [(row.log_id, key_of(row)) for row in session.scalars(query)]


def of_contacts(session: Session) -> list[tuple[int, int, TracingKey]]:
    """(log, case, key) of every contact that released its keys for a case."""
    query = select(PeerKey).where(PeerKey.purpose == PURPOSE_CONTACT).order_by(PeerKey.id)
    return [(row.log_id, row.case_id, key_of(row)) for row in session.scalars(query) if row.case_id is not None]


def of_log(session: Session, log: Log) -> list[TracingKey]:
    """Every key of one device that was released for whatever purpose."""
    return [key_of(row) for row in session.scalars(select(PeerKey).where(PeerKey.log_id == log.id))]


def all_released(session: Session) -> list[Released]:
    """What was released, by device, purpose and case; never keys."""
    query = (
        select(
            Log.id,
            Log.label,
            PeerKey.purpose,
            Case.name,
            func.count(PeerKey.id),
            func.min(PeerKey.time_start_s),
            func.max(PeerKey.time_end_s),
            func.max(PeerKey.released_at_s),
        )
        .join(Log, Log.id == PeerKey.log_id)
        .outerjoin(Case, Case.id == PeerKey.case_id)
        .group_by(Log.id, PeerKey.purpose, PeerKey.case_id)
        .order_by(PeerKey.purpose, Log.label)
    )
    return [Released(*row) for row in session.execute(query)]


def _row(log: Log, purpose: str, case_id: int | None, key: TracingKey, now_s: int) -> PeerKey:
    return PeerKey(log_id=log.id, purpose=purpose, case_id=case_id, released_at_s=now_s, **columns_of(key))
