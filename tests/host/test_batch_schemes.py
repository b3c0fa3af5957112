"""GAEN keys, their metadata and tolerance, phones that are cases and phones that met them: one batch for all."""

from typing import Any

import pytest
from tests.host.traced_world import DAY_S, START_S, TracedWorld, day_key, tek

from bztoken import scoring
from bztoken.crypto import aes_ecb
from bztoken.formats.tracing_key import TracingKey
from bztoken.registry.cases import SOURCE_EXPORT
from bztoken.registry.database import Registry
from bzwire import gaen
from bzwire.bluezone import slot_id

NOON_S = START_S + 12 * 3600
F0 = tek("f0")


@pytest.fixture
def world(registry: Registry) -> TracedWorld:
    made = TracedWorld(registry)
    for label in ("F0", "Lan", "Minh"):
        made.token(label)
    return made


def rpi(key: TracingKey, at_s: int) -> bytes:
    return gaen.rpi(gaen.rpi_key(key.key), at_s // 600, aes_ecb)


def meets(world: TracedWorld, label: str, key: TracingKey, at_s: int, windows: int = 1, **more: Any) -> None:
    """The right RPI in each window."""
    for window in range(windows):
        world.hears(label, rpi(key, at_s + 300 * window), at_s + 300 * window, **more)


def test_gaen_keys_find_gaen_sightings(world: TracedWorld) -> None:
    meets(world, "Lan", F0, NOON_S, 4)
    meets(world, "Minh", tek("other"), NOON_S, 4)
    world.case("F0-1", F0)
    assert world.batch().sightings == 4
    assert world.found() == {("F0-1", None, "Lan", "08-08", 20, "F1")}


def test_both_schemes_of_one_case_add_up(world: TracedWorld) -> None:
    meets(world, "Lan", F0, NOON_S, 2)
    world.hears("Lan", slot_id(day_key("f0").key, 50), START_S + 50 * 900, 1)
    world.case("F0-1", F0, day_key("f0"))
    world.batch()
    assert world.found() == {("F0-1", None, "Lan", "08-08", 15, "F1")}


def test_a_gaen_encounter_over_midnight_is_found_with_both_keys_and_split_by_day(world: TracedWorld) -> None:
    following = tek("f0", 1)
    midnight_s = START_S + DAY_S
    meets(world, "Lan", F0, midnight_s - 600, 2)
    meets(world, "Lan", following, midnight_s, 3)
    world.case("F0-1", F0, following)
    world.batch()
    assert world.found() == {
        ("F0-1", None, "Lan", "08-08", 10, "noted"),
        ("F0-1", None, "Lan", "08-09", 15, "F1"),
    }


def test_the_last_rpi_of_a_day_is_found_when_a_late_clock_puts_it_into_the_next(world: TracedWorld) -> None:
    world.hears("Lan", rpi(F0, START_S + DAY_S - 1), START_S + DAY_S + 1200)
    world.case("F0-1", F0)
    world.batch()
    assert {row[3] for row in world.found()} == {"08-09"}


@pytest.mark.parametrize(
    ("late_s", "uncertainty_s", "tolerance_s", "found"),
    [
        (1799, None, 1800, 1),
        (1801, None, 1800, 0),
        (7199, 14_000, 1800, 1),
        (7201, 14_000, 1800, 0),
        (7199, None, 86_400, 1),
        (7201, None, 86_400, 0),
    ],
)
def test_two_hours_are_the_most_that_a_gaen_clock_is_forgiven(
    world: TracedWorld, late_s: int, uncertainty_s: int | None, tolerance_s: int, found: int
) -> None:
    """From the end of the ten minutes of the RPI on."""
    at_s = NOON_S + 600 + late_s
    world.hears("Lan", rpi(F0, NOON_S), at_s, last_s=at_s, uncertainty_s=uncertainty_s)
    world.case("F0-1", tek("f0", uncertainty_s=0 if uncertainty_s else None))
    assert world.batch(tolerance_s).exposures == found


def test_intervals_after_the_rolling_period_are_nobodys(world: TracedWorld) -> None:
    short = TracingKey("gaen", F0.key, START_S, 60, START_S + 60 * 600 - 1)
    world.hears("Lan", rpi(F0, START_S + 59 * 600), START_S + 59 * 600)
    world.hears("Minh", rpi(F0, START_S + 60 * 600), START_S + 60 * 600)
    world.case("F0-1", short)
    world.batch()
    assert {row[2] for row in world.found()} == {"Lan"}


def test_what_was_heard_once_the_keys_were_public_does_not_count(world: TracedWorld) -> None:
    """Anybody may have replayed them from then on; an export is public when it is recorded here, if not before."""
    meets(world, "Lan", F0, NOON_S, 4)
    world.case("F0-1", F0, source=SOURCE_EXPORT, now_s=NOON_S + 600)
    world.case("F0-2", F0, tek("f0", 1), now_s=NOON_S + 600)
    world.batch()
    assert {(row[0], row[4]) for row in world.found()} == {("F0-1", 10), ("F0-2", 20)}


@pytest.mark.parametrize(("told_dbm", "attenuation_db"), [(8, 78.0), (-20, 50.0), (100, 60.0)])
def test_the_encrypted_power_counts_where_it_can_be_true(
    world: TracedWorld, told_dbm: int, attenuation_db: float
) -> None:
    """Heard at -70 dBm; the key's own power is -10 dBm, which counts where the metadata say nonsense."""
    identifier = rpi(F0, NOON_S)
    metadata = gaen.aem(gaen.aem_key(F0.key), identifier, told_dbm, aes_ecb)
    world.hears("Lan", identifier, NOON_S, aem=metadata)
    world.case("F0-1", tek("f0", tx_power_dbm=-10))
    world.batch()
    assert [row.exposure.attenuation_db for row in world.named()] == [attenuation_db]


def test_metadata_that_somebody_changed_are_not_believed(world: TracedWorld) -> None:
    identifier = rpi(F0, NOON_S)
    metadata = gaen.aem(gaen.aem_key(F0.key), identifier, 8, aes_ecb)
    world.hears("Lan", identifier, NOON_S, aem=bytes([metadata[0] ^ 0x80]) + metadata[1:])
    world.case("F0-1", tek("f0", tx_power_dbm=-10))
    world.batch()
    assert [row.exposure.attenuation_db for row in world.named()] == [60.0]


def test_contacts_of_a_gaen_contact_are_found_too(world: TracedWorld) -> None:
    meets(world, "Lan", F0, NOON_S, 3)
    meets(world, "Minh", tek("lan"), NOON_S, 3)
    case_id = world.case("F0-1", F0)
    world.releases("Lan", tek("lan"), case_id=case_id)
    world.batch()
    assert ("F0-1", "Lan", "Minh", "08-08", 15, "F2") in world.found()


def test_a_phone_that_is_a_case_is_found_by_the_ids_it_had(world: TracedWorld) -> None:
    """Its keys are known to nobody; its history says which ID it had in which quarter of an hour."""
    ids = [(bytes([n]) * 12, NOON_S + 900 * n) for n in range(1, 4)]
    for rotating_id, slot_start_s in ids:
        world.hears("Lan", rotating_id, slot_start_s, 3)
    world.hears("Minh", ids[0][0], ids[0][1] + 900 + 1800, 3)  # half an hour too late: somebody replays it
    world.case("F0-1", source="phone history", ids=ids)
    assert world.batch().sightings == 9
    assert world.found() == {("F0-1", None, "Lan", "08-08", 45, "F1")}


def test_a_phone_that_met_a_phone_needs_no_token(world: TracedWorld) -> None:
    own = bytes([9]) * 12
    world.phone("Phone of Hoa")
    world.phone("F0-1")
    world.hears("Phone of Hoa", own, NOON_S, 15)
    world.hears("F0-1", own, NOON_S, 3)  # its own history, which came with the case
    world.case("F0-1", source="phone history", ids=[(own, NOON_S)], log_id=world.logs["F0-1"])
    world.batch()
    assert world.found() == {("F0-1", None, "Phone of Hoa", "08-08", 15, "F1")}


def test_days_since_onset_and_the_kind_of_report_reach_the_preset(world: TracedWorld) -> None:
    """Under LFPH Narrow nobody is infectious a week after the onset; a confirmed test on the day of it counts."""
    meets(world, "Lan", F0, NOON_S, 6)
    for day, (name, onset_day) in enumerate((("F0-1", "2020-08-01"), ("F0-2", "2020-08-08")), 1):
        world.case(name, F0, tek("f0", day), onset_day=onset_day, report_type="confirmed_test")
    world.case("F0-3", tek("f0", days_since_onset=7, report_type=1))
    world.batch(preset=scoring.load("lfph-narrow-v2"))
    close = {row.case: row.exposure.close_minutes for row in world.named()}
    assert close["F0-1"] == close["F0-3"] == 0 < close["F0-2"]
