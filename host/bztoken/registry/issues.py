"""In whose hands tokens are and were: the only rows that say a holder's name, which no event, log or error repeats.

What may be issued to whom is decided in `token_life`; here are the rows.
"""

from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.registry import events, labels
from bztoken.registry.models import Token, TokenIssue

PERSON = "person"
SITE = "site"


@dataclass(frozen=True)
class Holder:
    """Who holds a token: kind is PERSON or SITE, name as it is stored."""

    kind: str
    name: str = field(repr=False)

    @classmethod
    def named(cls, kind: str, name: str) -> "Holder":
        """Raises RegistryError for a name that cannot be stored."""
        return cls(kind, labels.required(name, "a holder needs a name: of the person, or of the place"))

    def has(self, row: TokenIssue) -> bool:
        """Whether this row tells of the same holder."""
        return (row.holder_kind, row.holder) == (self.kind, self.name)


def add(session: Session, token: Token, holder: Holder, now_s: int) -> TokenIssue:
    """Put a token into somebody's hands."""
    row = TokenIssue(
        token_id=token.id,
        holder_kind=holder.kind,
        holder=holder.name,
        issued_at_s=now_s,
        issued_by=events.by_now(),
    )
    session.add(row)
    events.record(session, token, events.ISSUED, now_s, f"to a {holder.kind}")
    return row


def end(session: Session, row: TokenIssue, now_s: int) -> None:
    """The holder has it no longer; the event is the caller's."""
    row.returned_at_s, row.returned_by = now_s, events.by_now()
    session.flush()


def end_by_wiping(session: Session, token: Token, now_s: int) -> None:
    """Whoever held it, it forgot them."""
    row = open_of(session, token)
    if row is not None:
        end(session, row, now_s)
        events.record(session, token, events.RETURNED, now_s, "to be wiped")


def of_token(session: Session, token: Token) -> list[TokenIssue]:
    """Its holders, first to last."""
    return list(session.scalars(select(TokenIssue).where(TokenIssue.token_id == token.id).order_by(TokenIssue.id)))


def open_of(session: Session, token: Token) -> TokenIssue | None:
    """Who holds it now."""
    query = select(TokenIssue).where(TokenIssue.token_id == token.id, TokenIssue.returned_at_s.is_(None))
    return session.scalar(query)


def last_by_token(session: Session) -> dict[int, TokenIssue]:
    """The last holder of each token that ever had one, by the token's row."""
    last = select(func.max(TokenIssue.id)).group_by(TokenIssue.token_id)
    return {row.token_id: row for row in session.scalars(select(TokenIssue).where(TokenIssue.id.in_(last)))}


def held_by(session: Session, name: str) -> set[int]:
    """The tokens in the hands of whoever has this name, by their rows; capitals do not matter, accents do."""
    wanted = labels.spelled(name).casefold()
    held = session.scalars(select(TokenIssue).where(TokenIssue.returned_at_s.is_(None)))
    return {row.token_id for row in held if row.holder.casefold() == wanted}
