"""The roll-out report: what it is about (`Scope`), and its figures as they are counted from the registry's rows.

It names units and counts, never a person or a token. Cases and contacts are given for the whole registry alone: in a
commune with one case, a figure would tell who it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy.orm import Session

from bztoken.calendar_days import day_of
from bztoken.errors import ReportError
from bztoken.registry import audit
from bztoken.registry.audit import Action, What
from bztoken.report.rollout_cases import Tracing, tracing
from bztoken.report.rollout_figures import Flows, Stock, Unit, flows, stock, total_of
from bztoken.report.rollout_holdings import holdings
from bztoken.report.rollout_scope import Scope
from bztoken.report.rollout_units import by_agency, by_commune, by_site_kind

# What tokens did is kept for 14 days (`bztoken purge`): the week before an older day is no longer whole.
MOST_DAYS_BACK = 7


@dataclass(frozen=True)
class Rollout:
    """Everything that the report tells. total: of all tokens that somebody or some place has; made_at_s: unix time."""

    scope: Scope
    made_at_s: int
    stock: Stock
    flows: Flows
    total: Unit
    communes: Sequence[Unit]
    agencies: Sequence[Unit]
    site_kinds: Sequence[Unit]
    tracing: Tracing


def scope_of(day: date | None, first: date | None, last: date | None, now_s: int) -> Scope:
    """What a report is about. day: as of the end of which day, None: today; first, last: the days in which cases were
    recorded and tokens went out and came back, None: from the beginning, to `day`.

    Raises ReportError: a day to come, one of which too little is kept, days in the wrong order.
    """
    today = day_of(now_s)
    day = day or today
    last = last or day
    if day > today:
        raise ReportError(f"{day} is yet to come: nothing was written; give a day up to today, {today}")
    if day < today - timedelta(days=MOST_DAYS_BACK):
        raise ReportError(
            f"what tokens did in the week before {day} is deleted by now, in part or all, and a report would tell too "
            f"little: nothing was written; give a day from {today - timedelta(days=MOST_DAYS_BACK)} on, for older ones "
            "keep the files"
        )
    if last > day:
        raise ReportError(
            f"the period ends after {day}, the day of the report: nothing was written; give an earlier --to"
        )
    if first is not None and first > last:
        raise ReportError(
            f"the period would end on {last}, before it begins: nothing was written; turn the days around"
        )
    return Scope(day, first, last)


def collect(session: Session, scope: Scope, now_s: int) -> Rollout:
    """Count everything; some twenty queries, whatever the number of tokens."""
    held = holdings(session, scope)
    communes = by_commune(session, scope, held)
    return Rollout(
        scope,
        now_s,
        stock(held),
        flows(session, scope),
        total_of(communes),
        communes,
        by_agency(session, scope, held),
        by_site_kind(session, held),
        tracing(session, scope),
    )


def record(session: Session, scope: Scope, now_s: int, form: str | None) -> None:
    """Tell the audit that somebody made the report, or looked at it; form: of the file, None for a look."""
    action = Action.LOOK if form is None else Action.EXPORT
    detail = f"roll-out of {scope.day}" + ("" if form is None else f" as {form}")
    audit.record(session, action, What.REPORT, now_s, detail=detail)
