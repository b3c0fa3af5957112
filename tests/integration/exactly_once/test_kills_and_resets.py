"""The program is killed at every request, statement and commit of a sync, the token is reset at every request: the next
sync finishes the work.
"""

import os
from collections.abc import Callable

import pytest
from tests.integration.exactly_once.computer import Kill
from tests.integration.exactly_once.conftest import Pair
from tests.integration.exactly_once.visits import Visits
from tests.integration.line import Fault, clean

from bzwire.smp import LINE_START

pytestmark = pytest.mark.timeout(900)
STATEMENTS_APART = 1 if os.environ.get("BZ_CUTS") == "all" else 5
POWER_CUTS = 240 if os.environ.get("BZ_CUTS") == "all" else 24
NEVER_BYTES = 1 << 30
SLOW_DISK = 5  # so that reading goes on beside storing


@pytest.mark.parametrize("place", ["send", "sent", "begin", "statement", "commit", "committed"])
def test_a_program_killed_at_any_place_loses_and_doubles_nothing(make_pair: Pair, place: str) -> None:
    visits = Visits(make_pair, SLOW_DISK)
    places = visits.visit().counts[place]
    assert places >= 4
    killed = tried = 0
    for number in range(1, places + 3, STATEMENTS_APART if place == "statement" else 1):
        tried += 1
        found = visits.visit(kill=Kill(place, number))
        killed += found.failure == "Killed"
        if found.failure == "":
            break
    assert killed >= tried - 2


@pytest.mark.parametrize("direction", ["token", "host"])
def test_a_token_reset_at_any_request_loses_and_doubles_nothing(make_pair: Pair, direction: str) -> None:
    visits = Visits(make_pair, SLOW_DISK)
    visits.visit()
    for number in range(1, 100):
        reached: list[int] = []
        fault = reset_at_frame(number, lambda: visits.witness.reset(), reached)
        found = visits.visit(*((fault, clean) if direction == "token" else (clean, fault)))
        assert found.failure == ""  # it is greeted again, and the sync goes on
        if not reached:
            break
    assert number > 10


def test_power_that_fails_in_any_write_of_a_sync_loses_and_doubles_nothing(make_pair: Pair) -> None:
    visits = Visits(make_pair, SLOW_DISK)
    most_bytes = visits.visit(power_cut_after_bytes=NEVER_BYTES).flash_bytes
    dark = 0
    for part in range(POWER_CUTS):
        dark += visits.visit(power_cut_after_bytes=most_bytes * part // POWER_CUTS).went_dark
    assert dark >= POWER_CUTS // 4
    print(f"the power failed in {dark} of {POWER_CUTS} syncs, before them in others")


def reset_at_frame(number: int, reset: Callable[[], None], reached: list[int]) -> Fault:
    """At the `number`-th frame the token restarts: before it has read it, or in the middle of sending it."""
    seen = 0

    def fault(_passed: int, data: bytes) -> bytes:
        nonlocal seen
        begins = data.count(LINE_START)
        seen += begins
        if reached or seen < number:
            return data
        reached.append(number)
        reset()
        return data[: len(data) // 2]

    return fault
