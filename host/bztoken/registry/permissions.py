"""Who may do what: roles of operators, and the actions that ask for one.

Who is not registered as an operator (`bztoken operator`) works as a health worker. On the command line the operator is
the one named by BZTOKEN_OPERATOR, whom only a password proves where an action says so (`operators.prove`).
"""

from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.errors import NotAllowed
from bztoken.registry import events
from bztoken.registry.models import Operator

STATE_ACTIVE = "active"


class Role(StrEnum):
    """What an operator is here for."""

    HEALTH_WORKER = "health_worker"
    TRACER = "tracer"
    DOCTOR = "doctor"
    ADMIN = "admin"


class Permission(StrEnum):
    """An action that not everybody may do, as its refusal calls it."""

    RECORD_CASE = "record or withdraw a case"
    AUTHORISE_CASE = "draw a code for a case"
    EXPORT_KEYS = "export keys or histories"
    CHOOSE_RULE = "choose the rule of the matching"
    MANAGE_OPERATORS = "add or remove operators"


RECORD_CASE = Permission.RECORD_CASE
AUTHORISE_CASE = Permission.AUTHORISE_CASE
EXPORT_KEYS = Permission.EXPORT_KEYS
CHOOSE_RULE = Permission.CHOOSE_RULE
MANAGE_OPERATORS = Permission.MANAGE_OPERATORS

MAY: dict[Permission, frozenset[Role]] = {
    RECORD_CASE: frozenset({Role.TRACER}),
    AUTHORISE_CASE: frozenset({Role.DOCTOR}),
    EXPORT_KEYS: frozenset({Role.TRACER, Role.ADMIN}),
    CHOOSE_RULE: frozenset({Role.ADMIN}),
    MANAGE_OPERATORS: frozenset({Role.ADMIN}),
}
NAMES = {Role.HEALTH_WORKER: "health worker", Role.TRACER: "tracer", Role.DOCTOR: "doctor", Role.ADMIN: "admin"}
WITH_ARTICLE = {role: f"{'an' if name[0] in 'aeiou' else 'a'} {name}" for role, name in NAMES.items()}


def require(session: Session, permission: Permission) -> None:
    """Raises NotAllowed when whoever works here now may not do this."""
    role = Role(role_now(session))
    if role in MAY[permission]:
        return
    who = " or ".join(WITH_ARTICLE[allowed] for allowed in Role if allowed in MAY[permission])
    raise NotAllowed(
        f"to {permission} is for {who}, and you work here as {WITH_ARTICLE[role]}: nothing was changed; set "
        f"{events.OPERATOR_VARIABLE} to your name, which an admin registers with `bztoken operator add`"
    )


def role_now(session: Session) -> str:
    """The role of whoever works at this computer."""
    role = session.scalar(select(Operator.role).where(Operator.name == events.by_now(), Operator.state == STATE_ACTIVE))
    return Role.HEALTH_WORKER.value if role is None else role
