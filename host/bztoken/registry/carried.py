"""Pages on a courier's computer: which of them a bundle holds already, and when they are deleted here."""

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session

from bztoken.registry import events
from bztoken.registry.models import ClockPoint, Page, Sync, Token, TokenEvent
from bzwire.bluezone import DAY_S

KEPT_DAYS = 21  # as long as a token keeps its own
EXPORTED = "exported"


def exported_at_s(session: Session) -> int:
    """When the last bundle was written; 0: never."""
    return session.scalar(select(func.max(TokenEvent.at_s)).where(TokenEvent.event == EXPORTED)) or 0


def last_row(session: Session) -> int:
    """The number of the last page's row."""
    return session.scalar(select(func.max(Page.id))) or 0


def note_exported(session: Session, token_ids: list[int], row: int, now_s: int) -> None:
    """A bundle holds every page up to this row now, and something of these tokens."""
    session.execute(update(Page).where(Page.id <= row).values(bundled=True))
    for token_id in token_ids:
        events.record(session, session.get_one(Token, token_id), EXPORTED, now_s)


def forget_exported(session: Session) -> int:
    """Delete the pages that a bundle holds; how many. The last one of each token stays: it says where to read on."""
    last_of_each = select(func.max(Page.id)).group_by(Page.log_id)
    return _delete_pages(session, Page.bundled.is_(True), Page.id.not_in(last_of_each))


def delete_old_once_a_day(session: Session, now_s: int) -> None:
    """`delete_old` at the first sync of a UTC day, before that is recorded: it reads every page that is here."""
    latest_s = session.scalar(select(func.max(Sync.started_s)))
    if latest_s is None or latest_s < now_s - now_s % DAY_S:
        delete_old(session, now_s)


def delete_old(session: Session, now_s: int) -> int:
    """Delete what has been here for `KEPT_DAYS`, and pages that were heard so long ago if a bundle holds them.

    Not by the token's own time alone: its clock may have been wrong.
    """
    before_s = now_s - KEPT_DAYS * DAY_S
    heard_and_carried = (Page.window_start_s < before_s) & Page.bundled
    gone = _delete_pages(session, or_(Page.received_at_s < before_s, heard_and_carried))
    session.execute(delete(Sync).where(Sync.started_s < before_s))
    session.execute(delete(ClockPoint).where(ClockPoint.at_ms < before_s * 1000))
    return gone


def _delete_pages(session: Session, *which: ColumnElement[bool]) -> int:
    session.connection().exec_driver_sql("PRAGMA secure_delete = ON").close()
    gone = session.scalar(select(func.count(Page.id)).where(*which)) or 0
    session.execute(delete(Page).where(*which))
    return gone
