"""The life of a token between the people who hold it: issued, lost, found, returned; what may follow what, and why not.

Its log and its day keys are its last holder's: between two people it is wiped, which gives it another identity.
Wiping, revoking and provisioning are elsewhere (`token_wipe`, `registry/tokens`, `provision`).
"""

from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy.orm import Session

from bztoken.errors import RegistryError
from bztoken.registry import consents, events, issues, losses, tokens
from bztoken.registry.folding import folded
from bztoken.registry.issues import Holder
from bztoken.registry.models import Person, Token, TokenIssue


class Step(StrEnum):
    """Where a token is in its life; beside that, its state says whether it is believed."""

    UNFINISHED = "unfinished"  # it may or may not have received its keys
    PROVISIONED = "provisioned"
    ISSUED = "issued"
    LOST = "lost"  # or stolen
    RETURNED = "returned"
    WIPED = "wiped"


def issue(session: Session, token: Token, holder: Holder, now_s: int) -> TokenIssue:
    """Put a token into somebody's hands. Raises RegistryError, with the next step, when it must not go there, and
    PersonError for a person who did not agree, or no longer does.
    """
    _require_active(token)
    _require_production(token)
    if holder.kind != token.role:
        raise RegistryError(
            f"this token is that of a {token.role}: nothing was changed; provision it as one for a {holder.kind} with "
            f"`bztoken token reissue --role {holder.kind}`"
        )
    held = issues.of_token(session, token)
    if held and held[-1].returned_at_s is None:
        raise RegistryError(
            "somebody has this token already: nothing was changed; take it back with `bztoken token return` first"
        )
    if held and not holder.has(held[-1]):
        raise RegistryError(
            "this token still holds the log and the keys of whoever had it before: nothing was changed; plug it in and "
            "run `bztoken token reissue` first, which gives it another identity"
        )
    if held:
        _require_since_withdrawal(session, held[-1])
    if holder.kind == issues.SITE:
        _require_place(token, holder)
    else:
        consents.require_open(session, session.get_one(Person, holder.number))
    return issues.add(session, token, holder, now_s)


def give_back(session: Session, token: Token, now_s: int) -> bool:
    """It came back; True when it had been revoked, which it stays. Raises RegistryError when nobody has it."""
    if token.state == tokens.STATE_WIPED:
        raise RegistryError("this token was wiped, and with that it was back: nothing was changed")
    is_revoked = token.state == tokens.STATE_REVOKED
    was_lost = losses.is_lost(session, token)
    row = issues.open_of(session, token)
    if row is None and (not is_revoked or losses.came_back(session, token)):
        raise RegistryError("nobody has this token: nothing was changed")
    if row is not None:
        issues.end(session, row, now_s)
    events.record(session, token, events.RETURNED, now_s, "had been lost" if was_lost else None)
    return is_revoked


def lose(session: Session, token: Token, now_s: int) -> None:
    """Nobody knows where it is: nothing more that it says is believed. Raises RegistryError as `revoke` does."""
    revoke(session, token, now_s, losses.REASON_LOST)


def revoke(session: Session, token: Token, now_s: int, reason: str) -> None:
    """Believe nothing more that it says. Raises RegistryError for one that is lost, revoked or wiped already."""
    loss = losses.loss_of(session, token)
    if loss is not None:
        raise RegistryError(
            f"this token was reported {loss.detail} on {losses.day_of(loss)} already: nothing was changed"
        )
    tokens.revoke(session, token, now_s, reason)
    _note(session, token, f"revoked ({reason})", now_s)


def find(session: Session, token: Token, now_s: int) -> None:
    """Its holder has it again: it is believed as before. Raises RegistryError for one that is not lost."""
    if not losses.is_lost(session, token):
        raise RegistryError(
            "this token is not lost: nothing was changed; `bztoken token restore` takes back another revocation, or an "
            "alarm"
        )
    token.state = tokens.STATE_ACTIVE
    events.record(session, token, events.FOUND, now_s)
    _note(session, token, "found", now_s)


def step_of(session: Session, token: Token) -> Step:
    """Where one token is."""
    held = issues.of_token(session, token)
    return _step(session, token, held[-1] if held else None)


def steps(session: Session, all_tokens: Iterable[Token]) -> dict[int, Step]:
    """Where each of these tokens is, by its row."""
    last = issues.last_by_token(session)
    return {token.id: _step(session, token, last.get(token.id)) for token in all_tokens}


def _note(session: Session, token: Token, what: str, now_s: int) -> None:
    """Tell the audit of whoever has it."""
    row = issues.open_of(session, token)
    if row is not None:
        issues.note(session, row, what, now_s)


def _step(session: Session, token: Token, last: TokenIssue | None) -> Step:
    if token.state in (tokens.STATE_PENDING, tokens.STATE_WIPED):
        return Step.UNFINISHED if token.state == tokens.STATE_PENDING else Step.WIPED
    if losses.is_lost(session, token):
        return Step.LOST
    if last is not None and last.returned_at_s is None:
        return Step.ISSUED
    return Step.RETURNED if last is not None or losses.came_back(session, token) else Step.PROVISIONED


def _require_active(token: Token) -> None:
    if token.state == tokens.STATE_PENDING:
        raise RegistryError(
            "provisioning this token was not finished: nothing was changed; plug it in and run "
            "`bztoken provision` again"
        )
    if token.state == tokens.STATE_REVOKED:
        raise RegistryError(
            "this token was revoked: nothing was changed; plug it in and run `bztoken token reissue`, or take the "
            "revocation back with `bztoken token restore`"
        )
    if token.state == tokens.STATE_WIPED:
        raise RegistryError(
            "this token was wiped: nothing was changed; provision it under a new label with `bztoken provision`"
        )
    if token.alarm is not None:
        raise RegistryError(
            f"there is an alarm about this token ({token.alarm}): nothing was changed; `bztoken token due` says what "
            "to do"
        )


def _require_production(token: Token) -> None:
    if token.development:
        raise RegistryError(
            "this token is a developer's board, whose cable leads to its keys: nothing was changed; wipe it (`bztoken "
            "token wipe`), flash a production build (`bztoken flash`) and provision it anew"
        )


def _require_since_withdrawal(session: Session, last: TokenIssue) -> None:
    """What it heard before its holder withdrew is not taken in, not even now that they agree again."""
    if last.person_id is not None and consents.withdrew_since(session, last.person_id, last.issued_at_s):
        raise RegistryError(
            "this token still holds what it heard before its holder withdrew: nothing was changed; plug it in and run "
            "`bztoken token reissue` first"
        )


def _require_place(token: Token, holder: Holder) -> None:
    """A site's token is for the place that it was provisioned for; without one, for the first that gets it."""
    if token.place is not None and folded(token.place) != folded(holder.name):
        raise RegistryError(
            "this token was provisioned for another place: nothing was changed; plug it in and run "
            "`bztoken token reissue` first"
        )
    token.place = holder.name
