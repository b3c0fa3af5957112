"""Published MCUmgr clients work with a token, and get from it what SPEC.md says is public, and nothing else."""

import asyncio
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from smpclient.requests.os_management import EchoWrite
from tests.integration.clinic import Attached, Clinic, assert_whole, attached
from tests.integration.line import Line
from tests.integration.standard_clients import Answer, Heard, secrets_of, smpmgr, toolkit
from tests.integration.stranger import ask, cable, refusal
from tests.program import Program

from bztoken.link import requests
from bzvirtual import realtime
from bzwire import cbor, errors, keys, messages, smp

AN = "Bà An"
BLANK = "blank-1"
HELLO = "xin chào, 世界"
NOT_SUPPORTED = "MGMT_ERR_ENOTSUP"
NOT_AUTHENTICATED = f"group={smp.GROUP_TOKEN},rc={errors.RC_NOT_AUTHENTICATED}"
RIGHT_S = 2.0
RESTART_S = 30.0
# Groups of the SMP specification (OS, image, statistics, settings, .., Zephyr), the ends of the range, beside ours.
OTHER_GROUPS = (*range(1, 11), 63, 64, smp.GROUP_TOKEN - 1, smp.GROUP_TOKEN + 1, 65535)
OS_SERVED = (smp.OS_ECHO, smp.OS_DATETIME, smp.OS_RESET, smp.OS_PARAMETERS)


def longest_echo(request_bytes: int) -> str:
    """Text that makes an echo request just so long."""
    text = "x" * (request_bytes - smp.HEADER_BYTES - len(cbor.dumps({"d": ""})) - 1)
    assert smp.HEADER_BYTES + len(cbor.dumps({"d": text})) == request_bytes
    return text


FITS = longest_echo(smp.MAX_REQUEST_BYTES)
TOO_LONG = (longest_echo(smp.MAX_REQUEST_BYTES + 1), "x" * 600)


def now_utc() -> datetime:
    """As the clients want it: without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def off_s(told: Answer) -> float:
    """How far a token's date and time is off."""
    return abs((datetime.fromisoformat(told.value) - now_utc()).total_seconds())


def pid_of(folder: Path, label: str) -> int:
    """The process of a virtual token: another one after each restart."""
    return int(realtime.order(folder, do="look", token=label)["pid"])


def answers_again(port: str) -> bool:
    end = time.monotonic() + RESTART_S
    while time.monotonic() < end:
        if toolkit(port, ("os_echo", HELLO), timeout_ms=500)[0].value == HELLO:
            return True
    return False


# -- what works, on a blank token ----------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Folder and port of a token that nobody has been given."""
    folder = tmp_path_factory.mktemp("blank")
    with attached(folder, blank=1) as there:
        yield folder, there.ports[BLANK]


def test_smpmgr_gets_its_echo(blank: tuple[Path, str]) -> None:
    ran = smpmgr(blank[1], "os", "echo", HELLO)
    assert ran.code == 0 and f"r='{HELLO}'" in ran.out


def test_smpmgr_restarts_the_token(blank: tuple[Path, str]) -> None:
    folder, port = blank
    before = pid_of(folder, BLANK)
    ran = smpmgr(port, "os", "reset")
    assert ran.code == 0 and "ResetWriteResponse" in ran.out
    assert answers_again(port)
    assert pid_of(folder, BLANK) != before


def test_smpmgr_sends_what_fits_and_is_not_answered_when_told_to_send_more(blank: tuple[Path, str]) -> None:
    port = blank[1]
    fits = smpmgr(port, "--line-buffers", 8, "os", "echo", FITS)
    assert fits.code == 0 and f"r='{FITS}'" in fits.out
    refused = smpmgr(port, "os", "echo", TOO_LONG[1])
    assert refused.code == 1 and "exceeds maximum unencoded size" in refused.err
    lost = smpmgr(port, "--line-buffers", 8, "--timeout", 0.5, "os", "echo", TOO_LONG[1])
    assert lost.code == 1 and "Timeout waiting for response" in lost.out
    assert toolkit(port, ("os_echo", HELLO))[0].value == HELLO


def test_the_toolkit_gets_echo_and_parameters(blank: tuple[Path, str]) -> None:
    told = toolkit(blank[1], ("check_connection",), ("os_echo", HELLO), ("os_echo", ""), ("os_mcumgr_parameters",))
    assert [answer.error for answer in told] == [""] * 4
    assert [answer.value for answer in told[1:3]] == [HELLO, ""]
    assert told[3].value == {"buf_size": smp.MAX_REQUEST_BYTES, "buf_count": 1}


def test_the_longest_request_is_answered_and_a_longer_one_is_not(blank: tuple[Path, str]) -> None:
    port = blank[1]
    assert toolkit(port, ("use_auto_frame_size",), ("os_echo", FITS))[1].value == FITS
    for text in TOO_LONG:
        lost, after = toolkit(port, ("os_echo", text), ("os_echo", HELLO), timeout_ms=300)
        assert "A timeout occurred" in lost.error
        assert after.value == HELLO


def test_our_own_client_sends_the_longest_request_too(blank: tuple[Path, str]) -> None:
    """smpclient by itself takes the frame off what the token tells, and would refuse the last four bytes."""

    async def run(port: str) -> Any:
        async with cable(port) as client:
            return await ask(client, EchoWrite(d=FITS))

    request = EchoWrite(d=FITS)
    assert len(request.BYTES) == smp.MAX_REQUEST_BYTES
    assert asyncio.run(run(blank[1])).r == FITS


def test_the_toolkit_sets_the_clock_of_a_blank_token_within_reason(blank: tuple[Path, str]) -> None:
    port = blank[1]
    wrong = [("os_set_datetime", {"utc": text}) for text in ("2025-12-31T23:59:59", "2101-01-01T00:00:00")]
    assert ["MGMT_ERR_EINVAL" in answer.error for answer in toolkit(port, *wrong)] == [True, True]
    set_, told = toolkit(port, ("os_set_datetime", {"utc": now_utc().isoformat()}), ("os_get_datetime",))
    assert set_.error == "" and off_s(told) < RIGHT_S


def test_the_toolkit_restarts_the_token(blank: tuple[Path, str]) -> None:
    folder, port = blank
    before = pid_of(folder, BLANK)
    assert toolkit(port, ("os_system_reset",))[0].error == ""
    assert answers_again(port)
    assert pid_of(folder, BLANK) != before


# -- what strangers get of a token that is somebody's --------------------------------------------------------------
class Stranger:
    """At the cable of Bà An's token, with a record of all that comes out of it."""

    def __init__(self, clinic: Clinic, there: Attached) -> None:
        self.clinic = clinic
        self.folder = clinic.fleet
        self.token = there.ports[AN]
        self.heard = Heard()

    def run(self, *calls: tuple[object, ...]) -> list[Answer]:
        """Calls of the toolkit, overheard; something is answered to each."""
        before = len(self.heard.messages())
        with Line(self.token, to_host=self.heard.to_host) as line:
            told = toolkit(line.path, *calls)
        assert len(self.heard.messages()) - before == len(calls)
        return told


@pytest.fixture
def stranger(clinic_of_an: Clinic) -> Iterator[Stranger]:
    secret = secrets_of(clinic_of_an.image(AN), AN)
    assert len(secret) > 4 and min(map(len, secret)) >= 8
    with attached(clinic_of_an.fleet) as there:
        found = Stranger(clinic_of_an, there)
        yield found
    assert found.heard.raw
    assert found.heard.leaks(secret) == []


def test_a_secret_that_is_told_would_be_found(clinic_of_an: Clinic) -> None:
    """The search of the other tests, where there is something to find: a session's STATUS says the token's number."""
    secret = secrets_of(clinic_of_an.image(AN), AN)
    heard = Heard()
    with attached(clinic_of_an.fleet) as there, Line(there.ports[AN], to_host=heard.to_host) as line:
        asyncio.run(clinic_of_an.command(line.path, messages.CMD_STATUS))
    assert len(heard.leaks(secret)) >= 1


def test_a_stranger_gets_echo_parameters_and_time_but_does_not_set_the_clock(stranger: Stranger) -> None:
    later = {"utc": (now_utc() + timedelta(days=3)).isoformat()}
    told = stranger.run(
        ("os_echo", HELLO),
        ("os_mcumgr_parameters",),
        ("os_get_datetime",),
        ("os_set_datetime", later),
        ("os_get_datetime",),
    )
    assert told[0].value == HELLO
    assert told[1].value == {"buf_size": smp.MAX_REQUEST_BYTES, "buf_count": 1}
    assert off_s(told[2]) < RIGHT_S and off_s(told[4]) < RIGHT_S
    assert "MGMT_ERR_EACCESSDENIED" in told[3].error


def test_info_says_what_the_token_is_and_not_whose(stranger: Stranger) -> None:
    written, read = stranger.run(*(("raw_command", write, smp.GROUP_TOKEN, 0, {}) for write in (True, False)))
    assert written.value == read.value
    assert set(written.value) == {"p", "fw", "b", "pr", "ck", "sm", "rb", "mp"}
    assert (written.value["pr"], written.value["b"]) == (True, "virtual")


def test_every_sealed_command_is_refused_to_a_stranger(stranger: Stranger) -> None:
    wrong = ({}, {"c": 1, "b": [160], "m": [0] * 16}, {"c": 1, "b": "", "m": "0" * 16}, {"u": 1, "s": 1, "t": 1})
    calls = [
        ("raw_command", write, smp.GROUP_TOKEN, number, fields)
        for number in requests.SEALED
        for fields in wrong
        for write in (True, False)
    ]
    assert sorted(requests.SEALED) == list(range(messages.CMD_STATUS, messages.CMD_UPDATE_FINISH + 1))
    assert [answer for answer in stranger.run(*calls) if NOT_AUTHENTICATED not in answer.error] == []


def test_an_envelope_made_of_nothing_is_refused_too(stranger: Stranger) -> None:
    """The toolkit cannot send byte strings: these come from the client under our own, before and after a HELLO."""

    async def sealed(port: str) -> list[int | None]:
        async with cable(port) as client:
            made = [
                request(c=1, b=cbor.dumps({}), m=secrets.token_bytes(keys.MAC_BYTES))
                for request in requests.SEALED.values()
            ]
            found = [refusal(await ask(client, request)) for request in made]
            hello = await ask(client, requests.Hello(nh=secrets.token_bytes(keys.NONCE_BYTES)))
            assert len(hello.nt) == keys.NONCE_BYTES
            return found + [refusal(await ask(client, request)) for request in made]

    with Line(stranger.token, to_host=stranger.heard.to_host) as line:
        found = asyncio.run(sealed(line.path))
    assert found == [errors.RC_NOT_AUTHENTICATED] * (2 * len(requests.SEALED))


def test_groups_and_commands_that_a_token_does_not_have_are_not_supported(stranger: Stranger) -> None:
    swept = [
        ("raw_command", write, group, command, {})
        for group in OTHER_GROUPS
        for command in range(8)
        for write in (True, False)
    ]
    swept += [("raw_command", True, smp.GROUP_OS, command, {}) for command in range(16) if command not in OS_SERVED]
    swept += [("raw_command", False, smp.GROUP_OS, smp.OS_RESET, {})]
    assert [answer for answer in stranger.run(*swept) if NOT_SUPPORTED not in answer.error] == []
    none = stranger.run(
        *(("raw_command", True, smp.GROUP_TOKEN, number, {}) for number in (messages.CMD_UPDATE_FINISH + 1, 64, 255))
    )
    bad = f"group={smp.GROUP_TOKEN},rc={errors.RC_BAD_REQUEST}"
    assert [bad in answer.error for answer in none] == [True] * 3


def test_what_the_clients_offer_beside_that_is_not_supported(stranger: Stranger) -> None:
    offered = [
        ("os_task_statistics",),
        ("os_application_info",),
        ("os_bootloader_info",),
        ("image_get_state",),
        ("image_erase",),
        ("fs_file_status", "/identity"),
        ("fs_file_checksum", "/log_key"),
        ("settings_read", "settings"),
        ("shell_execute", ["cat", "/identity"]),
        ("stats_list_groups",),
        ("enum_get_group_ids",),
        ("zephyr_erase_storage",),
    ]
    assert [answer for answer in stranger.run(*offered) if NOT_SUPPORTED not in answer.error] == []
    with Line(stranger.token, to_host=stranger.heard.to_host) as line:
        ran = smpmgr(line.path, "image", "state-read")
    assert "ENOTSUP" in ran.out


# -- and afterwards ------------------------------------------------------------------------------------------------
def test_a_sync_goes_on_after_strangers_as_if_nobody_had_been_there(clinic_of_an: Clinic, cli: Program) -> None:
    in_flash = clinic_of_an.pages_in_flash(AN)
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        boot = asyncio.run(clinic_of_an.command(port, messages.CMD_STATUS))["bo"]
        toolkit(port, ("raw_command", True, smp.GROUP_TOKEN, messages.CMD_WIPE, {}), ("os_echo", FITS))
        assert smpmgr(port, "os", "echo", HELLO).code == 0
        assert smpmgr(port, "os", "reset").code == 0
        assert answers_again(port)
        assert cli("sync", "--port", port).code == 0
        status = asyncio.run(clinic_of_an.command(port, messages.CMD_STATUS))
    assert status["bo"] == boot + 1
    assert_whole(clinic_of_an.stored(AN), in_flash)
