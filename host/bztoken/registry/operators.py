"""Who works with this registry, under which role, and the password that proves it. Passwords are never stored.

The first operator is an admin, whom nobody can ask for a password yet; from then on an admin's password adds others.
Five wrong passwords in a row lock an operator until an admin sets a new one: so a password need not stand years of
guessing, only five tries (and whoever has database and key, Argon2id).
"""

import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.errors import NotAllowed, RegistryError
from bztoken.key_lock import Costs
from bztoken.registry import audit, events, labels
from bztoken.registry.audit import Action, What
from bztoken.registry.database import Registry
from bztoken.registry.models import Operator
from bztoken.registry.permissions import STATE_ACTIVE, WITH_ARTICLE, Role

STATE_REMOVED = "removed"
MAX_WRONG_TRIES = 5
MIN_PASSWORD_CHARACTERS = 10  # our choice: two words, with tries counted
MAX_PASSWORD_CHARACTERS = 200  # nobody makes Argon2id chew a megabyte
COSTS = Costs()
_SALT_BYTES = 16  # RFC 9106, section 3.1
_HASH_BYTES = 32
_WRONG = "no operator has this name and this password: nothing was changed; {tries}"
_LOCKED = (
    "the password of this operator was wrong {tries} times in a row, so it is locked: nothing was changed; an admin "
    "sets a new one with `bztoken operator password`"
)


@dataclass(frozen=True)
class _Refusal:
    """Why somebody is not who they say; told after the wrong try was written down."""

    sentence: str


def add(session: Session, name: str, role: Role, password: str, now_s: int, costs: Costs = COSTS) -> Operator:
    """Register somebody in the caller's transaction; whoever acts must have been proved to be an admin before.

    Somebody who was removed comes back under the same name. Raises RegistryError: a name that is none or taken, a weak
    password, a first operator who is no admin.
    """
    name = labels.required(name, "an operator needs a name, as it will stand beside what they do")
    if len(name) > events.MAX_BY_CHARACTERS:
        raise RegistryError(f"the name of an operator has at most {events.MAX_BY_CHARACTERS} characters")
    if is_empty(session) and role is not Role.ADMIN:
        raise RegistryError("the first operator is an admin, who adds the others: nothing was changed")
    row = _row(session, name)
    if row is not None and row.state == STATE_ACTIVE:
        raise RegistryError("an operator of this name is registered already: nothing was changed, choose another name")
    if row is None:
        row = Operator(name=name)
        session.add(row)
    row.role, row.password, row.state = role.value, hashed(password, costs), STATE_ACTIVE
    row.added_at_s, row.by, row.wrong_tries = now_s, events.by_now(), 0
    session.flush()
    audit.record(session, Action.ADD, What.OPERATOR, now_s, row.id, f"as {WITH_ARTICLE[role]}")
    return row


def set_password(session: Session, name: str, password: str, now_s: int, costs: Costs = COSTS) -> None:
    """A new password, which also unlocks. Whoever acts was proved before: the operator, or an admin."""
    row = known(session, name)
    row.password, row.wrong_tries = hashed(password, costs), 0
    session.flush()
    audit.record(session, Action.CHANGE, What.OPERATOR, now_s, row.id, "password")


def remove(session: Session, name: str, now_s: int) -> None:
    """Somebody works here no more; what they did keeps their name. Raises RegistryError for the last admin."""
    row = known(session, name)
    admins = select(func.count(Operator.id)).where(Operator.role == Role.ADMIN.value, Operator.state == STATE_ACTIVE)
    if row.role == Role.ADMIN.value and session.scalar(admins) == 1:
        raise RegistryError("this is the last admin, without whom nobody can be added: nothing was changed")
    row.state, row.password = STATE_REMOVED, ""
    session.flush()
    audit.record(session, Action.ERASE, What.OPERATOR, now_s, row.id)


def all_operators(session: Session) -> list[Operator]:
    """Those who work here now, by name."""
    return list(session.scalars(select(Operator).where(Operator.state == STATE_ACTIVE).order_by(Operator.name)))


def is_empty(session: Session) -> bool:
    """True while nobody was ever registered."""
    return session.scalar(select(func.count(Operator.id))) == 0


def known(session: Session, name: str) -> Operator:
    """The operator of this name. Raises RegistryError."""
    row = _row(session, name)
    if row is None or row.state != STATE_ACTIVE:
        raise RegistryError("no operator has this name: `bztoken operator list` shows them all")
    return row


def is_locked(row: Operator) -> bool:
    """After too many wrong passwords."""
    return row.wrong_tries >= MAX_WRONG_TRIES


@contextmanager
def acting(registry: Registry, name: str, password: str, role: Role | None, now_s: int) -> Iterator[None]:
    """What follows is done by this operator. Raises NotAllowed as `prove` does."""
    proved = prove(registry, name, password, role, now_s)
    with events.acting_as(proved):
        yield


def prove(registry: Registry, name: str, password: str, role: Role | None, now_s: int) -> str:
    """The operator's name as it is stored. Raises NotAllowed: wrong password, locked, another role (None: whichever).

    A transaction of its own, not the caller's: a wrong try is counted although it ends in an error. Tries wait for each
    other, so none goes uncounted.
    """
    with registry.write() as session:
        outcome = _try(session, name, password, role, now_s)
    if isinstance(outcome, _Refusal):
        raise NotAllowed(outcome.sentence)
    return outcome


def _try(session: Session, name: str, password: str, role: Role | None, now_s: int) -> str | _Refusal:
    row = _row(session, name)
    if row is None or row.state != STATE_ACTIVE:
        return _Refusal(_WRONG.format(tries="`bztoken operator list` shows the names"))
    if is_locked(row):
        return _Refusal(_LOCKED.format(tries=MAX_WRONG_TRIES))
    if not _fits(password, row.password):
        row.wrong_tries += 1
        audit.record(session, Action.LOOK, What.OPERATOR, now_s, row.id, "wrong password")
        left = MAX_WRONG_TRIES - row.wrong_tries
        return _Refusal(
            _WRONG.format(tries=f"{left} tries are left") if left else _LOCKED.format(tries=MAX_WRONG_TRIES)
        )
    row.wrong_tries = 0
    if role is not None and row.role != role.value:
        return _Refusal(
            f"this is for {WITH_ARTICLE[role]}, and this operator is {WITH_ARTICLE[Role(row.role)]}: nothing "
            "was changed"
        )
    return row.name


def hashed(password: str, costs: Costs = COSTS) -> str:
    """As it is stored (PHC string). Raises RegistryError for one that is too short or too long."""
    if len(password.strip()) < MIN_PASSWORD_CHARACTERS:
        raise RegistryError(
            f"a password has at least {MIN_PASSWORD_CHARACTERS} characters: nothing was changed, take a few words"
        )
    if len(password) > MAX_PASSWORD_CHARACTERS:
        raise RegistryError(f"a password has at most {MAX_PASSWORD_CHARACTERS} characters: nothing was changed")
    made = Argon2id(
        salt=os.urandom(_SALT_BYTES),
        length=_HASH_BYTES,
        iterations=costs.passes,
        lanes=costs.lanes,
        memory_cost=costs.memory_kib,
    )
    return made.derive_phc_encoded(_spelled(password))


def _fits(password: str, stored: str) -> bool:
    if len(password) > MAX_PASSWORD_CHARACTERS:
        return False
    try:
        Argon2id.verify_phc_encoded(_spelled(password), stored)
    except (InvalidKey, ValueError):
        return False
    return True


def _spelled(password: str) -> bytes:
    """Its letters, however a keyboard composes them."""
    return unicodedata.normalize("NFC", password).encode()


def _row(session: Session, name: str) -> Operator | None:
    return session.scalar(select(Operator).where(Operator.name == labels.spelled(name)))
