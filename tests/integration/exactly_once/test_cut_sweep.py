"""The cable is pulled out after every byte of a session, in each direction, and the next sync finishes the work.

`make test` takes every BYTES_APART-th byte, from another one on in each direction; BZ_CUTS=all takes all of them.
"""

import os

import pytest
from tests.integration.exactly_once.conftest import Pair
from tests.integration.exactly_once.visits import READ_BYTES, Visits
from tests.integration.faults import cut_after
from tests.integration.line import clean

BYTES_APART = 1 if os.environ.get("BZ_CUTS") == "all" else 23
MOST_PAGE_BYTES = 300
VISITS_THAT_DIFFER = 3  # sessions are not of one length: the end is reached when so many in a row were shorter


@pytest.mark.timeout(900)
@pytest.mark.parametrize("direction", ["token", "host"])
def test_a_cable_pulled_out_at_any_byte_costs_little_and_loses_nothing(make_pair: Pair, direction: str) -> None:
    visits = Visits(make_pair)
    uncut = visits.visit()
    assert uncut.failure == ""
    cuts = beyond = at = 0
    while beyond < VISITS_THAT_DIFFER:
        fault = cut_after(at)
        at += BYTES_APART
        found = visits.visit(*((fault, clean) if direction == "token" else (clean, fault)))
        beyond = 0 if found.unplugged else beyond + 1
        cuts += found.unplugged
        # The questions asked ahead may be answered already when the cable is found to be out.
        assert not found.unplugged or found.bytes_again <= 3 * READ_BYTES + MOST_PAGE_BYTES
    assert cuts * BYTES_APART > 0.85 * uncut.passed[direction]
    print(f"{cuts} cuts on the way to the {direction}")
