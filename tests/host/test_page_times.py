"""Times in the registry follow the readings of a token's clock, whatever order these come in."""

import random
from collections.abc import Iterator

import pytest
from sqlalchemy import select, update
from tests.host.simulated_clock import DAY_MS, HOUR_MS, START_MS, SimulatedToken, swinging

from bztoken.formats.case_list import CaseKey
from bztoken.registry import clock_points, key_times, page_times, tokens
from bztoken.registry.clock_line import Window
from bztoken.registry.clock_points import ClockReading
from bztoken.registry.database import Registry
from bztoken.registry.logs import log_of_token
from bztoken.registry.models import ClockPoint, Log, Page, Sighting, Token
from bztoken.registry.pages import import_pages
from bzwire.bluezone import DAY_S
from bzwire.page import Record

UID = b"\x07" * 8
KEY = tokens.token_keys(b"m" * 32, UID).first_log_key
LATER_S = START_MS // 1000 + 30 * DAY_S
HEARD = Record(b"i" * 12, 30, 240, 12, 4, -60, -70, 127)


def in_each(_: Window) -> list[Record]:
    return [HEARD]


def in_none(_: Window) -> list[Record]:
    return []


class Clinic:
    """A registry with one token."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        with registry.write() as session:
            self.log_id = log_of_token(session, tokens.create(session, "T1", UID, "person", "virtual", 1)).id

    def takes(self, raws: list[bytes], now_s: int = LATER_S) -> None:
        """Pages arrive."""
        with self.registry.write() as session:
            assert not import_pages(session, session.get_one(Log, self.log_id), raws, KEY, now_s).damaged

    def reads(self, *readings: ClockReading) -> int:
        """Readings arrive; how many pages changed."""
        with self.registry.write() as session:
            log = session.get_one(Log, self.log_id)
            for reading in readings:
                clock_points.record(session, log, reading)
            return page_times.correct(session, log)

    def rows(self) -> list[tuple[Page, Sighting]]:
        """Pages and what was heard in each, in order."""
        query = select(Page, Sighting).join(Sighting, Sighting.page_id == Page.id).order_by(Page.sequence)
        with self.registry.read() as session:
            return [(page, sighting) for page, sighting in session.execute(query)]

    def values(self) -> list[tuple[object, ...]]:
        """All that correction may change."""
        return [
            (page.sequence, page.shift_ms, page.uncertainty_ms, heard.first_s, heard.last_s, heard.uncertainty_s)
            for page, heard in self.rows()
        ]


@pytest.fixture
def clinic(registry: Registry) -> Iterator[Clinic]:
    yield Clinic(registry)


def lived(windowed: bool = False) -> SimulatedToken:
    """Two days at 5 % fast with three visits and a restart."""
    token = SimulatedToken(swinging(50_000, 0), windowed)
    token.visit()
    for hours in (11, 7):
        token.live(hours * HOUR_MS)
        token.restart()
        token.live(5 * HOUR_MS)
        token.visit()
    token.live(2 * HOUR_MS)
    return token


@pytest.mark.parametrize("windowed", [False, True])
def test_pages_and_sightings_get_the_true_time(clinic: Clinic, windowed: bool) -> None:
    token = lived(windowed)
    clinic.takes(token.pages(KEY, in_each))
    assert clinic.reads(*token.told()) == len(token.found)
    for (page, heard), (window, true_ms) in zip(clinic.rows(), token.found, strict=True):
        assert page.window_start_s == window.start_s  # a page keeps what the token said
        assert page.shift_ms is not None and page.uncertainty_ms is not None
        assert abs(page.window_start_s * 1000 - page.shift_ms - true_ms) <= page.uncertainty_ms
        assert heard.first_s == window.start_s - round(page.shift_ms / 1000) + 30
        assert (heard.last_s - heard.first_s, heard.first_s - heard.window_start_s) == (210, 30)
        assert heard.uncertainty_s == -(-page.uncertainty_ms // 1000)
    assert max(abs(page.shift_ms or 0) for page, _ in clinic.rows()) > 45 * 60_000  # 16 h at 5 %


def test_the_order_in_which_pages_and_readings_come_does_not_matter(clinic: Clinic) -> None:
    token = lived()
    readings = token.told()
    clinic.takes(token.pages(KEY, in_each))
    clinic.reads(*readings)
    expected = clinic.values()
    draw = random.Random(5)
    for _ in range(6):
        with clinic.registry.write() as session:
            for table in (Sighting, Page, ClockPoint):
                session.query(table).delete()
        events: list[bytes | ClockReading] = [*token.pages(KEY, in_each), *readings, *readings]
        draw.shuffle(events)
        for at in range(0, len(events), 60):
            batch = events[at : at + 60]
            clinic.takes([event for event in batch if isinstance(event, bytes)])
            clinic.reads(*(event for event in batch if isinstance(event, ClockReading)))
        found = clinic.values()
        assert [row[0] for row in found] == [row[0] for row in expected]
        for one, other in zip(found, expected, strict=True):
            # less than half a second is not written again while a log arrives
            assert abs(int(str(one[1])) - int(str(other[1]))) < 500
            assert all(abs(int(str(a)) - int(str(b))) <= 1 for a, b in zip(one[3:], other[3:], strict=True))


def test_a_second_correction_changes_nothing_and_a_reading_counts_once(clinic: Clinic) -> None:
    token = lived()
    clinic.takes(token.pages(KEY, in_each))
    clinic.reads(*token.told())
    before = clinic.values()
    assert clinic.reads() == clinic.reads(*token.told()) == 0
    assert clinic.values() == before
    with clinic.registry.read() as session:
        assert len(session.scalars(select(ClockPoint)).all()) == 3


def test_only_the_stretch_beside_a_new_reading_is_looked_at(clinic: Clinic) -> None:
    token = lived()
    first, middle, last = token.told()
    clinic.takes(token.pages(KEY, in_each)[: last.next_sequence - 1])
    clinic.reads(first, middle)
    with clinic.registry.write() as session:
        session.execute(update(Page).where(Page.sequence == 20).values(shift_ms=1))
    changed = clinic.reads(last)
    assert 0 < changed <= last.next_sequence - middle.next_sequence
    assert [page.shift_ms for page, _ in clinic.rows() if page.sequence == 20] == [1]


def test_the_next_reading_makes_good_what_one_alone_left_open(clinic: Clinic) -> None:
    token = lived(windowed=True)
    first, middle, _ = token.told()
    clinic.takes(token.pages(KEY, in_each)[: middle.next_sequence - 1])
    clinic.reads(first)
    wide = [heard.uncertainty_s or 0 for _, heard in clinic.rows()]
    clinic.reads(middle)
    narrow = [heard.uncertainty_s or 0 for _, heard in clinic.rows()]
    assert wide[-1] > 2700 and narrow[-1] < 60
    assert max(narrow) < max(wide) / 5


def test_without_a_reading_nothing_is_said(clinic: Clinic) -> None:
    token = lived()
    clinic.takes(token.pages(KEY, in_each))
    assert clinic.reads() == 0
    assert {row[1:3] + row[5:] for row in clinic.values()} == {(None, None, None)}
    assert [heard.first_s - page.window_start_s for page, heard in clinic.rows()] == [30] * len(token.found)


def test_pages_from_before_the_first_reading_of_all_stay_as_they_are(clinic: Clinic) -> None:
    """They were read by a version that wrote no readings down, but set the clock each time."""
    token = lived()
    raws = token.pages(KEY, in_each)
    _, middle, last = token.told()
    clinic.takes(raws[:100], now_s=middle.at_ms // 1000 - 3600)
    clinic.takes(raws[100:])
    clinic.reads(middle, last)
    known = [page.shift_ms is not None for page, _ in clinic.rows()]
    assert known == [False] * 100 + [True] * (len(raws) - 100)


def test_what_is_not_committed_changes_nothing(clinic: Clinic) -> None:
    token = lived()
    clinic.takes(token.pages(KEY, in_each))
    before = clinic.values()
    with pytest.raises(InterruptedError), clinic.registry.write() as session:
        log = session.get_one(Log, clinic.log_id)
        for reading in token.told():
            clock_points.record(session, log, reading)
        assert page_times.correct(session, log) == len(token.found)
        raise InterruptedError
    assert clinic.values() == before


def test_a_reading_is_what_a_status_says_in_the_middle_of_its_round_trip() -> None:
    status = {"ck": 1, "t": 5_000_123, "bo": 7, "up": 2**32 + 5, "n": 30, "db": 20}
    asked = clock_points.reading(status, 4_000_000_000_000, 4_000_090_000_000)
    assert asked == ClockReading(4_000_045, 45, 5_000_123, 7, 2**32 + 5, 30, False, 20)
    setting = clock_points.reading({**status, "ck": 0, "db": 0}, 0, 1, next_sequence=31)
    assert setting == ClockReading(0, 1, None, 7, 2**32 + 5, 31, True, 50_000)


# -- day keys ---------------------------------------------------------------------------------------------------------
def day_key(day: int, end_s: int | None = None) -> CaseKey:
    start_s = START_MS // 1000 + day * DAY_S
    return CaseKey(bytes([day]) * 32, start_s, 96, start_s + DAY_S - 1 if end_s is None else end_s)


def placed(clinic: Clinic, *keys: CaseKey) -> list[CaseKey]:
    with clinic.registry.read() as session:
        token = session.scalars(select(Token)).one()
        return key_times.placed(session, token, keys)


@pytest.mark.parametrize("mean_ppm", [50_000, -50_000])
def test_a_day_key_lies_where_the_clock_that_used_it_had_it(clinic: Clinic, mean_ppm: int) -> None:
    token = SimulatedToken(swinging(mean_ppm, 0))
    token.visit()
    token.live(5 * DAY_MS + DAY_MS // 2)
    token.visit()
    clinic.takes(token.pages(KEY, in_none))
    clinic.reads(*token.told())
    rate = 1 + mean_ppm / 1e6
    for day, key in enumerate(placed(clinic, *(day_key(day) for day in range(5)))):
        assert key.uncertainty_s is not None and key.uncertainty_s < 2600  # 36 minutes to either side, and a little
        for slot in range(96):
            true_s = START_MS / 1000 + (day * DAY_S + slot * 900) / rate
            assert abs(key.time_start_s + slot * 900 - true_s) <= key.uncertainty_s
        assert key.time_end_s - key.time_start_s == DAY_S - 1


def test_the_key_of_the_day_of_release_ends_with_the_release(clinic: Clinic) -> None:
    token = SimulatedToken(swinging(0, 0))
    token.visit()
    token.live(10 * HOUR_MS)
    token.visit(sets=False)
    clinic.takes(token.pages(KEY, in_none))
    clinic.reads(*token.told())
    now_s = token.true_ms // 1000
    (key,) = placed(clinic, day_key(0, now_s))
    assert key.uncertainty_s is not None and key.uncertainty_s < 10
    assert now_s <= key.time_end_s <= now_s + 10


def test_a_key_of_which_nothing_is_known_stays_as_it_is(clinic: Clinic) -> None:
    assert placed(clinic, day_key(0)) == [day_key(0)]
    token = lived()
    clinic.takes(token.pages(KEY, in_none))
    clinic.reads(*token.told())
    assert placed(clinic, day_key(9)) == [day_key(9)]
