"""A token that is nobody's: what it says of itself, the standard group, and that it keeps to itself what is sealed."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from smpclient.requests.os_management import DateTimeRead, DateTimeWrite, EchoWrite
from tests.device.desk import DeskToken
from tests.integration.standard_clients import smpmgr
from tests.integration.stranger import ask, cable, refusal, sealed

from bztoken.desk.application_build import arch_of
from bztoken.link.refusals import TokenRefused
from bztoken.link.requests import TokenRefusal
from bztoken.link.token_link import TokenLink
from bzwire import archive, cbor, errors, messages, smp
from bzwire.page import CLOCK_RTC, CLOCK_UNSET

HELLO = "xin chào, 世界"
RIGHT_S = 2.0


def test_it_says_that_it_is_blank_and_what_it_runs(blank: DeskToken) -> None:
    info = blank.first_info
    assert (info.protocol, info.provisioned, info.safe_mode) == (messages.PROTOCOL_VERSION, False, False)
    assert archive.parse_version(info.firmware) > (0, 0, 0)
    assert 0 < info.read_bytes <= messages.MAX_READ_BYTES


def test_board_and_chip_are_those_of_the_board_file(blank: DeskToken) -> None:
    info = blank.first_info
    assert info.board == blank.board.name
    assert info.mpy is not None and arch_of(info.mpy) == blank.board.arch


def test_a_clock_that_was_never_set_is_told_unless_a_chip_kept_it(blank: DeskToken) -> None:
    """On power-on; a board that was only reset since its last run keeps the time."""
    state = blank.first_info.clock_state
    if state == CLOCK_RTC:
        assert blank.has("rtc")
    elif state != CLOCK_UNSET:
        pytest.skip("its clock was set by an earlier run: pull the cable and the battery for a moment first")


def test_what_is_sent_comes_back(blank: DeskToken) -> None:
    for text in ("", HELLO, "0123456789" * 10):
        assert blank.echo(text) == text


def test_it_tells_how_long_a_request_may_be(blank: DeskToken) -> None:
    assert blank.parameters() == (smp.MAX_REQUEST_BYTES, 1)


def test_the_longest_request_is_answered(blank: DeskToken) -> None:
    text = "x" * (smp.MAX_REQUEST_BYTES - smp.HEADER_BYTES - len(cbor.dumps({"d": ""})) - 1)
    assert len(EchoWrite(d=text).BYTES) == smp.MAX_REQUEST_BYTES
    assert blank.echo(text) == text


def test_a_published_client_gets_its_echo(blank: DeskToken) -> None:
    ran = smpmgr(blank.port, "os", "echo", HELLO)
    assert ran.code == 0 and f"r='{HELLO}'" in ran.out


def test_a_published_client_restarts_it(blank: DeskToken) -> None:
    ran = smpmgr(blank.port, "os", "reset")
    assert ran.code == 0 and "ResetWriteResponse" in ran.out
    blank.wait_until_back()
    assert blank.echo(HELLO) == HELLO


def test_anybody_may_set_the_clock_of_a_blank_token(blank: DeskToken) -> None:
    async def run() -> str:
        async with cable(blank.port) as client:
            await ask(client, DateTimeWrite(datetime=datetime.now(UTC).replace(tzinfo=None).isoformat()))
            return str((await ask(client, DateTimeRead())).datetime)

    told = datetime.fromisoformat(asyncio.run(run())).replace(tzinfo=UTC)
    assert abs((told - datetime.now(UTC)).total_seconds()) < RIGHT_S


def test_nothing_that_is_sealed_is_answered(blank: DeskToken) -> None:
    async def run() -> list[int | None]:
        async with cable(blank.port) as client:
            wanted = range(messages.CMD_STATUS, messages.CMD_UPDATE_FINISH + 1)
            return [refusal(await ask(client, sealed(bytes(32), number, 1))) for number in wanted]

    assert set(asyncio.run(run())) == {errors.RC_NOT_AUTHENTICATED}


def test_it_has_nothing_to_prove(blank: DeskToken) -> None:
    async def run() -> Any:
        async with TokenLink(blank.port) as link:
            return await link.challenge()

    with pytest.raises(TokenRefused) as refused:
        asyncio.run(run())
    assert refused.value.code == TokenRefusal.NOT_PROVISIONED
