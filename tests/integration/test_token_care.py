"""Status, settings, notice and self-test on real tokens behind ports, and a token that has to wake up first."""

import asyncio
import json
import os
import signal
import struct
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.clinic import Clinic, attached, mounted, save_image
from tests.integration.line import Line

from bztoken.link import requests, token_link
from bztoken.link.refusals import TokenRefused, TokenTooOld
from bztoken.link.requests import TokenRefusal
from bzwire import messages
from bzwire.smp import Message

Cli = Callable[..., Any]
AN = "Bà An"
FAILED_BOOTS = 3
UNKNOWN_COMMAND = 99


def test_a_healthy_token_needs_nothing_and_tells_all(clinic_of_an: Clinic, cli: Cli) -> None:
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        said = cli("status", "--port", port)
        assert said.code == 0
        assert said.out.startswith("Nothing needs to be done.\nBà An (person).\nBattery: good (")
        assert "page to sync" in said.out or "pages to sync" in said.out
        found = cli("status", "--port", port, "--json").document()
        assert (found["needs"], found["role"], found["clock_state"]) == ([], "person", 2)
        assert found["pages"] == found["pages_waiting"] >= len(clinic_of_an.pages_in_flash(AN)) > 0
        assert abs(found["clock_offset_ms"]) < 1000
        cli("sync", "--port", port)
        assert cli("status", "--port", port, "--json").document()["pages_waiting"] == 0


def test_settings_change_together_or_not_at_all(clinic_of_an: Clinic, cli: Cli) -> None:
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        before = cli("settings", "--port", port, "--json").document()
        assert before == {
            "label": AN,
            "profile": "continuous",
            "scheme": "bluezone",
            "hear": "own",
            "retention_days": 14,
            "notice": False,
        }
        told = cli("settings", "--port", port, "--profile", "windowed", "--hear", "both", "--retention", 20, "--json")
        after = {**before, "profile": "windowed", "hear": "both", "retention_days": 20}
        assert told.document() == after
        assert cli("settings", "--port", port, "--scheme", "gaen", "--retention", 22).code == 2
        there.order("reset", AN)
        assert cli("settings", "--port", port, "--json").document() == after
        assert (
            "profile windowed, broadcasts bluezone, hears both schemes, keeps 20 days"
            in cli("settings", "--port", port).out
        )


def test_the_notice_is_shown_until_it_is_cleared(clinic_of_an: Clinic, cli: Cli) -> None:
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        assert cli("notice", "set", "--port", port, "--json").document()["notice"] is True
        assert "The exposure notice is on" in cli("status", "--port", port).out
        assert cli("notice", "clear", "--port", port).out == "Bà An does not show an exposure notice.\n"
        assert cli("settings", "--port", port, "--json").document()["notice"] is False


def test_two_new_tokens_examine_themselves_and_hear_each_other(clinic: Clinic, cli: Cli, tmp_path: Path) -> None:
    with attached(tmp_path / "blank", 2) as there:
        one, other = there.ports.values()
        site = cli(
            "provision",
            "--port",
            other,
            "--label",
            "Chợ",
            "--role",
            "site",
            "--place",
            "Chợ",
            "--profile",
            "continuous",
        )
        assert "Settings: profile continuous, broadcasts bluezone" in site.out and "keeps 21 days" in site.out
        done = cli("provision", "--port", one, "--label", "Bà Em", "--profile", "windowed", "--json").document()
        assert done["settings"]["profile"] == "windowed"
        refused = cli("settings", "--port", other, "--profile", "windowed", "--hear", "both")
        assert (refused.code, refused.out) == (1, "") and "always on" in refused.err
        assert cli("settings", "--port", other, "--json").document()["hear"] == "own"
        pressing = threading.Timer(3, lambda: there.order("press", "blank-1", hold_s=0.2))
        pressing.start()
        ran = cli("selftest", "--port", one, "--neighbour", other, "--json")
        pressing.join()
        assert ran.code == 0 and "red, green and blue" in ran.err
        found = ran.document()
        assert found["passed"]
        assert [token["heard_by_neighbour"] for token in found["tokens"]] == ["heard", "heard"]
        assert [token["button_pressed"] for token in found["tokens"]] == [True, False]


def test_a_token_that_hears_nobody_or_is_not_heard_is_told(clinic: Clinic, cli: Cli) -> None:
    """On the desk of a fleet that lived, tokens are out of each other's reach."""
    with attached(clinic.fleet) as there:
        one, other = list(there.ports.values())[:2]
        ran = cli("selftest", "--port", one, "--neighbour", other)
    assert ran.code == 1
    assert ran.err.splitlines()[-1].startswith("bztoken: The self-test failed on Bà An (radio) and ")
    assert "heard nobody" in ran.out and "not pressed" in ran.out


def fail_boots(clinic: Clinic) -> None:
    """As a token leaves its flash that could not start three times."""
    flash = mounted(clinic.image(AN))
    content = struct.pack("<IB", 7, FAILED_BOOTS)
    with flash.open("/boot_count", "wb") as file:
        file.write(content + struct.pack("<I", zlib.crc32(content)))
    save_image(flash, clinic.image(AN))


def test_a_token_in_safe_mode_says_so_and_is_still_read(clinic_of_an: Clinic, cli: Cli) -> None:
    in_flash = clinic_of_an.pages_in_flash(AN)
    fail_boots(clinic_of_an)
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        assert "safe mode: bring it to a technician" in cli("info", "--port", port).out
        assert cli("info", "--port", port, "--json").document()["safe_mode"] is True
        assert cli("status", "--port", port).out.startswith("Bring it to a technician: ")
        assert cli("sync", "--port", port).code == 0
        assert [page.raw for page in clinic_of_an.stored(AN)] == in_flash


def test_a_low_battery_comes_before_everything_else(clinic_of_an: Clinic, cli: Cli) -> None:
    with attached(clinic_of_an.fleet) as there:
        there.order("battery", AN, mv=3500)
        there.order("reset", AN)  # it looks at its battery when it starts, then once a minute
        port = there.ports[AN]
        assert cli("info", "--port", port).code == 0
        until = time.monotonic() + 60
        while cli("status", "--port", port, "--json").document()["battery"] < 2:
            assert time.monotonic() < until
            time.sleep(0.3)
        assert cli("status", "--port", port).out.startswith("Charge it: the battery is low.\n")


def deaf_for(seconds: float) -> Callable[[int, bytes], bytes]:
    """A token that sleeps for so long after the first byte: what comes before it wakes up is lost."""
    wakes_at: list[float] = []

    def fault(_passed: int, data: bytes) -> bytes:
        wakes_at.append(time.monotonic() + seconds)
        return data if time.monotonic() >= wakes_at[0] else b""

    return fault


def test_a_token_that_sleeps_is_waited_for(clinic_of_an: Clinic, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_link, "TIMEOUT_S", 0.3)
    monkeypatch.setattr(token_link, "TOLD_AFTER_S", 0.5)
    with attached(clinic_of_an.fleet) as there:
        with Line(there.ports[AN], to_token=deaf_for(3)) as line:
            ran = cli("status", "--port", line.path, "--json")
        assert ran.code == 0 and json.loads(ran.out)["label"] == AN
        assert ran.err == "Waiting for the token to wake up; a short press of its button helps.\n"


def test_a_token_whose_answers_come_late_is_one(
    clinic_of_an: Clinic, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was busy: what it answers first are questions that were given up."""
    monkeypatch.setattr(token_link, "TIMEOUT_S", 0.6)
    asked: list[Message] = []
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        assert cli("info", "--port", port).code == 0
        pid = int(there.look(AN)["pid"])

        def goes_on_at_the_fourth(request: Message) -> bool:
            asked.append(request)
            if len(asked) == 4:
                os.kill(pid, signal.SIGCONT)
            return True

        os.kill(pid, signal.SIGSTOP)
        with Line(port, on_request=goes_on_at_the_fourth) as line:
            ran = cli("info", "--port", line.path)
    assert ran.code == 0 and len(asked) > 4, ran.err


class NewerCommand(requests.SealedRequest):
    """One that the token's firmware does not have, as 0.1 has no SETTINGS."""

    _COMMAND_ID = UNKNOWN_COMMAND


def test_a_command_that_the_firmware_lacks_asks_for_an_update(
    clinic_of_an: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(requests.SEALED, UNKNOWN_COMMAND, NewerCommand)
    monkeypatch.setattr(requests, "LATER", {UNKNOWN_COMMAND})
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        with pytest.raises(TokenTooOld, match="too old for this command"):
            asyncio.run(clinic_of_an.command(port, UNKNOWN_COMMAND))
        with pytest.raises(TokenRefused) as refused:  # of a command that every firmware has
            asyncio.run(clinic_of_an.command(port, messages.CMD_ACKNOWLEDGE, s=-1))
        assert refused.value.code == TokenRefusal.BAD_REQUEST


def garbled(_passed: int, data: bytes) -> bytes:
    """Something else speaks."""
    return b"x" * len(data)


def test_a_device_that_talks_is_not_waited_for(clinic_of_an: Clinic, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_link, "TIMEOUT_S", 0.2)
    monkeypatch.setattr(token_link, "WAKE_S", 150.0)
    with attached(clinic_of_an.fleet) as there, Line(there.ports[AN], to_host=garbled) as line:
        began = time.monotonic()
        ran = cli("status", "--port", line.path)
        assert time.monotonic() - began < 50
    assert ran.code == 1 and "does not answer as a token" in ran.err and len(ran.err.splitlines()) == 1
