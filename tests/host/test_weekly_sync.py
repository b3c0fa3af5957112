"""Two tokens whose clocks run 5 % wrong, synced once a week: every meeting with a case is found, at the right time."""

import random
from collections import defaultdict
from dataclasses import dataclass

import pytest
from sqlalchemy import select
from tests.case_desk import active_case
from tests.host.simulated_clock import HOUR_MS, START_MS, WINDOW_S, SimulatedToken, swinging

from bztoken.formats.case_list import CaseKey
from bztoken.matching.batch import run_batch
from bztoken.registry import clock_points, page_times, tokens
from bztoken.registry.clock_line import Window
from bztoken.registry.database import Registry
from bztoken.registry.logs import log_of_token
from bztoken.registry.models import Sighting
from bztoken.registry.pages import import_pages
from bzwire.bluezone import DAY_S, slot_id
from bzwire.page import Record

START_S = START_MS // 1000
NOW_S = START_S + 9 * DAY_S
MEETINGS = 400


@dataclass
class Week:
    """A registry, and at which true seconds each ID was heard."""

    registry: Registry
    true_by_id: dict[bytes, list[float]]

    def found(self) -> int:
        """How many of the meetings a batch finds."""
        return run_batch(self.registry, lambda: NOW_S).sightings


def lived(mean_ppm: int, windowed: bool) -> SimulatedToken:
    """A week with a restart each night, between two visits."""
    token = SimulatedToken(swinging(mean_ppm, 8000), windowed)
    token.visit()
    for _ in range(7):
        token.live(20 * HOUR_MS)
        token.restart()
        token.live(4 * HOUR_MS)
    token.visit()
    return token


def day_key(day: int) -> bytes:
    return bytes([1 + day]) * 32


def take(registry: Registry, label: str, token: SimulatedToken, heard: dict[int, list[Record]], readings: bool) -> None:
    """What a sync of this token does to the registry; without readings, as it was before there were any."""
    uid = label.encode().ljust(8, b"_")
    log_key = tokens.token_keys(b"m" * 32, uid).first_log_key
    taken: set[int] = set()

    def once(window: Window) -> list[Record]:
        if window.start_s in taken:
            return []
        taken.add(window.start_s)
        return heard.get(window.start_s, [])

    with registry.write() as session:
        log = log_of_token(session, tokens.create(session, label, uid, "person", "virtual", START_S))
        for reading in token.told() if readings else []:
            clock_points.record(session, log, reading)
        assert not import_pages(session, log, token.pages(log_key, once), log_key, NOW_S).damaged
        page_times.correct(session, log)


def lived_through(registry: Registry, hears_ppm: int, case_ppm: int, windowed: bool, readings: bool = True) -> Week:
    """Meetings at random moments, each heard by the ID that the case's own clock had on the air."""
    hearer, case = lived(hears_ppm, windowed), lived(case_ppm, windowed)
    draw = random.Random(7)
    week = Week(registry, defaultdict(list))
    heard: dict[int, list[Record]] = defaultdict(list)
    for _ in range(MEETINGS):
        true_s = START_S + draw.uniform(3600, 7 * DAY_S - 3600)
        on_air_s, heard_s = int(case.clock_at_s(true_s)), int(hearer.clock_at_s(true_s))
        rotating_id = slot_id(day_key((on_air_s - START_S) // DAY_S), on_air_s % DAY_S // 900)
        at_s = heard_s % WINDOW_S
        heard[heard_s - at_s].append(Record(rotating_id, at_s, at_s, 3, 1, -60, -70, 127))
        week.true_by_id[rotating_id].append(true_s)
    take(registry, "Lan", hearer, heard, readings)
    take(registry, "F0", case, {}, readings)
    with registry.write() as session:
        keys = [CaseKey(day_key(n), START_S + n * DAY_S, 96, START_S + (n + 1) * DAY_S - 1) for n in range(8)]
        active_case(session, "F0-1", "token", tokens.by_label(session, "F0"), keys, NOW_S)
    return week


@pytest.mark.parametrize(
    ("hears_ppm", "case_ppm", "windowed"),
    [(50_000, -50_000, True), (-50_000, 30_000, False), (40_000, 42_000, True), (300, -200, False)],
)
def test_every_meeting_is_found_at_its_time(registry: Registry, hears_ppm: int, case_ppm: int, windowed: bool) -> None:
    week = lived_through(registry, hears_ppm, case_ppm, windowed)
    assert week.found() == MEETINGS
    with registry.read() as session:
        for row in session.scalars(select(Sighting)):
            off_s = min(abs(row.first_s - true_s) for true_s in week.true_by_id[row.rotating_id])
            assert row.uncertainty_s is not None and off_s <= row.uncertainty_s + 16  # its place in the window


def test_without_readings_most_meetings_are_lost(registry: Registry) -> None:
    """The clocks ran up to 17 hours apart."""
    assert lived_through(registry, 50_000, -50_000, True, readings=False).found() < MEETINGS / 10
