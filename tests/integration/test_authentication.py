"""Who may ask a token what: nothing but public facts for a stranger, nothing at all twice."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from smpclient.requests.os_management import DateTimeRead, DateTimeWrite, EchoWrite
from sqlalchemy import update
from tests.integration.clinic import Clinic, assert_whole, attached
from tests.integration.line import Line
from tests.integration.stranger import ask, cable, opened, prove, refusal, sealed

from bztoken.home import Home
from bztoken.registry import tokens
from bztoken.registry.database import create_registry, open_registry
from bztoken.registry.models import Token
from bztoken.sync import sync
from bzwire import errors, messages, smp

AN = "Bà An"
FIELDS = {
    messages.CMD_STATUS: {},
    messages.CMD_READ: {"s": 1, "o": 0, "n": 100},
    messages.CMD_ACKNOWLEDGE: {"s": 264},
    messages.CMD_SET_CLOCK: {"t": 1_800_000_000_000},
    messages.CMD_ASK_RELEASE: {"f": 0, "t": 1 << 20},
    messages.CMD_READ_RELEASE: {},
}


def other_registry(folder: Path, clinic: Clinic | None = None) -> Home:
    """A registry with a master key of its own; with `clinic` it even knows that one's token numbers."""
    home = Home(folder / "other")
    create_registry(home)
    if clinic is not None:
        with open_registry(clinic.home) as registry, registry.read() as session:
            numbers = [(token.label, token.uid) for token in tokens.all_tokens(session)]
        with open_registry(home) as registry, registry.write() as session:
            for label, uid in numbers:
                tokens.create(session, label, uid, tokens.ROLE_PERSON, "virtual", int(time.time()))
    return home


def clock_s(port: str) -> float:
    """The token's clock, as it tells anybody."""

    async def read() -> float:
        async with cable(port) as client:
            answer = await ask(client, DateTimeRead())
            return datetime.fromisoformat(answer.datetime).replace(tzinfo=UTC).timestamp()

    return asyncio.run(read())


@pytest.mark.parametrize("knows_numbers", [False, True])
def test_a_token_of_another_registry_is_not_read(
    clinic_of_an: Clinic, cli: Callable[..., object], tmp_path: Path, knows_numbers: bool
) -> None:
    clinic = clinic_of_an
    other = other_registry(tmp_path, clinic if knows_numbers else None)
    before = clinic.pages_in_flash(AN)
    with attached(clinic.fleet) as there:
        port = there.ports[AN]
        ran = cli("sync", "--port", port, home=other.path)
        assert ran.code == 1
        assert ran.err == (
            f"bztoken: The token at {port} is not of this registry: nothing was read; look in which registry it was "
            "provisioned.\n"
        )
        assert asyncio.run(clinic.acknowledged(port)) == 0
    assert Clinic(other, clinic.fleet).stored(AN) == []
    assert clinic.pages_in_flash(AN)[: len(before)] == before


@pytest.mark.parametrize("command", sorted(FIELDS))
def test_a_stranger_is_refused(clinic_of_an: Clinic, command: int) -> None:
    async def run(port: str) -> None:
        async with cable(port) as client:
            answer = await ask(client, sealed(bytes(32), command, 1, **FIELDS[command]))
            assert refusal(answer) == errors.RC_NOT_AUTHENTICATED
            _, answer = await prove(client, bytes(32))
            assert refusal(answer) == errors.RC_BAD_MAC
            answer = await ask(client, sealed(bytes(32), command, 2, **FIELDS[command]))
            assert refusal(answer) == errors.RC_NOT_AUTHENTICATED

    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        asyncio.run(run(port))
        assert asyncio.run(clinic_of_an.acknowledged(port)) == 0
        assert abs(clock_s(port) - time.time()) < 5


def test_a_request_is_taken_once(clinic_of_an: Clinic) -> None:
    async def run(port: str, auth_key: bytes) -> None:
        async with cable(port) as client:
            session, answer = await prove(client, auth_key)
            assert refusal(answer) is None
            for counter, wanted in ((5, None), (5, errors.RC_REPLAY), (4, errors.RC_REPLAY), (6, None)):
                answer = await ask(client, sealed(session, messages.CMD_READ, counter, s=1, o=0, n=50))
                assert refusal(answer) == wanted
            assert len(opened(session, messages.CMD_READ, answer)["d"]) == 50

    with attached(clinic_of_an.fleet) as there:
        asyncio.run(run(there.ports[AN], clinic_of_an.auth_key(AN)))


@pytest.mark.parametrize("part", ["b", "m", "c"])
def test_a_changed_request_is_refused_and_the_session_goes_on(clinic_of_an: Clinic, part: str) -> None:
    async def run(port: str, auth_key: bytes) -> None:
        async with cable(port) as client:
            session, _ = await prove(client, auth_key)
            good = sealed(session, messages.CMD_ACKNOWLEDGE, 1, s=100)
            changed = {"c": good.c, "b": good.b, "m": good.m}
            value = changed[part]
            changed[part] = value + 1 if isinstance(value, int) else value[:-1] + bytes((value[-1] ^ 1,))
            answer = await ask(client, type(good)(**changed))
            assert refusal(answer) == errors.RC_BAD_MAC
            answer = await ask(client, sealed(session, messages.CMD_STATUS, 2))
            assert opened(session, messages.CMD_STATUS, answer)["a"] == 0

    with attached(clinic_of_an.fleet) as there:
        asyncio.run(run(there.ports[AN], clinic_of_an.auth_key(AN)))


def test_a_request_of_one_command_is_not_taken_as_another(clinic_of_an: Clinic) -> None:
    async def run(port: str, auth_key: bytes) -> None:
        async with cable(port) as client:
            session, _ = await prove(client, auth_key)
            read = sealed(session, messages.CMD_READ, 1, s=100, o=0, n=1)
            other = type(sealed(session, messages.CMD_ACKNOWLEDGE, 1, s=1))
            assert refusal(await ask(client, other(c=read.c, b=read.b, m=read.m))) == errors.RC_BAD_MAC

    with attached(clinic_of_an.fleet) as there:
        asyncio.run(run(there.ports[AN], clinic_of_an.auth_key(AN)))
        assert asyncio.run(clinic_of_an.acknowledged(there.ports[AN])) == 0


def test_a_new_greeting_ends_the_session_before(clinic_of_an: Clinic) -> None:
    async def run(port: str, auth_key: bytes) -> None:
        async with cable(port) as client:
            first, _ = await prove(client, auth_key)
            second, _ = await prove(client, auth_key)
            assert refusal(await ask(client, sealed(first, messages.CMD_STATUS, 9))) == errors.RC_BAD_MAC
            assert refusal(await ask(client, sealed(second, messages.CMD_STATUS, 1))) is None

    with attached(clinic_of_an.fleet) as there:
        asyncio.run(run(there.ports[AN], clinic_of_an.auth_key(AN)))


def test_a_strangers_time_is_refused_and_the_clock_stays(clinic_of_an: Clinic) -> None:
    async def run(port: str) -> None:
        async with cable(port) as client:
            wrong = (datetime.now(UTC) + timedelta(days=3)).replace(tzinfo=None)
            answer = await ask(client, DateTimeWrite(datetime=wrong.isoformat(timespec="seconds")))
            assert refusal(answer) == errors.MGMT_EACCESSDENIED

    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        asyncio.run(run(port))
        assert abs(clock_s(port) - time.time()) < 5


def test_echo_and_time_are_public(clinic_of_an: Clinic) -> None:
    async def run(port: str) -> None:
        async with cable(port) as client:
            assert (await ask(client, EchoWrite(d="xin chào"))).r == "xin chào"

    with attached(clinic_of_an.fleet) as there:
        asyncio.run(run(there.ports[AN]))
        assert abs(clock_s(there.ports[AN]) - time.time()) < 5


def test_a_token_that_was_swapped_for_another_is_noticed(clinic: Clinic, cli: Callable[..., object]) -> None:
    """The registry's row names another number: the proof fits nobody."""
    clinic.keep_only(AN)
    with open_registry(clinic.home) as registry, registry.write() as session:
        session.execute(update(Token).where(Token.label == AN).values(uid=bytes(8)))
    with attached(clinic.fleet) as there:
        ran = cli("sync", "--port", there.ports[AN])
    assert ran.code == 1 and "is not of this registry" in ran.err


class OldAnswer:
    """Somebody on the cable answers the third read with the answer to the first, numbered and checksummed anew."""

    def __init__(self) -> None:
        self._decoder = smp.LineDecoder()
        self._first = b""
        self._reads = 0

    def to_host(self, _passed: int, data: bytes) -> bytes:
        """For a Line: whole messages only."""
        arrives = b""
        for packet in self._decoder.feed(data):
            message = smp.unpack_message(packet)
            if message.group == smp.GROUP_TOKEN and message.command == messages.CMD_READ:
                self._reads += 1
                self._first = self._first or message.body
                message.body = self._first if self._reads == 3 else message.body
            arrives += b"".join(smp.encode_lines(message.pack()))
        return arrives


def test_an_old_answer_is_not_taken_for_a_new_one(clinic_of_an: Clinic) -> None:
    in_flash = clinic_of_an.pages_in_flash(AN)
    with attached(clinic_of_an.fleet) as there, Line(there.ports[AN], to_host=OldAnswer().to_host) as line:
        result = sync(clinic_of_an.home, line.path, lambda _done, _total: None)
    assert result.repeats == 1
    assert_whole(clinic_of_an.stored(AN), in_flash)
