"""The truth beside the logs: encounters against a slow and plain reckoning, clocks, and what was on the air."""

import random
from itertools import combinations
from pathlib import Path

import pytest
from tests.firmware.bench import SECOND_US, START_S, stays_at

from bzvirtual import world
from bzvirtual.ether import Broadcast, Station
from bzvirtual.truth import APART_S, REACH_M, SAMPLE_S, ClockTrace, IdLog, encounters
from bzvirtual.world import DAY_S, World
from bzvirtual.world_file import parse
from bzwire import bluezone, gaen

ROOM = """
world room
place room 0 0 indoor
place next 5 0 indoor
place far 300 0 indoor
spot room chair 0 0
spot room guest 1.5 0
spot next bed 0 0
spot far bed 0 0
person an "Bà An" token
  00:00 room/chair
person binh "Ông Bình" token
"""


def plainly(place: World, start_s: int, end_s: int) -> list[tuple[str, str, int, int, float]]:
    """(a, b, start, end, minutes) by looking at everybody every 10 s."""
    found = []
    for a, b in combinations(sorted(place.people, key=lambda person: person.name), 2):
        near = []
        for now_s in range(start_s, end_s, SAMPLE_S):
            where_a, where_b = place.position(a, now_s), place.position(b, now_s)
            if where_a.place == where_b.place and where_a.distance_m(where_b) <= REACH_M:
                near.append(now_s)
        stretch: list[int] = []
        for now_s in [*near, end_s + DAY_S]:
            if stretch and now_s - (stretch[-1] + SAMPLE_S) > APART_S:
                minutes = round(len(stretch) * SAMPLE_S / 60, 2)
                found.append((a.name, b.name, stretch[0], stretch[-1] + SAMPLE_S, minutes))
                stretch = []
            stretch.append(now_s)
    return sorted(found, key=lambda one: (one[2], one[0], one[1]))


@pytest.mark.parametrize("name", ["household", "queue", "phones"])
def test_encounters_are_those_of_a_plain_reckoning(name: str) -> None:
    place = world.load(name)
    start_s, end_s = START_S, START_S + DAY_S // 4
    quick = [(e.a, e.b, e.start_s, e.end_s, e.minutes) for e in encounters(place, start_s, end_s)]
    slow = plainly(place, start_s, end_s)
    assert [(a, b) for a, b, *_ in quick] == [(a, b) for a, b, *_ in slow]
    for one, other in zip(quick, slow, strict=True):
        # Who starts to walk between two looks is taken at the next one.
        assert one[2:] == pytest.approx(other[2:], abs=SAMPLE_S)
    assert len(quick) > 5


def test_a_wall_and_a_long_way_end_an_encounter_and_a_short_pause_does_not() -> None:
    stops = "  00:00 room/guest\n  01:00 next/bed\n  01:01 room/guest\n  02:00 next/bed\n  02:10 room/guest\n"
    found = encounters(parse("room.world", ROOM + stops + "  03:00 far/bed\n"), 600, 6 * 3600)
    assert [(e.start_s // 60, e.end_s // 60) for e in found] == [(10, 120), (130, 180)]
    assert 108.5 <= found[0].minutes < 110
    assert found[0].min_m == 1.5
    assert found[0].mean_m == pytest.approx(1.5, abs=0.05)


def test_two_beacons_have_no_encounter_with_each_other() -> None:
    text = ROOM + "  00:00 room/guest\ncrowd passer 5 beacon room 3\n"
    pairs = {(e.a, e.b) for e in encounters(parse("room.world", text), 0, 3600)}
    assert len(pairs) == 1 + 2 * 5


def test_a_clock_is_traced_along_its_drift_and_over_its_jumps() -> None:
    clock = ClockTrace(100)
    for minute in range(180):
        error_s = 2.0 + minute * 60 * 100 / 1_000_000 - (30 if minute >= 60 else 0)
        clock.note(minute * 60, error_s)
    clock.finish(180 * 60)
    assert len(clock.points) == 4
    assert clock.points[0] == (0, 2.0)
    assert clock.points[1] == (3600, pytest.approx(2.36))
    assert clock.points[2] == (3600, pytest.approx(-27.64))
    assert clock.points[3] == (10800, pytest.approx(-26.92))


def test_ids_on_the_air_are_written_once_with_their_first_and_last_second(tmp_path: Path) -> None:
    log = IdLog()
    station = Station("an", 0, stays_at(0), random.Random(1))
    one, two, rpi = bytes(range(12)), bytes(range(12, 24)), bytes(range(16))
    for at_s, data in (
        (10, bluezone.advertisement(one, 0)),
        (40, bluezone.advertisement(one, 0)),
        (60, bluezone.advertisement(two)),
        (80, gaen.advertisement(rpi, b"abcd")),
        (90, b"\x02\x01\x06"),  # nobody's
    ):
        broadcast = Broadcast(at_s * SECOND_US, 250_000, b"\x01" * 6, data, True, (at_s + 5) * SECOND_US)
        if at_s == 80:
            broadcast.end_us = None  # still on
        log.on_broadcast(station, broadcast)
    log.add("phone", bytes(12), 100, 200)
    log.write(tmp_path / "ids.tsv", 300)
    assert (tmp_path / "ids.tsv").read_text().splitlines() == [
        f"an\tbluezone\t{one.hex()}\t10.0\t45.0",
        f"an\tbluezone\t{two.hex()}\t60.0\t65.0",
        f"an\tgaen\t{rpi.hex()}\t80.0\t300.0",
        f"phone\tbluezone\t{bytes(12).hex()}\t100.0\t200.0",
    ]
