"""Every token that somebody, or some place, has on the day of the report, and how it is: one row a token, no names."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session

from bztoken.registry import events, losses, syncs, tokens
from bztoken.registry.folding import folded
from bztoken.registry.models import Log, Site, Sync, Token, TokenEvent, TokenIssue
from bztoken.report.rollout_scope import Scope
from bztoken.token_status import Battery

WEAK = frozenset({Battery.LOW, Battery.SAVING, Battery.EMPTY})
_KNOWN = WEAK | {Battery.GOOD}
# What decides whether a token is believed; one that was lost and came back stays revoked, but is not lost (`losses`).
_DECIDES = (events.REVOKED, events.RESTORED, events.FOUND, events.WIPED)
_DECIDES_LOSS = (*_DECIDES, events.RETURNED)


class Condition(StrEnum):
    """How a token is; each is in one of these."""

    ACTIVE = "active"  # synced or seen within the seven days
    SILENT = "silent"
    LOST = "lost"


@dataclass(frozen=True)
class Holding:
    """One token. person_id, site_id: who has it, both None for a place that is not registered, or a person who was
    erased; is_held: somebody has it; is_synced: its log came in whole within the seven days; is_weak: its battery,
    None while it never told, or has none; is_revoked: not believed, for another reason than its loss.
    """

    is_held: bool
    at_site: bool
    person_id: int | None
    site_id: int | None
    condition: Condition
    is_revoked: bool
    is_synced: bool
    is_weak: bool | None


@dataclass(frozen=True)
class _Known:
    """By the rows of tokens, but `synced` and `batteries` by those of logs."""

    issues: dict[int, tuple[str, int | None, int | None]]
    issued_ever: set[int]
    revoked: set[int]
    lost: set[int]
    seen_s: dict[int, int]
    synced: set[int]
    batteries: dict[int, int]
    site_ids: dict[str, int]


def holdings(session: Session, scope: Scope) -> list[Holding]:
    """All tokens that were ready to be handed out by then and have not been wiped since."""
    known = _Known(
        _open_issues(session, scope),
        set(session.scalars(select(TokenIssue.token_id).where(TokenIssue.issued_at_s < scope.end_s))),
        set(_revoked(session, scope, _DECIDES)),
        {one for one, why in _revoked(session, scope, _DECIDES_LOSS).items() if why in losses.REASONS},
        _seen(session, scope),
        _synced(session, scope),
        _batteries(session, scope),
        {folded(name): site_id for site_id, name in session.execute(select(Site.id, Site.name))},
    )
    columns = (Token.id, Log.id, Token.role, Token.place, Token.last_seen_s)
    query = select(*columns).join(Log, Log.token_id == Token.id).where(Token.provisioned_at_s < scope.end_s)
    query = query.where(Token.state.not_in((tokens.STATE_PENDING, tokens.STATE_WIPED))).order_by(Token.id)
    return [_holding(scope, known, *row) for row in session.execute(query)]


def _holding(
    scope: Scope, known: _Known, token_id: int, log_id: int, role: str, place: str | None, last_seen_s: int | None
) -> Holding:
    kind, person_id, site_id = known.issues.get(token_id, (None, None, None))
    stands = kind is None and role == tokens.ROLE_SITE and place is not None and token_id not in known.issued_ever
    if stands:  # provisioned for its place, and never handed out by an issue
        site_id = known.site_ids.get(folded(place or ""))
    seen_s = known.seen_s.get(log_id, 0)
    if last_seen_s is not None and last_seen_s < scope.end_s:
        seen_s = max(seen_s, last_seen_s)
    is_lost = token_id in known.lost
    is_revoked = token_id in known.revoked and not is_lost
    is_active = seen_s >= scope.week_s and not is_revoked
    battery = known.batteries.get(log_id, Battery.UNKNOWN)
    return Holding(
        is_held=kind is not None or stands,
        at_site=stands or site_id is not None,
        person_id=person_id,
        site_id=site_id,
        condition=Condition.LOST if is_lost else Condition.ACTIVE if is_active else Condition.SILENT,
        is_revoked=is_revoked,
        is_synced=log_id in known.synced and is_active and not is_lost,
        is_weak=battery in WEAK if battery in _KNOWN else None,
    )


def _open_issues(session: Session, scope: Scope) -> dict[int, tuple[str, int | None, int | None]]:
    """(kind, person, site) by token."""
    query = select(TokenIssue.token_id, TokenIssue.holder_kind, TokenIssue.person_id, TokenIssue.site_id).where(
        TokenIssue.issued_at_s < scope.end_s,
        or_(TokenIssue.returned_at_s.is_(None), TokenIssue.returned_at_s >= scope.end_s),
    )
    rows = session.execute(query.order_by(TokenIssue.id))
    return {token_id: (kind, person_id, site_id) for token_id, kind, person_id, site_id in rows}


def _revoked(session: Session, scope: Scope, decides: Sequence[str]) -> dict[int, str | None]:
    """Tokens of which the last of these events by then is a revocation, and why that was."""
    last = select(func.max(TokenEvent.id)).where(TokenEvent.event.in_(decides), TokenEvent.at_s < scope.end_s)
    query = select(TokenEvent.token_id, TokenEvent.detail).where(
        TokenEvent.id.in_(last.group_by(TokenEvent.token_id)), TokenEvent.event == events.REVOKED
    )
    return dict(session.execute(query).all())


def _seen(session: Session, scope: Scope) -> dict[int, int]:
    """When each log was read last, by then."""
    query = select(Sync.log_id, func.max(Sync.started_s)).where(Sync.started_s < scope.end_s).group_by(Sync.log_id)
    return dict(session.execute(query).all())


def _synced(session: Session, scope: Scope) -> set[int]:
    """Logs that came in whole within the seven days."""
    within = and_(Sync.started_s >= scope.week_s, Sync.started_s < scope.end_s)
    return set(session.scalars(select(Sync.log_id).where(within, Sync.state == syncs.STATE_DONE).distinct()))


def _batteries(session: Session, scope: Scope) -> dict[int, int]:
    """What each token told of its battery last, by its log."""
    rank = func.row_number().over(partition_by=Sync.log_id, order_by=(Sync.started_s.desc(), Sync.id.desc()))
    told: Select[tuple[int, int | None, int]] = select(Sync.log_id, Sync.battery_state, rank.label("rank")).where(
        Sync.started_s < scope.end_s, Sync.battery_state.is_not(None)
    )
    rows = told.subquery()
    query = select(rows.c.log_id, rows.c.battery_state).where(rows.c.rank == 1)
    return dict(session.execute(query).all())
