"""Codes that allow a case: a doctor draws one for exactly these keys, a tracer gives it, and it serves once, in time.

Eight digits, of which the last checks the others (Damm's), so that a digit that was misheard is no wrong try. Stored is
a salted scrypt of it. What is wrong with a code never says whether it was drawn for other keys: that would let somebody
try out the codes of others.
"""

import hashlib
import hmac
import os
import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session
from stdnum import damm

from bztoken.errors import CaseError
from bztoken.formats.key_digest import SAID_BYTES
from bztoken.registry import events
from bztoken.registry.models import Authorisation, Case

CODE_DIGITS = 8
VALID_HOURS = 24
MAX_HOURS = 7 * 24
MAX_WRONG_TRIES = 5
OPEN, USED, EXPIRED, ENDED = "open", "used", "expired", "ended"
_HOUR_S = 3600
_SALT_BYTES = 16
_ASK = "ask the doctor for a new one"


def draw(session: Session, digest: bytes, now_s: int, hours: int = VALID_HOURS) -> str:
    """A new code for keys with this digest (or its first 15 bytes), shown once; it ends codes drawn for them before.

    Whoever acts was proved to be a doctor. Raises CaseError for hours that are none.
    """
    if not 1 <= hours <= MAX_HOURS:
        raise CaseError(f"a code is valid for 1 to {MAX_HOURS} hours: no code was drawn")
    for row in _open(session, digest, now_s):
        row.expires_at_s = now_s
    digits = f"{secrets.randbelow(10 ** (CODE_DIGITS - 1)):0{CODE_DIGITS - 1}d}"
    code, salt = digits + damm.calc_check_digit(digits), os.urandom(_SALT_BYTES)
    session.add(
        Authorisation(
            key_digest=digest[:SAID_BYTES],
            salt=salt,
            code_hash=_hash(salt, code),
            drawn_by=events.by_now(),
            drawn_at_s=now_s,
            expires_at_s=now_s + hours * _HOUR_S,
        )
    )
    session.flush()
    return code


def shown(code: str) -> str:
    """As people read it: two groups of four."""
    return f"{code[:4]} {code[4:]}"


def check(session: Session, digest: bytes, recorded_by: str | None, code: str, now_s: int) -> Authorisation | str:
    """The code for keys with this digest, to be spent; or what is wrong with it, as a sentence.

    recorded_by: who recorded these keys. The caller commits in either case, because wrong tries are counted.
    """
    digits = "".join(code.split()).replace("-", "")
    if len(digits) != CODE_DIGITS or not (digits.isascii() and digits.isdigit()) or not damm.is_valid(digits):
        return "this is no code: one of its eight digits is wrong or missing; nothing was changed, look at it again"
    rows = _of_keys(session, digest)
    row = next((row for row in rows if hmac.compare_digest(row.code_hash, _hash(row.salt, digits))), None)
    if row is None:
        return _wrong_try(session, digest, now_s, bool(rows))
    return _problem(row, recorded_by, now_s) or row


def spend(session: Session, row: Authorisation, case: Case, now_s: int) -> None:
    """It has served, for this case."""
    row.used_at_s, row.used_by, row.case_id = now_s, events.by_now(), case.id
    session.flush()


def fate(session: Session, case: Case, now_s: int) -> list[tuple[Authorisation, str]]:
    """Every code drawn for the keys of a case, oldest first: used, expired, ended by wrong tries, or open."""
    rows = [] if case.key_digest is None else _of_keys(session, case.key_digest)
    return [(row, state_of(row, now_s)) for row in rows if row.case_id in (None, case.id)]


def _problem(row: Authorisation, recorded_by: str | None, now_s: int) -> str | None:
    state = state_of(row, now_s)
    if state == USED:
        return f"this code was used already, and a code serves once: nothing was changed, {_ASK}"
    if state == ENDED:
        return f"{MAX_WRONG_TRIES} wrong codes for these keys have ended this one: nothing was changed, {_ASK}"
    if state == EXPIRED:
        return f"this code has expired: nothing was changed, {_ASK}"
    if row.drawn_by in (events.by_now(), recorded_by):
        return (
            "whoever drew this code has also recorded the case, or gives it now: nothing was changed, these must be "
            "two persons"
        )
    return None


def _wrong_try(session: Session, digest: bytes, now_s: int, was_drawn: bool) -> str:
    open_rows = _open(session, digest, now_s)
    for row in open_rows:
        row.wrong_tries += 1
    session.flush()
    if not was_drawn:
        return "no code was drawn for these keys: nothing was changed, a doctor draws one with `bztoken case authorise`"
    if not open_rows:
        return f"this code was not drawn for these keys, and no other for them is valid: nothing was changed, {_ASK}"
    left = MAX_WRONG_TRIES - max(row.wrong_tries for row in open_rows)
    end = f"{left} tries are left" if left else f"that was the last try, {_ASK}"
    return f"this code was not drawn for these keys, it is wrong or for other keys: nothing was changed, {end}"


def _of_keys(session: Session, digest: bytes) -> list[Authorisation]:
    query = select(Authorisation).where(Authorisation.key_digest == digest[:SAID_BYTES]).order_by(Authorisation.id)
    return list(session.scalars(query))


def _open(session: Session, digest: bytes, now_s: int) -> list[Authorisation]:
    return [row for row in _of_keys(session, digest) if state_of(row, now_s) == OPEN]


def state_of(row: Authorisation, now_s: int) -> str:
    """OPEN, USED, EXPIRED, or ENDED by wrong tries."""
    if row.used_at_s is not None:
        return USED
    if row.wrong_tries >= MAX_WRONG_TRIES:
        return ENDED
    return OPEN if now_s < row.expires_at_s else EXPIRED


def _hash(salt: bytes, code: str) -> bytes:
    """Slow on purpose, as there are only ten million codes: 16 MiB, a twentieth of a second."""
    return hashlib.scrypt(code.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)
