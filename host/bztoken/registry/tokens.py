"""Tokens of this registry, what they are to it (state, alarm), and the keys that follow from the master key.

No key of a token is stored. Every change of state is recorded as an event in the same transaction.
"""

import hmac
from dataclasses import dataclass, field

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from bztoken.errors import NotTrusted, RegistryError
from bztoken.registry import batch_labels, events, issues, labels
from bztoken.registry.logs import create_token_log, log_of_token
from bztoken.registry.models import Log, Token, TokenEvent
from bzwire import keys, registry_keys

ROLE_PERSON = "person"
ROLE_SITE = "site"
ROLES = (ROLE_PERSON, ROLE_SITE)

STATE_PENDING = "pending"  # it may or may not have received its keys
STATE_ACTIVE = "active"
STATE_REVOKED = "revoked"  # lost or stolen: nothing that it says is believed
STATE_WIPED = "wiped"  # it has forgotten this identity; its log stays here
STATES = (STATE_PENDING, STATE_ACTIVE, STATE_REVOKED, STATE_WIPED)

ALARM_CLONE = "clone"  # two devices with one identity
ALARM_ROLLBACK = "rollback"  # it counts lower than it did: somebody put back its flash, or it was damaged
_GRAVITY = {None: 0, ALARM_ROLLBACK: 1, ALARM_CLONE: 2}

MAX_LABEL_CHARACTERS = labels.MAX_CHARACTERS


@dataclass(frozen=True)
class TokenKeys:
    """What the host needs of one token's keys; never printed."""

    auth_key: bytes = field(repr=False)
    first_log_key: bytes = field(repr=False)


def token_keys(master_key: bytes, uid: bytes) -> TokenKeys:
    """The keys of the token with this number. Raises bzwire's OutOfRange for wrong lengths."""
    root = registry_keys.token_root(master_key, uid)
    return TokenKeys(registry_keys.auth_key(root), registry_keys.first_log_key(root))


def create(session: Session, label: str, uid: bytes, role: str, board: str, now_s: int) -> Token:
    """Record a token and open its log. Raises RegistryError for a label or number that is taken, or a wrong role."""
    label = new_label(label)
    if role not in ROLES:
        raise RegistryError(f"a token's role is {' or '.join(ROLES)}")
    if by_label(session, label) is not None:
        raise RegistryError("another token has this label: choose a label that is used nowhere else")
    if by_uid(session, uid) is not None:
        raise RegistryError("this token is in the registry already")
    token = Token(uid=uid, label=label, role=role, board=board, state=STATE_ACTIVE, provisioned_at_s=now_s)
    session.add(token)
    session.flush()
    create_token_log(session, token, now_s)
    return token


def new_label(label: str) -> str:
    """As it is stored; to be asked before a token is. Raises RegistryError for one that no token can have."""
    return labels.required(label, "a token needs a label: name its wearer or its place")


def by_label(session: Session, label: str) -> Token | None:
    """The token with this label."""
    found = (session.scalar(select(Token).where(Token.label == spelling)) for spelling in labels.spellings(label))
    return next((token for token in found if token is not None), None)


def by_uid(session: Session, uid: bytes) -> Token | None:
    """The token with this number."""
    return session.scalar(select(Token).where(Token.uid == uid))


def all_tokens(session: Session) -> list[Token]:
    """Every token, in the order of provisioning."""
    return list(session.scalars(select(Token).order_by(Token.id)))


def by_known_label(session: Session, label: str) -> Token:
    """The token with this label. Raises RegistryError when there is none; a mistyped printed number is told as such."""
    token = by_label(session, label)
    if token is None and batch_labels.has_wrong_digit(label):
        raise RegistryError(
            "no token has this label, and its last digit, which checks the others, does not fit: a digit is wrong, "
            "look at the label again"
        )
    if token is None:
        raise RegistryError("no token of this registry has this label: `bztoken token list` shows them all")
    return token


def find_by_proof(
    session: Session, master_key: bytes, host_nonce: bytes, token_nonce: bytes, proof: bytes
) -> Token | None:
    """The token that made this proof; a token does not say its number before it knows who asks.

    Whatever its state: see `require_trusted`. 2,000 tokens take some 30 ms, too little to keep keys in memory for.
    """
    for number, uid in session.execute(select(Token.id, Token.uid).order_by(Token.id)):
        auth_key = registry_keys.auth_key(registry_keys.token_root(master_key, uid))
        if hmac.compare_digest(keys.token_proof(auth_key, host_nonce, token_nonce), proof):
            return session.get_one(Token, number)
    return None


def is_trusted(token: Token) -> bool:
    """False for a token that `require_trusted` refuses."""
    return token.state not in (STATE_REVOKED, STATE_WIPED) and token.alarm != ALARM_CLONE


def require_trusted(token: Token) -> None:
    """Raises NotTrusted for a token whose log must not be taken: revoked, wiped, or with a double."""
    if token.state == STATE_REVOKED:
        raise NotTrusted(
            "This token was revoked: nothing was read; keep it and tell the person in charge, who wipes it, or takes "
            "the revocation back with `bztoken token restore`."
        )
    if token.state == STATE_WIPED:
        raise NotTrusted(
            "This token was wiped but still holds its old identity: nothing was read; run `bztoken token wipe` again."
        )
    if token.alarm == ALARM_CLONE:
        raise NotTrusted(
            "Two devices hold this token's identity: nothing was read; keep it, look for the other, then wipe both and "
            "provision one anew with `bztoken token reissue`."
        )


def note_seen(session: Session, token: Token, now_s: int) -> None:
    """A station or a courier spoke with it; older news than what is known changes nothing."""
    token.last_seen_s = max(token.last_seen_s or 0, now_s)
    session.flush()


def note_build(session: Session, token: Token, is_development: bool) -> None:
    """A token that has proven who it is told which build it runs: a developer's board is none to be worn."""
    token.development = is_development
    session.flush()


def raise_alarm(session: Session, token: Token, kind: str, now_s: int) -> None:
    """Mark a token as one that is not what it was; the same alarm again, or a lesser one, changes nothing."""
    if _GRAVITY[kind] <= _GRAVITY[token.alarm]:
        return
    token.alarm = kind
    events.record(session, token, events.ALARM, now_s, kind)


def revoke(session: Session, token: Token, now_s: int, reason: str | None = None) -> None:
    """From now on believe nothing that this token says. Raises RegistryError for one that is revoked or wiped."""
    if token.state in (STATE_REVOKED, STATE_WIPED):
        raise RegistryError(f"this token is {token.state} already: nothing was changed")
    token.state = STATE_REVOKED
    events.record(session, token, events.REVOKED, now_s, reason)


def restore(session: Session, token: Token, now_s: int) -> list[str]:
    """Take back a revocation and an alarm; what was taken back. Raises RegistryError when there is neither."""
    taken_back = [what for what in (token.state if token.state == STATE_REVOKED else None, token.alarm) if what]
    if token.state == STATE_WIPED or not taken_back:
        raise RegistryError(f"this token is {token.state} and has no alarm: there is nothing to take back")
    if token.state == STATE_REVOKED:
        token.state = STATE_ACTIVE
    if token.alarm == ALARM_CLONE:
        token.device_id = None  # of two boards, the next that proves this identity is the right one
    token.alarm = None
    events.record(session, token, events.RESTORED, now_s, ", ".join(taken_back))
    return taken_back


def wiped(session: Session, token: Token, now_s: int) -> None:
    """It has forgotten its identity: its label is free again, its log stays, and nobody holds it any more."""
    issues.end_by_wiping(session, token, now_s)
    if token.state != STATE_WIPED:
        give_up_label(session, token, "wiped")
    token.state = STATE_WIPED
    token.alarm = None
    token.development = False  # it is on no board any more
    events.record(session, token, events.WIPED, now_s)


def rename(session: Session, token: Token, label: str) -> None:
    """Token and log have one label."""
    token.label = log_of_token(session, token).label = label
    session.flush()


def give_up_label(session: Session, token: Token, why: str) -> None:
    """Free a label for another token; the old one keeps it with a remark and its row's number."""
    remark = f" ({why} {token.id})"
    rename(session, token, token.label[: MAX_LABEL_CHARACTERS - len(remark)] + remark)


def remove_unused(session: Session, uid: bytes) -> None:
    """Take back the row of a token that never received its keys, with its empty log."""
    token = by_uid(session, uid)
    if token is not None:
        session.execute(delete(Log).where(Log.token_id == token.id))
        session.execute(delete(TokenEvent).where(TokenEvent.token_id == token.id))
        session.delete(token)
