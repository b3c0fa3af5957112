"""What is past its time leaves the registry: once a day by itself, or when somebody asks; rules in `retention.toml`.

A clock that is wrong by months must not take everything with it: then nothing is deleted unless somebody insists.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.calendar_days import day_of
from bztoken.errors import RegistryError
from bztoken.people.person_rights import due_for_erasure, erase_rows, forget_what_came_since
from bztoken.people.retention_rules import Rules, rules
from bztoken.registry import audit, events, purging
from bztoken.registry.audit import Action, What
from bztoken.registry.database import Registry
from bztoken.registry.models import Page, Setting, Sync
from bztoken.registry.purging import Floors, Gone, floor_s
from bzwire.bluezone import DAY_S

LAST_PURGE = "last_purge_s"


@dataclass(frozen=True)
class Purged:
    """rows: how many went, by table; persons: how many were erased, who had withdrawn. Heard before the floors is gone.

    log_problem: why what was deleted is still in the database's log, None when it is not.
    """

    rows: dict[str, int] = field(default_factory=dict)
    persons: int = 0
    floors: Floors = Floors(0, 0)
    log_problem: str | None = None

    @property
    def is_something(self) -> bool:
        """Whether anything went at all."""
        return any(self.rows.values()) or self.persons > 0


def purge(registry: Registry, now_s: int, *, insist: bool = False) -> Purged:
    """Delete what is past its time: rows in one transaction, then their traces in the file and its log.

    insist: whatever the clock says. Raises RegistryError when this computer's clock may be wrong, or the registry
    cannot be written; then nothing was deleted.
    """
    done = _purge_rows(registry, now_s, insist)
    try:
        registry.compact()
    except RegistryError as error:
        return Purged(done.rows, done.persons, done.floors, str(error))
    return done


def purge_when_due(registry: Registry, now_s: int) -> Purged | None:
    """`purge` at the first call of a UTC day, None at the others; the file is not written anew, since what is deleted
    is overwritten where it stands. Raises as `purge` does.
    """
    with registry.read() as session:
        last_s = _last_purge_s(session)
    if last_s is not None and last_s // DAY_S == now_s // DAY_S:
        return None
    done = _purge_rows(registry, now_s, insist=False)
    if done.is_something:
        try:
            registry.empty_log()
        except RegistryError as error:
            return Purged(done.rows, done.persons, done.floors, str(error))
    return done


def _purge_rows(registry: Registry, now_s: int, insist: bool) -> Purged:
    rule = rules()
    floors = Floors(floor_s(now_s, rule.person_days), floor_s(now_s, rule.site_days))
    with registry.write() as session:
        if not insist:
            _require_likely(session, now_s, rule)
        gone: Gone = Counter()
        due = due_for_erasure(session, now_s - rule.erase_after_days * DAY_S)
        for person in due:
            gone += erase_rows(session, person, now_s).rows
        gone += forget_what_came_since(session)
        gone += purging.old_cases(session, _day(now_s - rule.case_days * DAY_S), now_s)
        gone += purging.drafts(session, now_s - rule.draft_days * DAY_S, now_s)
        gone += purging.codes(session, now_s - rule.code_days * DAY_S)
        gone += purging.encounters(session, floors, now_s)
        gone += purging.keys_and_readings(session, floors)
        _note(session, now_s, gone)
    return Purged({name: gone[name] for name in sorted(gone) if gone[name]}, len(due), floors)


def _require_likely(session: Session, now_s: int, rule: Rules) -> None:
    """Raises RegistryError when the time is much later than anything that this registry knows of."""
    known_s = _last_purge_s(session) or _newest_s(session)
    if known_s is None or now_s - known_s <= rule.most_days_since_last * DAY_S:
        return
    raise RegistryError(
        f"this computer says it is {day_of(now_s)}, and nothing was heard or purged here since {day_of(known_s)}: "
        "nothing was deleted; look at date and time, and if they are right run `bztoken purge --yes`"
    )


def _last_purge_s(session: Session) -> int | None:
    row = session.get(Setting, LAST_PURGE)
    return None if row is None else int(row.value)


def _newest_s(session: Session) -> int | None:
    """When something was read from a token last."""
    received_s = session.scalar(select(func.max(Page.received_at_s)))
    synced_s = session.scalar(select(func.max(Sync.started_s)))
    return max(received_s or 0, synced_s or 0) or None


def _note(session: Session, now_s: int, gone: Gone) -> None:
    """When, and what: the audit tells of a purge that deleted something."""
    row = session.get(Setting, LAST_PURGE)
    if row is None:
        session.add(Setting(name=LAST_PURGE, value=str(now_s), changed_at_s=now_s, by=events.by_now()))
    else:
        row.value, row.changed_at_s, row.by = str(now_s), now_s, events.by_now()
    if any(gone.values()):
        detail = ", ".join(f"{count} {name}" for name, count in sorted(gone.items()) if count)
        audit.record(session, Action.PURGE, What.REGISTRY, now_s, detail=detail)


def _day(unix_s: int) -> date:
    return datetime.fromtimestamp(unix_s, UTC).date()
