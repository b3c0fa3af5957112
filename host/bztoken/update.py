"""Sends a token a new application over its cable, and sees it start; cut anywhere, it goes on or begins anew.

Nothing is sent that is not signed with a trusted key, not built for the token's chip, or already there. The token
itself checks digest and version, tries the new application and goes back by itself (firmware/SPEC.md "Updates").
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from bztoken import signing_keys
from bztoken.connection import KnownToken, connect
from bztoken.desk.application_build import arch_of
from bztoken.errors import HomeError, LinkError
from bztoken.formats.application_archive import Archive, Signature
from bztoken.home import Home
from bztoken.link.refusals import LineNoisy, TokenRefused, TokenTooOld
from bztoken.link.requests import TokenRefusal
from bztoken.registry import events
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import Token
from bzwire import archive as wire
from bzwire import cbor, keys, messages, smp

RESTART_S = 15.0
LOOK_S = 0.5
CONFIRM_S = 180.0  # a minute, and up to two looks of the token's own
POLL_S = 2.0
BEGINNINGS = 4  # a token that restarts in between has forgotten what it got so far
RESULT_ROLLED_BACK = 2  # STATUS `ur`

# Told (bytes done, bytes in all).
Progress = Callable[[int, int], None]


class Outcome(StrEnum):
    """How an update ended."""

    SAME = "same version"  # nothing was sent
    ON_TRIAL = "on trial"  # it runs; it confirms itself after a minute, or goes back
    CONFIRMED = "confirmed"


@dataclass(frozen=True)
class UpdateResult:
    """before, after: versions; bytes_sent: of the archive, by this connection; seconds: for that, not for the trial."""

    label: str
    before: str
    after: str
    outcome: Outcome
    bytes_sent: int = 0
    seconds: float = 0.0


def _data_bytes() -> int:
    """Most bytes of the archive in one UPDATE_WRITE: what a request holds, less its envelope at its longest."""
    fields = cbor.dumps({"o": wire.MAX_ARCHIVE_BYTES, "d": bytes(64)})
    envelope = cbor.dumps({"c": messages.MAX_COUNTER, "b": fields, "m": bytes(keys.MAC_BYTES)})
    return smp.MAX_REQUEST_BYTES - smp.HEADER_BYTES - (len(envelope) - 64)


DATA_BYTES = _data_bytes()


def require_trusted(home: Home, archive: Archive) -> None:
    """Raises HomeError for an archive that must not be sent from this computer."""
    signature = archive.signature(signing_keys.trusted(home))
    if signature == Signature.INVALID:
        raise HomeError(f"{archive.path} was changed after it was signed: nothing was sent; fetch it again")
    if signature == Signature.UNVERIFIED:
        raise HomeError(
            f"{archive.path} is signed with a key that is not trusted here: nothing was sent; if you know who signed "
            "it, run `bztoken firmware trust` with that public key first"
        )


def update(
    home: Home, port: str, archive: Archive, progress: Progress, force: bool = False, wait: bool = False
) -> UpdateResult:
    """Update the token at a port. Raises HomeError, LinkError or RegistryError.

    force: also to an older version, or the same one again; wait: until the token has confirmed the new version.
    """
    home.require_clinic()
    require_trusted(home, archive)
    with open_registry(home) as registry:
        return asyncio.run(_Update(home, registry, port, archive, progress).run(force, wait))


class _Update:
    """One archive for the token at one port."""

    def __init__(self, home: Home, registry: Registry, port: str, archive: Archive, progress: Progress) -> None:
        self._home = home
        self._registry = registry
        self._port = port
        self._archive = archive
        self._progress = progress
        self._sent = 0
        self._boot = 0  # number of the boot before the restart
        self._heard_s = 0.0  # when the new version spoke last
        self._recorded = False

    async def run(self, force: bool, wait: bool) -> UpdateResult:
        async with connect(self._home, self._registry, self._port) as known:
            before = known.info.firmware
            if not await self._is_wanted(known, force):
                return UpdateResult(known.label, before, before, Outcome.SAME)
            started = time.monotonic()
            await self._send(known, force)
            await self._finish(known)
            seconds = time.monotonic() - started
            token_id = known.token_id
        outcome = await self._see_it_start(token_id, wait)
        return UpdateResult(known.label, before, self._archive.version, outcome, self._sent, seconds)

    async def _is_wanted(self, known: KnownToken, force: bool) -> bool:
        """False for a token that has this version already. Raises LinkError for one that cannot take it."""
        status = await known.link.command(messages.CMD_STATUS)
        if "us" not in status or known.info.mpy is None:
            raise TokenTooOld
        self._boot = int(status["bo"])
        if status["ut"]:
            raise LinkError("The token is still trying its last update: wait for two minutes, then run this again.")
        if (self._archive.build ^ known.info.mpy) & wire.BUILD_MASK:
            raise LinkError(
                f"The application is built for {arch_of(self._archive.build)}, and this token's chip is "
                f"{arch_of(known.info.mpy)}: nothing was sent; build it for that."
            )
        own, new = wire.parse_version(known.info.firmware), wire.parse_version(self._archive.version)
        if new < own and not force:
            raise LinkError(
                f"The token runs {known.info.firmware}, which is newer than {self._archive.version}: nothing was sent; "
                "--force sends it all the same."
            )
        return force or new != own

    # -- sending -----------------------------------------------------------------------------------------------------
    async def _send(self, known: KnownToken, force: bool) -> None:
        size = len(self._archive.stream)
        for _ in range(BEGINNINGS):
            at: int | None = await self._begin(known, force)
            while at is not None and at < size:
                self._progress(at, size)
                at = await self._write(known, at)
            if at is not None:
                self._progress(size, size)
                return
        raise LinkError("The token restarts again and again while it is updated: let a technician look at it.")

    async def _begin(self, known: KnownToken, force: bool) -> int:
        stream, digest = self._archive.stream, self._archive.digest
        version = self._archive.version
        mac = keys.update_mac(known.auth_key, digest, len(stream), force, version)
        fields = {"v": version, "sz": len(stream), "dg": digest, "fo": int(force), "m": mac}
        return int((await known.link.command(messages.CMD_UPDATE_BEGIN, **fields))["o"])

    async def _write(self, known: KnownToken, at: int) -> int | None:
        """Where to go on; None when the token has forgotten the transfer, because it restarted."""
        data = self._archive.stream[at : at + DATA_BYTES]
        try:
            answer = await known.link.command(messages.CMD_UPDATE_WRITE, o=at, d=data)
        except TokenTooOld:  # a bad request: to a token that took the beginning, there is no transfer any more
            return None
        except TokenRefused as refused:
            if refused.code == TokenRefusal.BAD_REQUEST:  # the same, after it was greeted again
                return None
            raise
        self._sent += len(data)
        return int(answer["o"])

    @staticmethod
    async def _finish(known: KnownToken) -> None:
        try:
            await known.link.command(messages.CMD_UPDATE_FINISH)
        except TokenRefused as refused:
            if refused.code != TokenRefusal.BAD_REQUEST:
                raise
        except (LineNoisy, TokenTooOld):
            # Without an answer, or with nothing to finish any more: what the token runs then says how it went.
            return

    # -- what became of it -------------------------------------------------------------------------------------------
    async def _see_it_start(self, token_id: int, wait: bool) -> Outcome:
        self._heard_s = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                async with connect(self._home, self._registry, self._port) as known:
                    if known.token_id != token_id:
                        raise _OtherToken
                    status = await known.link.command(messages.CMD_STATUS)
                    self._require_running(known.info.firmware, status)
                    self._record(token_id)
                    return await self._wait_for_the_end(known) if wait and status["ut"] else _outcome(status)
            except (_OtherToken, _WentBack):
                raise
            except LinkError:
                if time.monotonic() >= self._heard_s + RESTART_S:
                    raise

    def _require_running(self, version: str, status: dict[str, object]) -> None:
        restarted = status["bo"] != self._boot
        if restarted and status["ur"] == RESULT_ROLLED_BACK:
            raise _WentBack
        if not restarted or version != self._archive.version:
            raise LinkError(
                f"The token went on with {version}: the cable was cut before the end; run the command again."
            )

    def _record(self, token_id: int) -> None:
        """Once, also when its port goes away while it is waited for."""
        if self._recorded:
            return
        self._recorded = True
        with self._registry.write() as session:
            token = session.get_one(Token, token_id)
            events.record(session, token, events.UPDATED, int(time.time()), self._archive.version)

    async def _wait_for_the_end(self, known: KnownToken) -> Outcome:
        until_s = time.monotonic() + CONFIRM_S
        while time.monotonic() < until_s:
            await asyncio.sleep(POLL_S)
            status = await known.link.command(messages.CMD_STATUS)
            self._heard_s = time.monotonic()
            if status["ur"] == RESULT_ROLLED_BACK:
                raise _WentBack
            if not status["ut"]:
                return Outcome.CONFIRMED
        return Outcome.ON_TRIAL


def _outcome(status: dict[str, object]) -> Outcome:
    return Outcome.ON_TRIAL if status["ut"] else Outcome.CONFIRMED


class _OtherToken(LinkError):
    """Not the one that was updated."""

    def __init__(self) -> None:
        super().__init__("Another token was plugged in meanwhile: ask the first one with `bztoken status`.")


class _WentBack(LinkError):
    """The new version did not live."""

    def __init__(self) -> None:
        super().__init__(
            "The new version did not start as it should: the token went back to the one it had, and nothing is lost; "
            "tell who built it."
        )
