"""The token restarts, or its cable is pulled and put back, in the middle of a sync."""

import asyncio
from collections.abc import Callable

import pytest
from tests.integration.clinic import Clinic, assert_beginning, assert_whole, attached
from tests.integration.line import Line
from tests.integration.requests_seen import at_request

from bztoken.errors import LinkError
from bztoken.sync import sync
from bzwire import messages

AN = "Bà An"


def quiet(_done: int, _total: int) -> None:
    """Nobody watches."""


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("command", "number"),
    [(messages.CMD_AUTHENTICATE, 1), (messages.CMD_READ, 1), (messages.CMD_READ, 11), (messages.CMD_ACKNOWLEDGE, 1)],
)
def test_a_token_that_restarts_is_greeted_again_and_read_to_the_end(
    clinic_of_an: Clinic, command: int, number: int
) -> None:
    clinic = clinic_of_an
    in_flash = clinic.pages_in_flash(AN)
    with attached(clinic.fleet) as there:
        port = there.ports[AN]
        on_request = at_request(command, number, lambda: there.order("reset", AN))
        with Line(port, on_request=on_request) as line:
            result = sync(clinic.home, line.path, quiet)
        stored = clinic.stored(AN)
        status = asyncio.run(clinic.command(port, messages.CMD_STATUS))
        assert status["a"] == stored[-1].sequence
        assert status["bo"] == 3  # its life, the start on the desk, the restart
    assert result.pages_new == len(stored)
    assert_whole(stored, in_flash)


@pytest.mark.usefixtures("impatient")
def test_an_unplugged_sync_says_so_and_goes_on_after_plugging_in(
    clinic_of_an: Clinic, cli: Callable[..., object]
) -> None:
    clinic = clinic_of_an
    in_flash = clinic.pages_in_flash(AN)
    with attached(clinic.fleet) as there:
        port = there.ports[AN]
        with Line(port, on_request=at_request(messages.CMD_READ, 11, lambda: there.order("unplug", AN))) as line:
            ran = cli("sync", "--port", line.path)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err == (
            f"bztoken: The token at {line.path} stopped answering: what was read so far is safe, plug it in again and "
            "repeat.\n"
        )
        before = clinic.stored(AN)
        assert 0 < len(before) < len(in_flash)
        assert_beginning(before, in_flash)
        there.order("plug", AN)
        again = cli("sync", "--port", port)
        assert again.code == 0 and "Synced Bà An" in again.out
        assert_whole(clinic.stored(AN), in_flash)


@pytest.mark.usefixtures("impatient")
def test_a_token_that_is_not_plugged_in_does_not_answer(clinic_of_an: Clinic) -> None:
    with attached(clinic_of_an.fleet) as there:
        there.order("unplug", AN)
        with pytest.raises(LinkError, match="does not answer as a token"):
            sync(clinic_of_an.home, there.ports[AN], quiet)
        there.order("plug", AN)
        assert sync(clinic_of_an.home, there.ports[AN], quiet).pages_new > 0
