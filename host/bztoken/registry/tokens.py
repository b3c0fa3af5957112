"""Tokens of this registry, and the keys that follow from the master key; no key of a token is stored."""

import hmac
from dataclasses import dataclass, field

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from bztoken.errors import RegistryError
from bztoken.registry.logs import create_token_log
from bztoken.registry.models import Log, Token
from bzwire import keys

ROLE_PERSON = "person"
ROLE_SITE = "site"
ROLES = (ROLE_PERSON, ROLE_SITE)
STATE_ACTIVE = "active"


@dataclass(frozen=True)
class TokenKeys:
    """What the host needs of one token's keys; never printed."""

    auth_key: bytes = field(repr=False)
    first_log_key: bytes = field(repr=False)


def token_keys(master_key: bytes, uid: bytes) -> TokenKeys:
    """The keys of the token with this number. Raises bzwire's OutOfRange for wrong lengths."""
    root = keys.token_root(master_key, uid)
    return TokenKeys(keys.auth_key(root), keys.first_log_key(root))


def create(session: Session, label: str, uid: bytes, role: str, board: str, now_s: int) -> Token:
    """Record a token and open its log. Raises RegistryError for a label or number that is taken, or a wrong role."""
    if not label.strip():
        raise RegistryError("a token needs a label: name its wearer or its place")
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


def by_label(session: Session, label: str) -> Token | None:
    """The token with this label."""
    return session.scalar(select(Token).where(Token.label == label))


def by_uid(session: Session, uid: bytes) -> Token | None:
    """The token with this number."""
    return session.scalar(select(Token).where(Token.uid == uid))


def all_tokens(session: Session) -> list[Token]:
    """Every token, in the order of provisioning."""
    return list(session.scalars(select(Token).order_by(Token.id)))


def find_by_proof(
    session: Session, master_key: bytes, host_nonce: bytes, token_nonce: bytes, proof: bytes
) -> Token | None:
    """The token that made this proof; a token does not say its number before it knows who asks."""
    for token in all_tokens(session):
        auth_key = token_keys(master_key, token.uid).auth_key
        if hmac.compare_digest(keys.token_proof(auth_key, host_nonce, token_nonce), proof):
            return token
    return None


def remove_unused(session: Session, uid: bytes) -> None:
    """Take back the row of a token that never received its keys, with its empty log."""
    token = by_uid(session, uid)
    if token is not None:
        session.execute(delete(Log).where(Log.token_id == token.id))
        session.delete(token)
