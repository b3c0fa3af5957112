"""Batches of provisioning: which numbers they give, how far they are, what was made in them.

A number is given in the transaction that makes the token's row, so that two programs never give one twice. It is free
again only when the row is taken back, because the token said that it has no keys.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.errors import RegistryError
from bztoken.registry import batch_labels, events, labels, tokens
from bztoken.registry.models import ProvisionBatch, Token, TokenEvent

FIRST_NUMBER = 1
MOST_NAMES = 5


@dataclass(frozen=True)
class BatchOptions:
    """As somebody asked for a batch. None: as the first time, or what is usual."""

    prefix: str | None = None
    first: int | None = None
    role: str | None = None
    place: str | None = None
    profile: str | None = None
    scheme: str | None = None


@dataclass(frozen=True)
class BatchToken:
    """A token of a batch as it was provisioned. firmware, profile, scheme: empty when its event does not say."""

    number: int
    label: str
    role: str
    place: str
    board: str
    firmware: str
    profile: str
    scheme: str
    provisioned_s: int


def begin(session: Session, name: str, options: BatchOptions, now_s: int) -> ProvisionBatch:
    """The batch of this name, made if it is new. Raises RegistryError for options that none can have, or that differ
    from those of the first time.
    """
    name = labels.required(name, "a batch needs a name: the day and the place, for example")
    batch = by_name(session, name)
    if batch is None:
        return _make(session, name, options, now_s)
    for option in fields(options):
        wanted, have = getattr(options, option.name), _option(batch, option.name)
        if wanted is not None and wanted != have:
            have = "nothing" if have is None else have
            raise RegistryError(
                f"this batch was begun with --{option.name} {have}, now it is {wanted}: leave --{option.name} out to "
                "go on with it, or begin a batch of another name"
            )
    return batch


def by_name(session: Session, name: str) -> ProvisionBatch | None:
    """The batch of this name."""
    return session.scalar(select(ProvisionBatch).where(ProvisionBatch.name == labels.spelled(name)))


def by_known_name(session: Session, name: str) -> ProvisionBatch:
    """Raises RegistryError when there is none."""
    batch = by_name(session, name)
    if batch is None:
        raise RegistryError(f"no batch of this registry has this name; {_names_in_words(session)}")
    return batch


def _names_in_words(session: Session) -> str:
    """Of the newest batches."""
    names = list(session.scalars(select(ProvisionBatch.name).order_by(ProvisionBatch.id.desc())))
    if not names:
        return "there is none yet: `bztoken provision --batch` begins one"
    more = len(names) - MOST_NAMES
    return f"there are: {', '.join(names[:MOST_NAMES])}" + (f", and {more} more" if more > 0 else "")


def has_prefix_of(session: Session, label: str) -> bool:
    """Whether a label begins as those of some batch do."""
    parts = batch_labels.parts(label)
    query = select(ProvisionBatch.id).where(ProvisionBatch.prefix == parts[0]) if parts else None
    return query is not None and session.scalars(query).first() is not None


def _option(batch: ProvisionBatch, name: str) -> str | int | None:
    found: str | int | None = batch.first_number if name == "first" else getattr(batch, name)
    return found


def _make(session: Session, name: str, options: BatchOptions, now_s: int) -> ProvisionBatch:
    role = options.role or tokens.ROLE_PERSON
    if (role == tokens.ROLE_SITE) != (options.place is not None):
        raise RegistryError("a site has a place, and a person has none: name it with --role site --place NAME")
    batch = ProvisionBatch(
        name=name,
        prefix=batch_labels.required_prefix(batch_labels.DEFAULT_PREFIX if options.prefix is None else options.prefix),
        first_number=FIRST_NUMBER if options.first is None else options.first,
        role=role,
        place=options.place,
        profile=options.profile,
        scheme=options.scheme,
        started_s=now_s,
        by=events.operator()[: events.MAX_BY_CHARACTERS],
    )
    session.add(batch)
    session.flush()
    return batch


# -- numbers ---------------------------------------------------------------------------------------------------------
def reserve(session: Session, batch: ProvisionBatch, uid: bytes, board: str, now_s: int) -> Token:
    """A pending row under the batch's next free number. Raises RegistryError when there is none."""
    number = _next_number(session, batch)
    token = tokens.create(session, batch_labels.label_of(batch.prefix, number), uid, batch.role, board, now_s)
    token.state = tokens.STATE_PENDING
    token.batch_id, token.number, token.place = batch.id, number, batch.place
    session.flush()
    return token


def _next_number(session: Session, batch: ProvisionBatch) -> int:
    for number in free_numbers(session, batch.prefix, batch.first_number):
        return number
    raise RegistryError("every number of this prefix is used up: begin a batch with another prefix")


def free_numbers(session: Session, prefix: str, first: int) -> Iterator[int]:
    """From the lowest, those that no token of this prefix has or ever had, and whose label no token has either."""
    same_prefix = select(ProvisionBatch.id).where(ProvisionBatch.prefix == prefix)
    used = set(session.scalars(select(Token.number).where(Token.batch_id.in_(same_prefix))))
    for number in range(first, batch_labels.MAX_NUMBER + 1):
        if number not in used and tokens.by_label(session, batch_labels.label_of(prefix, number)) is None:
            yield number


def leave(token: Token) -> None:
    """Of a row that never got as far as being labelled, and gets a label of somebody's choice: its number is free."""
    token.batch_id = token.number = None


# -- what it holds ---------------------------------------------------------------------------------------------------
def tokens_of(session: Session, batch: ProvisionBatch) -> list[BatchToken]:
    """Those that have proven that they hold their keys and were not wiped since, by number."""
    proven = select(TokenEvent.token_id).where(TokenEvent.event == events.PROVISIONED)
    query = (
        select(Token)
        .where(Token.batch_id == batch.id, Token.state != tokens.STATE_WIPED, Token.id.in_(proven))
        .order_by(Token.number)
    )
    return [as_provisioned(session, token) for token in session.scalars(query)]


def unfinished(session: Session, batch: ProvisionBatch) -> list[str]:
    """Labels of those of which nobody knows whether they hold their keys, by number."""
    query = select(Token.label).where(Token.batch_id == batch.id, Token.state == tokens.STATE_PENDING)
    return list(session.scalars(query.order_by(Token.number)))


def as_provisioned(session: Session, token: Token) -> BatchToken:
    """A token as it was provisioned, of a batch or not; number 0 without one."""
    event = session.scalars(
        select(TokenEvent)
        .where(TokenEvent.token_id == token.id, TokenEvent.event == events.PROVISIONED)
        .order_by(TokenEvent.id)
    ).first()
    told = {} if event is None else _told(event.detail or "")
    return BatchToken(
        number=token.number or 0,
        label=token.label,
        role=token.role,
        place=token.place or "",
        board=token.board,
        firmware=told.get("firmware", ""),
        profile=told.get("profile", ""),
        scheme=told.get("scheme", ""),
        provisioned_s=token.provisioned_at_s if event is None else event.at_s,
    )


def firmwares(session: Session) -> dict[int, str]:
    """The firmware that each token was provisioned with, by its row; tokens of which nobody noted it are missing."""
    query = select(TokenEvent.token_id, TokenEvent.detail).where(TokenEvent.event == events.PROVISIONED)
    told = ((token_id, _told(detail or "")) for token_id, detail in session.execute(query))
    return {token_id: found["firmware"] for token_id, found in told if "firmware" in found}


def in_detail(firmware: str, profile: str | None, scheme: str | None) -> str:
    """The detail of the event PROVISIONED. None: the firmware is too old to tell."""
    told = {"firmware": firmware, "profile": profile, "scheme": scheme}
    return ", ".join(f"{name} {value}" for name, value in told.items() if value)


def _told(detail: str) -> dict[str, str]:
    pairs = (part.split(" ", 1) for part in detail.split(", "))
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
