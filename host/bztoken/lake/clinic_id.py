"""What tells one registry from another in a lake: it stays through backups, restores and changes of key, and says
nothing of anybody.

It is drawn from the registry's first token, which is never deleted, so that a registry restored from before its first
`lake add` is the same clinic again; where there is no token yet, at random. Then it is kept among the settings.
"""

import hashlib
import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.registry import events
from bztoken.registry.models import Setting, Token

SETTING = "lake_clinic_id"
ID_BYTES = 8
_PURPOSE = b"bztoken lake clinic 1"


def clinic_id(session: Session, now_s: int) -> str:
    """In hex; made and stored when there is none yet, in the caller's write transaction."""
    row = session.get(Setting, SETTING)
    if row is not None:
        return row.value
    value = _drawn(session).hex()
    session.add(Setting(name=SETTING, value=value, changed_at_s=now_s, by=events.by_now()))
    session.flush()
    return value


def known_clinic_id(session: Session) -> str | None:
    """None for a registry that was never added to a lake."""
    row = session.get(Setting, SETTING)
    return None if row is None else row.value


def _drawn(session: Session) -> bytes:
    uid = session.scalar(select(Token.uid).order_by(Token.id).limit(1))
    seed = secrets.token_bytes(32) if uid is None else uid
    return hashlib.sha256(_PURPOSE + seed).digest()[:ID_BYTES]
