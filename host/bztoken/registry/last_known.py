"""What the registry knows of its tokens without a cable: the latest sync of each, and what the token told then.

By the time at which a sync began, not by its number: a courier's syncs come in days later.
"""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.registry import events, syncs
from bztoken.registry.logs import log_of_token
from bztoken.registry.models import Log, Page, Sync, Token, TokenEvent

_NEWEST_FIRST = (Sync.started_s.desc(), Sync.id.desc())


@dataclass(frozen=True)
class LastKnown:
    """One token. sync: its latest, whatever came of it; told: the latest in which the token said how it is.

    Both are None for a token that was never synced; `told` also while its firmware does not tell.
    """

    token: Token
    sync: Sync | None
    told: Sync | None

    @property
    def seen_s(self) -> int | None:
        """When a station or a courier last spoke with it; None: never since it was handed out."""
        if self.token.last_seen_s is not None:
            return self.token.last_seen_s
        return None if self.sync is None else self.sync.started_s  # of a registry older than `last_seen_s`


def of_tokens(session: Session, state: str | None = None) -> list[LastKnown]:
    """All tokens, or those in one state, in the order of provisioning."""
    query = select(Token, Log.id).join(Log, Log.token_id == Token.id).order_by(Token.id)
    if state is not None:
        query = query.where(Token.state == state)
    latest, told = _latest(session, told_only=False), _latest(session, told_only=True)
    return [LastKnown(token, latest.get(log_id), told.get(log_id)) for token, log_id in session.execute(query)]


def pages_stored(session: Session) -> dict[int, int]:
    """How many pages lie here, by token number; tokens without a page are missing."""
    query = select(Log.token_id, func.count(Page.log_id)).join(Page, Page.log_id == Log.id).group_by(Log.token_id)
    return {token_id: count for token_id, count in session.execute(query) if token_id is not None}


def _latest(session: Session, told_only: bool) -> dict[int, Sync]:
    """By log. told_only: among the syncs in which the token told its status."""
    rank = func.row_number().over(partition_by=Sync.log_id, order_by=_NEWEST_FIRST).label("rank")
    ranked = select(Sync.id, rank)
    if told_only:
        ranked = ranked.where(Sync.firmware.is_not(None))
    rows = ranked.subquery()
    latest = select(rows.c.id).where(rows.c.rank == 1)
    return {sync.log_id: sync for sync in session.scalars(select(Sync).where(Sync.id.in_(latest)))}


@dataclass(frozen=True)
class Story:
    """One token's life: its latest syncs, newest first, and what happened to it, oldest first."""

    known: LastKnown
    pages: int
    syncs: list[Sync]
    events: list[TokenEvent]


def story_of(session: Session, token: Token, most_syncs: int) -> Story:
    """Everything that the registry knows of one token but what it has heard."""
    log = log_of_token(session, token)
    count = session.scalar(select(func.count(Page.log_id)).where(Page.log_id == log.id)) or 0
    latest = syncs.of_log(session, log, most_syncs)
    told = session.scalars(
        select(Sync).where(Sync.log_id == log.id, Sync.firmware.is_not(None)).order_by(*_NEWEST_FIRST).limit(1)
    ).first()
    known = LastKnown(token, latest[0] if latest else None, told)
    return Story(known, count, latest, events.of_token(session, token))
