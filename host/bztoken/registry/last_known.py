"""What the registry knows of its tokens without a cable: the latest sync of each, and what the token told then.

By the time at which a sync began, not by its number: a courier's syncs come in days later.
"""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.registry import devices, events, issues, losses, provision_batches, syncs, tokens
from bztoken.registry.issues import Held
from bztoken.registry.logs import log_of_token
from bztoken.registry.models import Device, DeviceEvent, Log, Page, Sync, Token, TokenEvent, TokenIssue
from bztoken.registry.notices import wanted_tokens

_NEWEST_FIRST = (Sync.started_s.desc(), Sync.id.desc())


@dataclass(frozen=True)
class LastKnown:
    """One token. sync: its latest, whatever came of it; told: the latest in which the token said how it is.

    Both are None for a token that was never synced; `told` also while its firmware does not tell. seen_revoked: that it
    was plugged in although it is revoked, last; None when it was not, or came back since. is_returned: its last holder
    gave it back, and it still has their log. provisioned_with: the firmware that it had then, None where nobody noted
    it. is_to_be_told: its wearer is a contact of a case, and nobody has reached them yet.
    """

    token: Token
    sync: Sync | None
    told: Sync | None
    seen_revoked: TokenEvent | None = None
    is_returned: bool = False
    provisioned_with: str | None = None
    is_to_be_told: bool = False

    @property
    def firmware(self) -> str | None:
        """As it was told last."""
        return self.provisioned_with if self.told is None else self.told.firmware

    @property
    def seen_s(self) -> int | None:
        """When a station or a courier last spoke with it; None: never since it was provisioned."""
        if self.token.last_seen_s is not None:
            return self.token.last_seen_s
        return None if self.sync is None else self.sync.started_s  # of a registry older than `last_seen_s`


def of_tokens(session: Session, state: str | None = None) -> list[LastKnown]:
    """All tokens, or those in one state, in the order of provisioning."""
    query = select(Token, Log.id).join(Log, Log.token_id == Token.id).order_by(Token.id)
    if state is not None:
        query = query.where(Token.state == state)
    latest, told = _latest(session, told_only=False), _latest(session, told_only=True)
    holders, firmwares = issues.last_by_token(session), provision_batches.firmwares(session)
    to_be_told = wanted_tokens(session)
    return [
        LastKnown(
            token,
            latest.get(log_id),
            told.get(log_id),
            losses.seen_since(session, token),
            _is_returned(token, holders.get(token.id)),
            firmwares.get(token.id),
            token.id in to_be_told,
        )
        for token, log_id in session.execute(query)
    ]


def pages_stored(session: Session) -> dict[int, int]:
    """How many pages lie here, by token number; tokens without a page are missing."""
    query = select(Log.token_id, func.count(Page.log_id)).join(Page, Page.log_id == Log.id).group_by(Log.token_id)
    return {token_id: count for token_id, count in session.execute(query) if token_id is not None}


def _is_returned(token: Token, last: TokenIssue | None) -> bool:
    return token.state == tokens.STATE_ACTIVE and last is not None and last.returned_at_s is not None


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
    """One token's life: its latest syncs, newest first, what happened to it and who held it, oldest first.

    device: the board that it lives on, None while it is not known; before: the tokens that this board was before.
    """

    known: LastKnown
    pages: int
    syncs: list[Sync]
    events: list[TokenEvent]
    issues: list[Held]
    device: Device | None
    device_events: list[DeviceEvent]
    before: list[Token]


def story_of(session: Session, token: Token, most_syncs: int) -> Story:
    """Everything that the registry knows of one token but what it has heard."""
    log = log_of_token(session, token)
    count = session.scalar(select(func.count(Page.log_id)).where(Page.log_id == log.id)) or 0
    latest = syncs.of_log(session, log, most_syncs)
    told = session.scalars(
        select(Sync).where(Sync.log_id == log.id, Sync.firmware.is_not(None)).order_by(*_NEWEST_FIRST).limit(1)
    ).first()
    held = issues.of_token(session, token)
    known = LastKnown(
        token,
        latest[0] if latest else None,
        told,
        losses.seen_since(session, token),
        _is_returned(token, held[-1] if held else None),
        provision_batches.as_provisioned(session, token).firmware or None,
        token.id in wanted_tokens(session),
    )
    device = None if token.device_id is None else session.get_one(Device, token.device_id)
    return Story(
        known,
        count,
        latest,
        events.of_token(session, token),
        issues.with_names(session, held),
        device,
        [] if device is None else events.of_board(session, device),
        [] if device is None else [other for other in devices.identities(session, device) if other.id < token.id],
    )
