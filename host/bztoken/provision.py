"""Gives a blank token its number and keys, and records it. Either both happen or neither.

The row is written first, as pending: a token whose keys nobody knows would be lost. It is taken back when the token
says that it is still blank; when nobody knows (the cable was pulled out), the same command finishes or repeats it.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from sqlalchemy.orm import Session

from bztoken.clock_care import read_clock
from bztoken.errors import LinkError, NotTrusted
from bztoken.home import Home
from bztoken.link.token_link import Challenge, Info, TokenLink
from bztoken.naming import Naming, OneLabel
from bztoken.registry import clock_points, devices, events, logs, provision_batches, tokens
from bztoken.registry.clock_points import ClockReading
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import Token
from bztoken.token_care import require_possible, tell_settings
from bztoken.token_settings import Settings, Wanted
from bzwire import keys

NOTHING_WANTED = Wanted()

_Found = TypeVar("_Found")


class OfAnotherRegistry(LinkError):
    """The token has keys that this registry does not know."""

    def __init__(self, port: str) -> None:
        super().__init__(
            f"The token at {port} belongs to a registry already, and not to this one: it was not changed; look in "
            "which registry it was provisioned."
        )


class OfThisRegistry(LinkError):
    """The token was provisioned here before. token_id, label: which it is."""

    def __init__(self, port: str, token: Token) -> None:
        self.token_id = token.id
        self.label = token.label
        self.is_trusted = tokens.is_trusted(token)
        super().__init__(
            f"The token at {port} belongs to a registry already, and it is this one: it was not changed; `bztoken "
            f"status --port {port}` tells which it is, `bztoken token reissue --port {port} --label ..` gives it a new "
            "identity."
        )


class _Row(NamedTuple):
    """Of a token that is being provisioned; its role as the first try gave it."""

    uid: bytes
    label: str
    role: str

    @classmethod
    def of(cls, token: Token) -> Self:
        """While the session is open."""
        return cls(token.uid, token.label, token.role)


class Watcher(Protocol):
    """Who decides and hears at which tokens something is done. Called from the event loop: return at once."""

    def admit(self, port: str) -> None:
        """Something is about to be recorded for the token at this port; raises a BztokenError if it should not be."""

    def known(self, port: str, label: str) -> None:
        """Under this label."""


@dataclass(frozen=True)
class Provisioned:
    """What was done. settings: None when none were told; told: the token's settings in any case, None before 0.2."""

    label: str
    role: str
    board: str
    firmware: str
    settings: Settings | None = None
    told: Settings | None = field(default=None, compare=False)
    place: str | None = None


def provision(
    home: Home,
    port: str,
    label: str,
    role: str = tokens.ROLE_PERSON,
    wanted: Wanted = NOTHING_WANTED,
    place: str | None = None,
    may_be_development: bool = False,
) -> Provisioned:
    """Provision the blank token at a port, set its clock and tell it the wanted settings, or finish what an earlier
    try began with this token.

    place: name of a site. may_be_development: a developer's board is none to be worn, and refused without this. Raises
    LinkError or RegistryError; then nothing changed, or the same command finishes what was begun.
    """
    naming = OneLabel(tokens.new_label(label), role, place)
    require_possible(role, wanted)
    with open_registry(home) as registry:
        desk = ProvisionDesk(registry, home.master_key(), naming, wanted, may_be_development=may_be_development)
        return asyncio.run(desk.provision(port))


class ProvisionDesk:
    """Provisions tokens into one registry, under what `naming` says: one port, or several at a time."""

    def __init__(
        self,
        registry: Registry,
        master_key: bytes,
        naming: Naming,
        wanted: Wanted,
        watcher: Watcher | None = None,
        may_be_development: bool = False,
    ) -> None:
        self._registry = registry
        self._master_key = master_key
        self._naming = naming
        self._wanted = wanted
        self._watcher = watcher
        self._may_be_development = may_be_development
        self._storing = asyncio.Lock()

    async def provision(self, port: str) -> Provisioned:
        """The token at one port. Raises as `provision` does."""
        async with TokenLink(port) as link:
            info = await link.info()
            self._require_fit(port, info)
            row = await (self._finish(link, port) if info.provisioned else self._begin(link, port, info))
            readings, status = await read_clock(link, is_courier=False)
            told = Settings.from_fields(status) if "p" in status else None
            settings = None
            if self._wanted.fields():
                require_possible(row.role, self._wanted)
                settings = told = await tell_settings(link, self._wanted)
            return await self._record(row.uid, info, readings, status, told, settings)

    def _require_fit(self, port: str, info: Info) -> None:
        if info.development and not self._may_be_development:
            raise LinkError(
                f"The board at {port} is a developer's: its cable leads to a prompt, and so to its keys. Flash it as a "
                "production build, or add --development if nobody will ever wear it."
            )
        if info.erasing:
            raise LinkError(
                f"The token at {port} still writes over what was deleted when it was wiped: leave it plugged in for "
                "some minutes, then run the same command again."
            )

    async def _write(self, act: Callable[[Session], _Found]) -> _Found:
        """One at a time, and not in the event loop: another program may hold the registry for a while."""

        def run() -> _Found:
            with self._registry.write() as session:
                return act(session)

        async with self._storing:
            return await asyncio.to_thread(run)

    # -- a blank token -----------------------------------------------------------------------------------------------
    async def _begin(self, link: TokenLink, port: str, info: Info) -> _Row:
        """Give it a number and keys, and see that it holds them."""
        if self._watcher is not None:
            self._watcher.admit(port)
        uid = secrets.token_bytes(keys.UID_BYTES)

        def reserve(session: Session) -> _Row:
            devices.require_settled(session, info.hardware)
            return _Row.of(self._naming.reserve(session, uid, info.board, int(time.time())))

        row = await self._write(reserve)
        if self._watcher is not None:
            self._watcher.known(port, row.label)
        await self._hand_over(link, uid, tokens.token_keys(self._master_key, uid), row.role)
        return row

    async def _hand_over(self, link: TokenLink, uid: bytes, token_keys: tokens.TokenKeys, role: str) -> None:
        """Send the keys, then see that the token holds them; a lost answer is no failure if it does."""
        try:
            await link.provision(uid, token_keys.auth_key, token_keys.first_log_key, role)
        except LinkError:
            if not await _took_keys(link):
                await self._take_back(uid)
                raise
        challenge = await link.challenge()
        expected = keys.token_proof(token_keys.auth_key, challenge.host_nonce, challenge.token_nonce)
        if not keys.same(expected, challenge.proof):
            await self._take_back(uid)
            raise LinkError(
                "The token does not hold the keys it was given: it was provisioned by somebody else meanwhile."
            )
        await link.open_session(challenge, token_keys.auth_key)

    async def _take_back(self, uid: bytes) -> None:
        await self._write(lambda session: tokens.remove_unused(session, uid))

    # -- a token that has keys -----------------------------------------------------------------------------------------
    async def _finish(self, link: TokenLink, port: str) -> _Row:
        """Open a session with a token that an earlier try reached without knowing it.

        Raises LinkError for any other token, RegistryError when it cannot have the label.
        """
        challenge = await link.challenge()
        token_id = await asyncio.to_thread(self._begun_before, port, challenge)

        def adopt(session: Session) -> _Row:
            token = session.get_one(Token, token_id)
            self._naming.adopt(session, token)
            return _Row.of(token)

        if self._watcher is not None:
            self._watcher.admit(port)
        row = await self._write(adopt)
        if self._watcher is not None:
            self._watcher.known(port, row.label)
        await link.open_session(challenge, tokens.token_keys(self._master_key, row.uid).auth_key)
        return row

    def _begun_before(self, port: str, challenge: Challenge) -> int:
        """The token that made this proof, if its row is pending. Raises OfThisRegistry, OfAnotherRegistry."""
        asked = (challenge.host_nonce, challenge.token_nonce, challenge.proof)
        with self._registry.read() as session:
            token = tokens.find_by_proof(session, self._master_key, *asked)
            if token is None:
                raise OfAnotherRegistry(port)
            if token.state != tokens.STATE_PENDING:
                raise OfThisRegistry(port, token)
            return token.id

    # -- either --------------------------------------------------------------------------------------------------------
    async def _record(
        self,
        uid: bytes,
        info: Info,
        readings: list[ClockReading],
        status: dict[str, Any],
        told: Settings | None,
        settings: Settings | None,
    ) -> Provisioned:
        """It has proven that it holds its keys. Raises NotTrusted when its identity was seen on another board."""
        detail = provision_batches.in_detail(
            info.firmware, told.profile if told else None, told.scheme if told else None
        )

        def record(session: Session) -> Provisioned | None:
            token = tokens.by_uid(session, uid)
            assert token is not None
            now_s = int(time.time())
            if not devices.note(session, token, bytes(status.get("hw", b"")), now_s):
                return None
            for reading in readings:
                clock_points.record(session, logs.log_of_token(session, token), reading)
            if token.state == tokens.STATE_PENDING:
                token.state = tokens.STATE_ACTIVE
                events.record(session, token, events.PROVISIONED, now_s, detail)
            tokens.note_seen(session, token, now_s)
            tokens.note_build(session, token, info.development)
            return Provisioned(token.label, token.role, info.board, info.firmware, settings, told, token.place)

        done = await self._write(record)
        if done is None:
            raise NotTrusted("This identity was provisioned on another board before: keep both, and wipe this one.")
        return done


async def _took_keys(link: TokenLink) -> bool:
    try:
        return (await link.info()).provisioned
    except LinkError:
        raise LinkError(
            "The cable failed while the token was given its keys: plug it in and run the same command again, which "
            "finishes what was begun."
        ) from None
