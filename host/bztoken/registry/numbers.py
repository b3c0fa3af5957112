"""Numbers of rows that people and the audit name: never given twice, also when the row that had the highest is gone.

(SQLite gives the number of a deleted last row again.)
"""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.registry import events
from bztoken.registry.models import Case, FollowUp, Person, Setting

Numbered = type[Person] | type[Case] | type[FollowUp]


def fresh(session: Session, table: Numbered) -> int:
    """One that no row of this table has or had."""
    retired = session.get(Setting, _name(table))
    return max(_highest(session, table), 0 if retired is None else int(retired.value)) + 1


def retire(session: Session, table: Numbered, now_s: int) -> None:
    """Rows of this table are about to be deleted: remember which number was the highest."""
    highest, row = _highest(session, table), session.get(Setting, _name(table))
    if row is None:
        session.add(Setting(name=_name(table), value=str(highest), changed_at_s=now_s, by=events.by_now()))
    else:
        row.value = str(max(highest, int(row.value)))
    session.flush()


def _highest(session: Session, table: Numbered) -> int:
    return session.scalar(select(func.max(table.id))) or 0


def _name(table: Numbered) -> str:
    return f"last number of {table.__tablename__}"
