"""The registry batch: right exposures, rerun changes nothing, what no longer follows is removed."""

import hashlib

import pytest
from sqlalchemy import select, text
from tests.case_desk import active_case
from tests.host.matched_world import DAY_S, F0_KEY, KEY_DAY, MASTER, START_S, World, line, world
from tests.program import Program

from bztoken.crypto import aes_ecb
from bztoken.errors import RegistryError
from bztoken.formats.case_list import CaseKey, write_case_list
from bztoken.formats.history import write_history
from bztoken.formats.tracing_key import TracingKey
from bztoken.matching.batch import BatchResult, run_batch
from bztoken.matching.files import match_files
from bztoken.matching.run import Done
from bztoken.registry import tokens
from bztoken.registry.database import Registry
from bztoken.registry.exposures import count_everything, list_exposures
from bztoken.registry.histories import add_history
from bztoken.registry.logs import log_of_token
from bztoken.registry.models import Batch, Case, Exposure
from bztoken.registry.pages import import_page
from bztoken.registry.tokens import token_keys
from bzwire import gaen
from bzwire.bluezone import slot_id
from bzwire.page import KIND_GAEN, RECORD_CONNECTED, RECORD_STALE, Record

__all__ = ["world"]


def test_tokens_and_phones_near_a_case_are_found(world: World) -> None:
    world.hears("Lan", F0_KEY, range(100, 104))
    world.hears("Minh", F0_KEY, range(100, 102), rssi_mean_dbm=-95)
    world.hears("Minh", b"s" * 32, range(102, 110))
    world.phone("Phone of Hoa", [line(START_S + 40_000 + 60 * n) for n in range(15)])
    world.case("F0-1", [KEY_DAY], "F0")
    result = world.batch()
    assert (result.exposures, result.sightings, result.removed) == (3, 4 + 2 + 15, 0)
    assert world.found() == [
        ("F0-1", "Lan", "2020-08-08", 20, 20, "F1"),
        ("F0-1", "Phone of Hoa", "2020-08-08", 15, 15, "F1"),
        ("F0-1", "Minh", "2020-08-08", 10, 0, "noted"),
    ]


def test_a_replayed_id_is_listed_and_makes_no_f1(world: World) -> None:
    world.hears("Lan", F0_KEY, range(100, 110), flags=RECORD_STALE)
    world.hears("Minh", F0_KEY, range(100, 102))
    world.hears("Minh", F0_KEY, range(102, 110), flags=RECORD_STALE)
    world.case("F0-1", [KEY_DAY])
    assert world.batch().sightings == 20
    assert sorted(world.found()) == [
        ("F0-1", "Lan", "2020-08-08", 0, 0, "noted"),
        ("F0-1", "Minh", "2020-08-08", 10, 10, "noted"),
    ]


def test_an_iphone_read_over_a_connection_counts_like_any_other(world: World) -> None:
    world.hears("Lan", F0_KEY, range(100, 104), flags=RECORD_CONNECTED)
    world.case("F0-1", [KEY_DAY])
    world.batch()
    assert world.found() == [("F0-1", "Lan", "2020-08-08", 20, 20, "F1")]


def test_a_gaen_sighting_is_nobodys_even_when_its_bytes_are_those_of_a_bluezone_id(world: World) -> None:
    """16 bytes that begin with a case's ID and end with zeros: the kernel's columns would not tell them apart."""
    with world.registry.write() as session:
        token = tokens.by_label(session, "Lan")
        assert token is not None
        key = token_keys(MASTER, token.uid).first_log_key
        heard = Record(slot_id(F0_KEY, 0) + bytes(8), 0, 240, 15, 5, -60, -70, 127, KIND_GAEN)
        for window in range(3):
            raw = world.make_page(key, [heard], sequence=window, window_start_s=START_S + 300 * window)
            assert import_page(session, log_of_token(session, token), raw, key, 2)
    world.case("F0-1", [KEY_DAY])
    assert world.batch().sightings == 0
    assert world.found() == []


def test_a_gaen_page_of_a_token_is_matched_with_its_power(world: World) -> None:
    """As it comes from a token: 20 bytes of identifier and metadata, in a sealed page."""
    tek = TracingKey("gaen", b"t" * 16, START_S, 144, START_S + DAY_S - 1)
    identifier = gaen.rpi(gaen.rpi_key(tek.key), START_S // 600, aes_ecb)
    metadata = gaen.aem(gaen.aem_key(tek.key), identifier, -20, aes_ecb)
    with world.registry.write() as session:
        token = tokens.by_label(session, "Lan")
        assert token is not None
        key = token_keys(MASTER, token.uid).first_log_key
        heard = Record(identifier + metadata, 0, 240, 15, 5, -60, -70, 127, KIND_GAEN)
        raw = world.make_page(key, [heard], window_start_s=START_S)
        assert import_page(session, log_of_token(session, token), raw, key, 2)
        active_case(session, "F0-1", "token", None, [tek], 4)
    assert world.batch().sightings == 1
    with world.registry.read() as session:
        assert [row.exposure.attenuation_db for row in list_exposures(session)] == [50.0]


def test_a_rerun_changes_nothing_but_the_batch(world: World) -> None:
    world.hears("Lan", F0_KEY, range(4))
    world.case("F0-1", [KEY_DAY])
    first = world.batch()
    before = world.found()
    assert world.batch() == first
    assert world.found() == before and len(before) == 1
    with world.registry.read() as session:
        assert len(session.scalars(select(Batch)).all()) == 2
        assert session.scalars(select(Exposure)).one().batch_id == 2


def test_more_pages_update_the_exposure_in_place(world: World) -> None:
    world.hears("Lan", F0_KEY, [0])
    world.case("F0-1", [KEY_DAY])
    world.batch()
    assert world.found()[0][3:] == (5, 5, "noted")
    world.hears("Lan", F0_KEY, [1, 2])
    world.batch()
    assert world.found() == [("F0-1", "Lan", "2020-08-08", 15, 15, "F1")]


def test_exposures_that_no_longer_follow_are_removed(world: World) -> None:
    world.hears("Lan", F0_KEY, [0])
    world.case("F0-1", [KEY_DAY])
    world.batch()
    with world.registry.write() as session:
        session.scalars(select(Case)).one().state = "withdrawn"
    assert world.batch().removed == 1
    assert world.found() == []


def test_a_cases_own_log_is_left_out(world: World) -> None:
    world.hears("F0", F0_KEY, range(3))
    world.hears("Lan", F0_KEY, [0])
    world.case("F0-1", [KEY_DAY], "F0")
    world.batch()
    assert [row[1] for row in world.found()] == ["Lan"]


def test_a_key_listed_twice_counts_once_and_two_cases_count_each(world: World) -> None:
    world.hears("Lan", F0_KEY, range(3))
    world.case("F0-1", [KEY_DAY, KEY_DAY])
    world.case("F0-2", [KEY_DAY, CaseKey(b"1" * 32, START_S + DAY_S, 96, START_S + 2 * DAY_S - 1)])
    assert world.batch().sightings == 6
    assert [row[:5] for row in world.found()] == [
        ("F0-1", "Lan", "2020-08-08", 15, 15),
        ("F0-2", "Lan", "2020-08-08", 15, 15),
    ]


def test_an_encounter_over_midnight_is_split_by_utc_day(world: World) -> None:
    second_day = b"1" * 32
    world.hears("Lan", F0_KEY, [286, 287])
    with_next = [KEY_DAY, CaseKey(second_day, START_S + DAY_S, 96, START_S + 2 * DAY_S - 1)]
    world.hears("Lan", second_day, [288, 289, 290])
    world.case("F0-1", with_next)
    world.batch()
    assert [row[2:4] for row in sorted(world.found())] == [("2020-08-08", 10), ("2020-08-09", 15)]


@pytest.mark.parametrize(("shift_s", "tolerance_s", "found"), [(1700, 1800, 1), (1700, 0, 0), (-1700, 1800, 1)])
def test_a_wrong_clock_is_forgiven_within_the_tolerance(
    world: World, shift_s: int, tolerance_s: int, found: int
) -> None:
    """The slots at both borders of the UTC day: shifted, they lie in the neighbouring day."""
    border_s = START_S + DAY_S - 60 if shift_s > 0 else START_S + 60
    true = line(border_s)
    world.phone("Phone", [true._replace(unix_ms=true.unix_ms + shift_s * 1000)])
    world.case("F0-1", [KEY_DAY])
    assert world.batch(tolerance_s).exposures == found


@pytest.mark.parametrize(
    ("late_windows", "sightings_s", "keys_s", "found"),
    [
        (8, None, None, 2),  # 40 minutes late: 2 of 6 windows are within half an hour of their slots
        (8, 5, 5, 0),
        (8, 5, None, 2),
        (8, 1200, 1200, 6),
        (36, 1200, 1200, 0),
        (36, 11_000, 900, 6),  # 3 hours
        (36, None, 12_000, 6),
        (72, 20_000, 20_000, 0),  # 6 hours: nobody could tell a meeting from a replay
    ],
)
def test_what_is_known_of_two_clocks_widens_or_narrows_the_tolerance(
    world: World, late_windows: int, sightings_s: int | None, keys_s: int | None, found: int
) -> None:
    world.hears("Lan", F0_KEY, range(60, 66), late_windows)
    world.case("F0-1", [KEY_DAY])
    world.knows_clocks(sightings_s, keys_s)
    assert world.batch().sightings == found


def test_a_sighting_that_a_bad_clock_puts_into_the_next_day_is_found(world: World) -> None:
    """The last slot of a key that was on the air two hours early, heard 2 hours and 10 minutes after its end."""
    world.hears("Lan", F0_KEY, [285], late_windows=5)
    world.case("F0-1", [CaseKey(F0_KEY, START_S - 7200, 96, START_S + DAY_S - 7201)])
    world.knows_clocks(9000, 5)
    assert world.batch().sightings == 1
    assert [row[2] for row in world.found()] == ["2020-08-09"]


def test_the_batch_tells_how_many_sightings_rest_on_bad_clocks(world: World, cli: Program) -> None:
    world.hears("Lan", F0_KEY, range(10))
    world.phone("Phone of Hoa", [line(START_S + 40_000 + 60 * n) for n in range(15)])
    world.case("F0-1", [KEY_DAY])
    assert world.clocks() == (10, 0)  # of a phone nobody asks it
    told = cli("match").out
    assert "Close contacts (F1): 2, contacts of contacts (F2): 0." in told
    assert "10 of the sightings are by tokens of whose clock nothing is known: they count up to 30" in told
    world.knows_clocks(7000, 5)
    assert world.clocks() == (0, 10)
    assert "whose clock may have been more than 30 minutes off: they count up to 4 hours off" in cli("match").out
    world.knows_clocks(20, 5)
    assert world.clocks() == (0, 0)
    assert "clock" not in cli("match").out


def test_the_announced_power_goes_before_the_keys_and_the_default(world: World) -> None:
    world.hears("Lan", F0_KEY, [0], rssi_mean_dbm=-80, tx_power_dbm=0)
    world.hears("Minh", F0_KEY, [0], rssi_mean_dbm=-80, tx_power_dbm=127)
    world.case("F0-1", [CaseKey(F0_KEY, START_S, 96, START_S + DAY_S - 1, tx_power_dbm=-30)])
    world.batch()
    with world.registry.read() as session:
        bands = {
            named.who: (row.exposure.band, row.exposure.attenuation_db)
            for named in list_exposures(session)
            for row in [named]
        }
    assert bands == {"Lan": ("far", 80.0), "Minh": ("near", 50.0)}


def test_a_failing_write_keeps_the_exposures_of_before(world: World) -> None:
    world.hears("Lan", F0_KEY, range(3))
    world.case("F0-1", [KEY_DAY])
    world.batch()
    before = world.found()
    world.hears("Minh", F0_KEY, range(3))
    with world.registry.write() as session:
        session.execute(
            text("CREATE TRIGGER full BEFORE INSERT ON exposures BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        )
    with pytest.raises(RegistryError, match="disk full"):
        world.batch()
    assert world.found() == before
    with world.registry.read() as session:
        assert len(session.scalars(select(Batch)).all()) == 1


def test_an_empty_registry_makes_an_empty_batch(registry: Registry) -> None:
    assert run_batch(registry, lambda: 1) == BatchResult(0, 0, 0, 0, rule="bluezone 1")


def test_progress_names_every_day_and_how_long_the_rest_takes(world: World) -> None:
    world.case("F0-1", [CaseKey(F0_KEY, START_S, 96, START_S + 3 * DAY_S)])
    world.phone("Phone", [line(START_S + day * DAY_S + 60, day_start_s=START_S + day * DAY_S) for day in range(3)])
    told: list[Done] = []
    run_batch(world.registry, lambda: 1, progress=told.append)
    assert [done.day for done in told] == sorted({done.day for done in told})
    assert [done.done for done in told] == list(range(1, told[0].total + 1))
    assert {"2020-08-08", "2020-08-09", "2020-08-10", "2020-08-11"} <= {done.day for done in told}
    left = {done.day: done.left_s for done in told}
    assert left["2020-08-07"] is None and left["2020-08-08"] and left["2020-08-10"] == 0


def test_the_same_history_is_added_once(world: World) -> None:
    lines = [line(START_S + 60)]
    world.phone("Phone", lines)
    write_history(world.folder / "copy.tsv", lines)
    with world.registry.write() as session:
        log, added = add_history(session, world.folder / "copy.tsv", "Another label", START_S + 60 * DAY_S)
        assert (log.label, added) == ("Phone", 0)
        assert count_everything(session)["sightings"] == 1


def test_registry_and_loose_files_agree(world: World) -> None:
    """One phone's history through both doors: chained key, unordered lines, several days."""
    keys = [
        CaseKey(F0_KEY, START_S, 96, START_S + 3 * DAY_S - 1),
        CaseKey(b"9" * 32, START_S + 450, 96, START_S + DAY_S),
    ]
    lines = [line(START_S + 900 * n + 60 * minute) for n in range(0, 90, 7) for minute in range(4)][::-1]
    chained = hashlib.sha256(F0_KEY).digest()
    lines += [line(START_S + DAY_S + 600 * n, -90, chained, START_S + DAY_S) for n in range(5)]
    world.phone("Phone", lines)
    world.case("1", keys[:1])
    world.case("2", keys[1:])
    write_case_list(world.folder / "cases.json", keys)
    loose = match_files(world.folder / "cases.json", world.folder / "Phone.tsv", 1800)
    result = world.batch()
    assert (loose.lines, loose.sightings) == (len(lines), result.sightings) == (57, 57)
    with world.registry.read() as session:
        stored = {(int(named.case), named.exposure.day): named.exposure for named in list_exposures(session)}
        assert set(stored) == {(exposure.case, exposure.day) for exposure in loose.exposures}
        for exposure in loose.exposures:
            row = stored[exposure.case, exposure.day]
            for name, value in exposure.score._asdict().items():
                assert getattr(row, name) == value
