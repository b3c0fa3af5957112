"""A token and its row in the registry: wherever handing over the keys is cut, none is lost and none is doubled."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.clinic import Clinic, attached
from tests.integration.line import Line, clean
from tests.integration.requests_seen import CutAtAnswer, LosesOneAnswer, at_request, pull_out
from tests.integration.stranger import ask, cable, refusal

from bztoken.errors import LinkError, RegistryError
from bztoken.link import requests
from bztoken.link.token_link import Info, TokenLink
from bztoken.provision import provision
from bztoken.registry import tokens
from bztoken.registry.database import open_registry
from bztoken.sync import sync
from bzwire import errors, messages

Cli = Callable[..., Any]
BLANK, EM = "blank-1", "Bà Em"


def quiet(_done: int, _total: int) -> None:
    """Nobody watches."""


def labels(clinic: Clinic) -> list[str]:
    """Of every token in the registry."""
    with open_registry(clinic.home) as registry, registry.read() as session:
        return [token.label for token in tokens.all_tokens(session)]


def test_a_new_token_is_known_and_its_clock_runs(clinic: Clinic, tmp_path: Path) -> None:
    with attached(tmp_path / "blank", 1) as there:
        done = provision(clinic.home, there.ports[BLANK], EM)
        assert (done.label, done.role, done.board) == (EM, "person", "virtual")
        status = asyncio.run(clinic.command(there.ports[BLANK], messages.CMD_STATUS))
        assert status["ck"] == 1 and status["bo"] == 1
    assert EM in labels(clinic)


@pytest.mark.parametrize("command", [messages.CMD_PROVISION, messages.CMD_HELLO, messages.CMD_AUTHENTICATE])
def test_a_token_that_may_hold_its_keys_is_finished_by_the_next_try(
    clinic: Clinic, tmp_path: Path, command: int
) -> None:
    cut = CutAtAnswer(command)
    with attached(tmp_path / "blank", 1) as there:
        port = there.ports[BLANK]
        with Line(port, clean, cut.to_host, cut.on_request) as line, pytest.raises(LinkError):
            provision(clinic.home, line.path, EM)
        assert EM in labels(clinic)
        assert provision(clinic.home, port, EM).label == EM
        assert sync(clinic.home, port, quiet).label == EM
        with pytest.raises(LinkError, match="belongs to a registry already"):
            provision(clinic.home, port, EM)
    assert labels(clinic)[4:] == [EM]


def test_a_label_begun_with_one_token_may_be_given_to_another(clinic: Clinic, tmp_path: Path) -> None:
    """Two tokens never share a number, and the one that was left half done is not lost."""
    cut = CutAtAnswer(messages.CMD_PROVISION)
    with attached(tmp_path / "blank", 2) as there:
        one, other = there.ports["blank-1"], there.ports["blank-2"]
        with (
            Line(one, clean, cut.to_host, cut.on_request) as line,
            pytest.raises(LinkError, match="same command again"),
        ):
            provision(clinic.home, line.path, EM)
        assert provision(clinic.home, other, EM).label == EM
        with pytest.raises(RegistryError, match="another token has this label"):
            provision(clinic.home, one, EM)
        assert provision(clinic.home, one, "Bà Gấm").label == "Bà Gấm"
        assert [sync(clinic.home, port, quiet).label for port in (one, other)] == ["Bà Gấm", EM]
    assert labels(clinic)[4:] == ["Bà Gấm", EM]


def test_a_token_that_never_got_its_keys_is_provisioned_by_the_next_try(clinic: Clinic, tmp_path: Path) -> None:
    with attached(tmp_path / "blank", 1) as there:
        port = there.ports[BLANK]
        on_request = at_request(messages.CMD_PROVISION, 1, pull_out)
        with Line(port, on_request=on_request) as line, pytest.raises(LinkError):
            provision(clinic.home, line.path, EM)
        assert provision(clinic.home, port, EM).label == EM
        assert sync(clinic.home, port, quiet).label == EM
    assert labels(clinic).count(EM) == 1


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("direction", ["token", "host"])
def test_a_lost_hand_over_ends_in_a_known_token_or_none(clinic: Clinic, tmp_path: Path, direction: str) -> None:
    loses = LosesOneAnswer(messages.CMD_PROVISION)
    swallows = at_request(messages.CMD_PROVISION, 1, lambda: None, swallow=True)
    with attached(tmp_path / "blank", 1) as there:
        port = there.ports[BLANK]
        faults = (clean, clean, swallows) if direction == "token" else (clean, loses.to_host, loses.on_request)
        with Line(port, *faults) as line:
            if direction == "host":
                provision(clinic.home, line.path, EM)
            else:
                with pytest.raises(LinkError):
                    provision(clinic.home, line.path, EM)
                assert EM not in labels(clinic)
        if direction == "token":
            provision(clinic.home, port, EM)
        assert sync(clinic.home, port, quiet).label == EM


def test_a_label_in_use_is_refused_before_the_token_is_touched(clinic: Clinic, tmp_path: Path) -> None:
    with attached(tmp_path / "blank", 1) as there:
        with pytest.raises(RegistryError, match="another token has this label"):
            provision(clinic.home, there.ports[BLANK], "Bà An")
        assert provision(clinic.home, there.ports[BLANK], EM).label == EM


def test_new_keys_for_a_token_that_has_some_are_refused(clinic_of_an: Clinic) -> None:
    async def run(port: str) -> None:
        async with cable(port) as client:
            answer = await ask(client, requests.Provision(u=bytes(8), k=bytes(32), l=bytes(32), r="person"))
            assert refusal(answer) == errors.RC_ALREADY_PROVISIONED

    with attached(clinic_of_an.fleet) as there:
        asyncio.run(run(there.ports["Bà An"]))
        assert sync(clinic_of_an.home, there.ports["Bà An"], quiet).pages_new > 0


def test_a_token_that_is_still_writing_over_its_flash_is_left_to_it(clinic_of_an: Clinic) -> None:
    """On a busy computer it may be done before anybody asks: then it is handed out and wiped again."""
    clinic, label = clinic_of_an, "Bà An"
    with attached(clinic.fleet) as there:
        port = there.ports[label]
        for again in range(6):
            with open_registry(clinic.home) as registry, registry.read() as session:
                uid = tokens.by_known_label(session, label).uid
            asyncio.run(clinic.command(port, messages.CMD_WIPE, u=uid))
            info = wait_for(port, lambda info: not info.provisioned)
            with open_registry(clinic.home) as registry, registry.write() as session:
                tokens.wiped(session, tokens.by_known_label(session, label), int(time.time()))
            if info.erasing:
                break
            label = f"again {again}"
            provision(clinic.home, port, label)
        assert info.erasing
        with pytest.raises(
            LinkError, match="still writes over what was deleted when it was wiped: leave it plugged in"
        ):
            provision(clinic.home, port, EM)
        assert EM not in labels(clinic)


def wait_for(port: str, is_so: Callable[[Info], bool]) -> Info:
    """What the token says as soon as it is so; it restarts meanwhile."""

    async def ask() -> Info:
        async with TokenLink(port) as link:
            return await link.info()

    until_s = time.monotonic() + 120
    while time.monotonic() < until_s:
        try:
            info = asyncio.run(ask())
        except LinkError:
            continue
        if is_so(info):
            return info
    raise AssertionError("it never came")
