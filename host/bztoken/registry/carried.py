"""Pages on a courier's computer: which of them a bundle holds already, and when they are deleted here.

How far bundles have come is an event of the tokens: the number of a page's row. Numbers of rows are given out again
when the last rows are deleted, so whatever deletes rows puts that back too.
"""

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from bztoken.registry import events
from bztoken.registry.models import ClockPoint, Page, Sync, Token, TokenEvent
from bzwire.bluezone import DAY_S

KEPT_DAYS = 21  # as long as a token keeps its own
EXPORTED = "exported"


def exported_to(session: Session) -> int:
    """The last row that a bundle holds; 0: none does."""
    query = select(TokenEvent.detail).where(TokenEvent.event == EXPORTED).order_by(TokenEvent.id.desc()).limit(1)
    return int(session.scalar(query) or 0)


def exported_at_s(session: Session) -> int:
    """When the last bundle was written; 0: never."""
    return session.scalar(select(func.max(TokenEvent.at_s)).where(TokenEvent.event == EXPORTED)) or 0


def last_row(session: Session) -> int:
    """The number of the last page's row."""
    return session.scalar(select(func.max(Page.id))) or 0


def note_exported(session: Session, token: Token, row: int, now_s: int) -> None:
    """A bundle holds everything up to this row now."""
    events.record(session, token, EXPORTED, now_s, str(row))


def forget_exported(session: Session, now_s: int) -> int:
    """Delete the pages that a bundle holds; how many. The last one of each token stays: it says where to read on."""
    last_of_each = select(func.max(Page.id)).group_by(Page.log_id)
    return _delete_pages(session, now_s, Page.id <= exported_to(session), Page.id.not_in(last_of_each))


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
    heard_and_carried = (Page.window_start_s < before_s) & (Page.id <= exported_to(session))
    gone = _delete_pages(session, now_s, or_(Page.received_at_s < before_s, heard_and_carried))
    session.execute(delete(Sync).where(Sync.started_s < before_s))
    session.execute(delete(ClockPoint).where(ClockPoint.at_ms < before_s * 1000))
    return gone


def _delete_pages(session: Session, now_s: int, *which: object) -> int:
    connection = session.connection()
    connection.exec_driver_sql("PRAGMA secure_delete = ON").close()
    before = session.scalar(select(func.count(Page.id))) or 0
    session.execute(delete(Page).where(*which))  # type: ignore[arg-type]
    after = session.scalar(select(func.count(Page.id))) or 0
    token = session.scalars(select(Token).limit(1)).first()
    if token is not None and last_row(session) < exported_to(session):
        note_exported(session, token, last_row(session), now_s)
    return before - after
