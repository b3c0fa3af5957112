"""Days that a batch has matched, until it is whole: a batch that was stopped goes on from there.

They say who was near whom, so they go when the batch is stored, and whenever anything is taken away from a registry.
"""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from bztoken.registry.models import MatchedDay


def found_on(session: Session, day: int, mark: bytes) -> bytes | None:
    """What was found, if it rests on what there is now."""
    return session.scalar(select(MatchedDay.found).where(MatchedDay.day == day, MatchedDay.mark == mark))


def keep(session: Session, day: int, mark: bytes, found: bytes, now_s: int) -> None:
    """In place of what was kept of that day before."""
    session.execute(delete(MatchedDay).where(MatchedDay.day == day))
    session.add(MatchedDay(day=day, mark=mark, found=found, matched_at_s=now_s))


def forget(session: Session) -> None:
    """All of them."""
    session.execute(delete(MatchedDay))
