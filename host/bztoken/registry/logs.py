"""Logs: one per token, one per contact history of a phone."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.errors import RegistryError
from bztoken.registry.models import Log, Token

KIND_TOKEN = "token"
KIND_PHONE = "phone"


def create_token_log(session: Session, token: Token, now_s: int) -> Log:
    """The log into which a token's pages go."""
    log = Log(kind=KIND_TOKEN, token_id=token.id, label=token.label, digest=None, imported_at_s=now_s)
    session.add(log)
    session.flush()
    return log


def log_of_token(session: Session, token: Token) -> Log:
    """The log of a token. Raises RegistryError when the registry has none, which tokens.create rules out."""
    log = session.scalar(select(Log).where(Log.token_id == token.id))
    if log is None:
        raise RegistryError("the registry has no log for this token: restore the registry from a backup")
    return log


def by_digest(session: Session, digest: bytes) -> Log | None:
    """The log imported from a file with this SHA-256."""
    return session.scalar(select(Log).where(Log.digest == digest))


def phone_logs(session: Session) -> list[Log]:
    """Contact histories of phones, oldest first."""
    return list(session.scalars(select(Log).where(Log.kind == KIND_PHONE).order_by(Log.id)))
