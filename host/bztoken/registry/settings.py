"""What somebody chose for this registry as a whole, by name; every change is in the audit."""

from sqlalchemy.orm import Session

from bztoken.registry import audit, events
from bztoken.registry.models import Setting


def get(session: Session, name: str) -> str | None:
    """The value, None while nobody chose one."""
    found = session.get(Setting, name)
    return None if found is None else found.value


def put(session: Session, name: str, value: str, now_s: int) -> bool:
    """Store a value; answers whether it is another one than before, and only then is anything written.

    Whoever may not do this is refused by the caller (`permissions.require`), which knows what the setting means.
    """
    found = session.get(Setting, name)
    if found is not None and found.value == value:
        return False
    if found is None:
        session.add(Setting(name=name, value=value, changed_at_s=now_s, by=events.by_now()))
    else:
        found.value, found.changed_at_s, found.by = value, now_s, events.by_now()
    session.flush()
    audit.record(session, audit.Action.CHANGE, audit.What.SETTING, now_s, detail=f"{name}: {value}")
    return True
