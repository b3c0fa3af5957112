"""The audit: who looked at or changed which person, case, key or export, in a chain that shows every edited byte.

An entry is added in the transaction of what it tells about, so neither is there without the other. It names rows by
number; names, IDs and keys never enter it.
"""

import hashlib
import json
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.registry import events, permissions
from bztoken.registry.models import AuditEntry

FIRST = bytes(32)  # what the first entry has for the one before
HEAD = "audit_head"  # in session.info: (number, digest) of the last entry that this session added


class Action(StrEnum):
    """What was done."""

    LOOK = "look"
    ADD = "add"
    CHANGE = "change"
    ERASE = "erase"
    WITHDRAW = "withdraw"
    IMPORT = "import"
    EXPORT = "export"
    RELEASE = "release"  # keys left a token, after its button
    AUTHORISE = "authorise"
    MATCH = "match"
    PURGE = "purge"
    BACKUP = "backup"
    RESTORE = "restore"


class What(StrEnum):
    """To what kind of row, or thing."""

    PERSON = "person"
    CONSENT = "consent"
    CASE = "case"
    KEY = "key"
    CONTACT = "contact"
    VISIT = "visit"
    HISTORY = "history"
    SITE = "site"
    COMMUNE = "commune"
    EXPORT = "export"
    REPORT = "report"
    TOKEN = "token"
    OPERATOR = "operator"
    SETTING = "setting"
    AUDIT = "audit"
    REGISTRY = "registry"


def record(
    session: Session, action: Action, what: What, now_s: int, number: int | None = None, detail: str | None = None
) -> AuditEntry:
    """Append an entry in the caller's write transaction, which keeps others from appending meanwhile.

    number: of the row that it is about, None for several or none; detail: words of this program, of which the first
    200 characters are kept.
    """
    last = session.scalar(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1))
    entry = AuditEntry(
        id=1 if last is None else last.id + 1,
        at_s=now_s,
        by=events.by_now(),
        role=permissions.role_now(session),
        action=action.value,
        what=what.value,
        number=number,
        detail=None if detail is None else detail[: events.MAX_DETAIL_CHARACTERS],
        previous=FIRST if last is None else last.digest,
        digest=b"",
    )
    entry.digest = digest_of(said_by(entry))
    session.add(entry)
    session.flush()
    session.info[HEAD] = (entry.id, entry.digest)
    return entry


class Said(NamedTuple):
    """Everything that an entry says, as its digest covers it."""

    id: int
    at_s: int
    by: str
    role: str
    action: str
    what: str
    number: int | None
    detail: str | None
    previous: bytes


def said_by(entry: AuditEntry) -> Said:
    """What a row says."""
    return Said(
        entry.id,
        entry.at_s,
        entry.by,
        entry.role,
        entry.action,
        entry.what,
        entry.number,
        entry.detail,
        entry.previous,
    )


def digest_of(said: Said) -> bytes:
    """SHA-256 over everything an entry says, the digest of the one before included."""
    words = [*said[:-1], said.previous.hex()]
    return hashlib.sha256(json.dumps(words, ensure_ascii=False, separators=(",", ":")).encode()).digest()
