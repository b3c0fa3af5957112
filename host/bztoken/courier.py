"""Couriers: passes made at the clinic, accepted by a computer that has no master key.

A courier key follows from a token's auth key, the courier's number and the last day, so a token knows it without having
been told, and knows when it is over. On the courier's computer the pass lies sealed under the registry key.
"""

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from bztoken.courier_seal import seal_pass, unseal_pass
from bztoken.errors import HomeError
from bztoken.formats.courier_pass import (
    CourierPass,
    PassToken,
    day_number,
    parse_pass,
    pass_bytes,
    read_pass,
    write_pass,
)
from bztoken.home import Home, private_file
from bztoken.registry import couriers, rekeying, tokens
from bztoken.registry.database import create_registry, open_registry
from bztoken.registry.models import Courier
from bzwire import keys

MAX_DAYS = 90
BOARD_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Issued:
    """A pass that was written. tokens: how many it opens."""

    name: str
    last_day: date
    tokens: int


def today() -> date:
    """The UTC day."""
    return datetime.fromtimestamp(time.time(), UTC).date()


def issue(home: Home, name: str, days: int, out: Path) -> Issued:
    """Make a courier and its pass, for every token that is active now; both or neither.

    days: how many, with today. Raises HomeError, RegistryError or OSError.
    """
    master_key = home.master_key()
    if out.exists():
        raise HomeError(f"{out} exists already: nothing was changed, choose another file")
    signing_key = Ed25519PrivateKey.generate()
    last_day = today() + timedelta(days=days - 1)
    with open_registry(home) as registry, registry.write() as session:
        public_key = signing_key.public_key().public_bytes_raw()
        row = couriers.create(session, name, public_key, last_day, int(time.time()))
        opened = _tokens_of_pass(session, master_key, row.number, last_day)
        write_pass(out, CourierPass(row.number, row.name, last_day, signing_key.private_bytes_raw(), opened))
    return Issued(row.name, last_day, len(opened))


def _tokens_of_pass(session: Session, master_key: bytes, number: bytes, last_day: date) -> tuple[PassToken, ...]:
    def key(uid: bytes) -> bytes:
        return keys.courier_key(tokens.token_keys(master_key, uid).auth_key, number, day_number(last_day))

    return tuple(
        PassToken(token.id, token.uid, key(token.uid))
        for token in tokens.all_tokens(session)
        if token.state == tokens.STATE_ACTIVE
    )


def accept(home: Home, path: Path) -> CourierPass:
    """Make this data folder a courier's, or give the courier's that it is a new pass; pages that are here stay.

    May be repeated after an interruption. Raises FormatError, HomeError, RegistryError or OSError.
    """
    courier = read_pass(path)
    if courier.last_day < today():
        raise HomeError(f"the pass ended on {courier.last_day}: nothing was changed, fetch a new one at the clinic")
    if not home.is_courier and (home.master_key_path.exists() or home.registry_path.exists()):
        raise HomeError(f"{home.path} holds a clinic's registry: choose an empty --home for the courier")
    if home.registry_path.exists():
        _require_same_clinic(home, courier)
    home.prepare_courier()
    _keep(home, courier)
    if not home.registry_path.exists():
        create_registry(home)
    with open_registry(home) as registry, registry.write() as session:
        for token in courier.tokens:
            if tokens.by_uid(session, token.uid) is None:
                tokens.create(session, _label(token), token.uid, tokens.ROLE_PERSON, BOARD_UNKNOWN, int(time.time()))
    return courier


def _require_same_clinic(home: Home, courier: CourierPass) -> None:
    with open_registry(home) as registry, registry.read() as session:
        for token in courier.tokens:
            here = tokens.by_label(session, _label(token))
            if here is not None and here.uid != token.uid:
                raise HomeError("the pass is of another clinic: nothing was changed, choose an empty --home for it")


def _label(token: PassToken) -> str:
    return f"token {token.number}"


def own_pass(home: Home) -> CourierPass:
    """The pass of this computer. Raises HomeError when it is none of a courier's, or the pass does not open."""
    if not home.is_courier:
        raise HomeError(
            "this is no courier's computer: run `bztoken courier accept FILE` with a pass of the clinic first"
        )
    rekeying.settle(home)
    raw = unseal_pass(home.registry_key(), home.courier_pass_path.read_bytes())
    if raw is None:
        raise HomeError(
            f"{home.courier_pass_path} is damaged or does not belong to {home.registry_key_path}: accept the pass again"
        )
    return parse_pass(home.courier_pass_path, raw)


def require_valid(courier: CourierPass) -> None:
    """Raises HomeError when the pass is over."""
    if courier.last_day < today():
        raise HomeError(f"the courier's pass ended on {courier.last_day}: fetch a new one at the clinic")


def revoke(home: Home, name: str) -> Courier:
    """Take no bundle of this courier any more. Raises HomeError or RegistryError."""
    home.master_key()
    with open_registry(home) as registry, registry.write() as session:
        return couriers.revoke(session, name)


def _keep(home: Home, courier: CourierPass) -> None:
    with private_file(home.courier_pass_path) as file:
        file.write(seal_pass(home.registry_key(), pass_bytes(courier)))
