"""Couriers of this registry: who may bring bundles, and with which key they are signed.

Revoking is known here only: tokens learn nothing of it, for them a pass ends with its last day.
"""

import secrets
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.errors import RegistryError
from bztoken.registry import labels
from bztoken.registry.models import Courier
from bzwire.messages import COURIER_ID_BYTES

STATE_ACTIVE = "active"
STATE_REVOKED = "revoked"


def create(session: Session, name: str, public_key: bytes, last_day: date, now_s: int) -> Courier:
    """Record a courier under a number of its own. Raises RegistryError for a name that is taken, or is none."""
    name = labels.required(name, "a courier needs a name: say who goes")
    if by_name(session, name) is not None:
        raise RegistryError("another courier has this name: choose one that was never used, with the month perhaps")
    courier = Courier(
        name=name,
        number=secrets.token_bytes(COURIER_ID_BYTES),
        public_key=public_key,
        issued_at_s=now_s,
        last_day=last_day.isoformat(),
        state=STATE_ACTIVE,
    )
    session.add(courier)
    session.flush()
    return courier


def by_name(session: Session, name: str) -> Courier | None:
    """The courier with this name."""
    return session.scalar(select(Courier).where(Courier.name == labels.spelled(name)))


def by_number(session: Session, number: bytes) -> Courier | None:
    """The courier with this number."""
    return session.scalar(select(Courier).where(Courier.number == number))


def all_couriers(session: Session) -> list[Courier]:
    """In the order in which they were made."""
    return list(session.scalars(select(Courier).order_by(Courier.id)))


def revoke(session: Session, name: str) -> Courier:
    """Take no bundle of this courier any more. Raises RegistryError when there is no such courier."""
    courier = by_name(session, name)
    if courier is None:
        raise RegistryError("no courier of this registry has this name: `bztoken courier list` shows them all")
    if courier.state == STATE_REVOKED:
        raise RegistryError("this courier was revoked already: nothing was changed")
    courier.state = STATE_REVOKED
    return courier
