"""Damaged, lost and doubled bytes: a sync asks again, and what it stores is right or nothing."""

import asyncio
from collections.abc import Callable

import pytest
from tests.integration.clinic import Clinic, assert_beginning, assert_whole, attached
from tests.integration.faults import Change, double, drop, every_piece_twice, flip, garbage, in_frames, noise
from tests.integration.line import Fault, Line, clean

from bztoken.sync import sync

AN = "Bà An"
# Frames of a session, counted with those that are asked again: the greeting, the clock, and reads.
SPOILED = {3, 6, 10}


def quiet(_done: int, _total: int) -> None:
    """Nobody watches."""


def line_with(port: str, direction: str, fault: Fault) -> Line:
    return Line(port, fault, clean) if direction == "token" else Line(port, clean, fault)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("change", [flip, drop, double, garbage])
@pytest.mark.parametrize("direction", ["token", "host"])
def test_spoiled_frames_are_asked_for_again(clinic_of_an: Clinic, direction: str, change: Change) -> None:
    in_flash = clinic_of_an.pages_in_flash(AN)
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        with line_with(port, direction, in_frames(SPOILED, change)) as line:
            result = sync(clinic_of_an.home, line.path, quiet)
        stored = clinic_of_an.stored(AN)
        assert asyncio.run(clinic_of_an.acknowledged(port)) == stored[-1].sequence
    assert result.repeats >= len(SPOILED) - 1  # one may fall on the question for the buffer's size, which is optional
    assert result.pages_new == len(stored)
    assert_whole(stored, in_flash)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("frame", [1, 2])
@pytest.mark.parametrize("direction", ["token", "host"])
def test_a_spoiled_greeting_does_not_end_a_sync(clinic_of_an: Clinic, direction: str, frame: int) -> None:
    fault = in_frames({frame}, flip)
    with attached(clinic_of_an.fleet) as there, line_with(there.ports[AN], direction, fault) as line:
        result = sync(clinic_of_an.home, line.path, quiet)
    assert result.pages_new == len(clinic_of_an.stored(AN)) > 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("direction", ["token", "host"])
def test_doubled_messages_double_no_page(clinic_of_an: Clinic, direction: str) -> None:
    in_flash = clinic_of_an.pages_in_flash(AN)
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        with line_with(port, direction, _sometimes_twice()) as line:
            result = sync(clinic_of_an.home, line.path, quiet)
    assert result.pages_new == len(clinic_of_an.stored(AN))
    assert_whole(clinic_of_an.stored(AN), in_flash)


def _sometimes_twice() -> Fault:
    """Some pieces only, the host's proof (4) among them: were all doubled, no answer would ever fit its question."""
    count = 0

    def fault(passed: int, data: bytes) -> bytes:
        nonlocal count
        count += 1
        return every_piece_twice(passed, data) if count in (1, 4, 7, 12, 18) else data

    return fault


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("share", "seed"), [(0.001, 1), (0.05, 4)])
def test_a_line_full_of_noise_ends_in_a_sentence_or_the_whole_log(
    clinic_of_an: Clinic, cli: Callable[..., object], share: float, seed: int
) -> None:
    in_flash = clinic_of_an.pages_in_flash(AN)
    with attached(clinic_of_an.fleet) as there:
        port = there.ports[AN]
        with Line(port, noise(share, seed), noise(share, seed + 100)) as line:
            ran = cli("sync", "--port", line.path)
        stored = clinic_of_an.stored(AN)
        if ran.code == 0:
            assert_whole(stored, in_flash)
        else:
            assert ran.code == 1
            assert ran.err.startswith("bztoken: ") and ran.err.count("\n") == 1, ran.err
            assert_beginning(stored, in_flash)
        sync(clinic_of_an.home, port, quiet)
        assert_whole(clinic_of_an.stored(AN), in_flash)


@pytest.mark.usefixtures("impatient")
def test_a_hopeless_line_is_given_up(clinic_of_an: Clinic, cli: Callable[..., object]) -> None:
    with attached(clinic_of_an.fleet) as there, Line(there.ports[AN], to_host=noise(0.2, 5)) as line:
        ran = cli("sync", "--port", line.path)
    assert (ran.code, ran.out) == (1, "")
    assert "does not answer as a token" in ran.err
