"""Small worlds for the join, and its oracle: one sighting and one slot at a time, second by second."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from tests.host.slow_matching import Slot, pair_tolerance_s

from bztoken.matching.kernel import KeyIds, Matches, Sightings, halves
from bztoken.matching.schemes import BLUEZONE, GAEN, Scheme
from bztoken.matching.tolerance import UNKNOWN

DAY_S = 86400
DAY_START_S = 18_482 * DAY_S
POOL = [bytes([first]) * 8 + bytes([last]) * 4 for first in (0, 1, 0x80, 0xFF) for last in (0, 7, 0xFF)]
Found = list[tuple[int, int, int]]


class Seen(NamedTuple):
    rotating_id: bytes
    first_s: int
    last_s: int
    uncertainty_s: int = UNKNOWN


uncertainties = st.one_of(st.just(UNKNOWN), st.sampled_from([0, 1, 60, 1740, 1741]), st.integers(0, 30_000))
slot_lists = st.lists(
    st.builds(
        Slot,
        st.sampled_from(POOL),
        st.integers(0, 12).map(lambda n: DAY_START_S + n * 900),
        st.integers(0, 3),
        uncertainties,
    ),
    max_size=30,
)
seen_lists = st.lists(
    st.tuples(st.sampled_from(POOL), st.integers(-20_000, 32_000), st.integers(0, 300), uncertainties).map(
        lambda drawn: Seen(drawn[0], DAY_START_S + drawn[1], DAY_START_S + drawn[1] + drawn[2], drawn[3])
    ),
    max_size=30,
)
unknowns_s = st.sampled_from([0, 1, 899, 1800, 7200, 20_000])


def columns(slots: Sequence[Slot], seen: Sequence[Seen]) -> tuple[KeyIds, Sightings]:
    def ints(values: list[int]) -> np.ndarray:
        return np.array(values, dtype=np.int64)

    key_ids = KeyIds(
        *halves([slot.rotating_id for slot in slots]),
        ints([slot.start_s for slot in slots]),
        ints([slot.key_index for slot in slots]),
        ints([slot.uncertainty_s for slot in slots]),
    )
    sightings = Sightings(
        *halves([one.rotating_id for one in seen]),
        ints([one.first_s for one in seen]),
        ints([one.last_s for one in seen]),
        ints([one.uncertainty_s for one in seen]),
    )
    return key_ids, sightings


def cut(key_ids: KeyIds, cuts: Sequence[int]) -> Iterator[KeyIds]:
    """In blocks that end at these places; empty ones among them."""
    edges = [0, *sorted(at % (len(key_ids.hi) + 1) for at in cuts), len(key_ids.hi)]
    for start, end in pairwise(edges):
        yield KeyIds(*(column[start:end] for column in key_ids))


def rows_of(matches: Matches) -> Found:
    """In their order."""
    return list(zip(*(column.tolist() for column in matches), strict=True))


def oracle(slots: Sequence[Slot], seen: Sequence[Seen], unknown_s: int, scheme: Scheme = BLUEZONE) -> Found:
    """Every second of the sighting against every second of the widened slot, as ranges."""
    found = []
    for row, one in enumerate(seen):
        for slot in slots:
            tolerance_s = pair_tolerance_s(one.uncertainty_s, slot.uncertainty_s, unknown_s, is_gaen=scheme is GAEN)
            near = range(slot.start_s - tolerance_s, slot.start_s + scheme.slot_s + tolerance_s)
            overlaps = one.first_s <= near[-1] and one.last_s >= near[0]
            if one.rotating_id == slot.rotating_id and overlaps:
                found.append((row, slot.key_index, slot.start_s))
    return sorted(found)
