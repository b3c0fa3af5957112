"""Twenty restarts in a row: each is counted once, none counts as a failure, and the heap does not grow."""

from statistics import median

import pytest
from tests.device.desk import DeskToken

TIMES = 20
ENDS = 5  # restarts at the beginning and at the end that are compared
HEAP_MAY_GROW_BYTES = 2048  # from the first to the last: what the radio holds at the moment of asking differs


@pytest.mark.timeout(300, func_only=True)
def test_twenty_restarts_leave_it_as_it_was(worn: DeskToken) -> None:
    before = worn.status()
    heaps = []
    for number in range(1, TIMES + 1):
        worn.restart()
        status = worn.status()
        assert (status.boots, status.failed_boots) == (before.boots + number, 0)
        heaps.append(status.heap_bytes)
    after = worn.status()
    assert (after.safe_mode, after.radio_errors, after.clock_repairs) == (False, 0, 0)
    assert median(heaps[-ENDS:]) - median(heaps[:ENDS]) < HEAP_MAY_GROW_BYTES
