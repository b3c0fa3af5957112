"""A batch that was stopped goes on where it had come to, and never with a day that has changed since."""

from typing import Any

import pytest
from sqlalchemy import func, select, update
from tests.host.first_and_second_contacts import NOON_S, lan_is_f1_and_minh_met_her, meets, people, world
from tests.host.traced_world import DAY_S, START_S, TracedWorld, day_key

from bztoken.matching.batch import BatchResult
from bztoken.matching.engines.local import LocalEngine
from bztoken.matching.run import Done
from bztoken.registry import histories
from bztoken.registry.models import Case, Exposure, MatchedDay, Sighting, Visit
from bztoken.tracing import case_record

__all__ = ["people", "world"]

KEYS = [day_key("f0", day) for day in range(3)]


class Stopped(Exception):
    """Somebody pulled the plug."""


def three_days(world: TracedWorld) -> int:
    """Lan and Minh meet the same case on each of three days."""
    case_id = world.case("F0-3", *KEYS)
    for day, key in enumerate(KEYS):
        meets(world, "Lan", key, START_S + day * DAY_S + 43_200)
        meets(world, "Minh", key, START_S + day * DAY_S + 50_400)
    return case_id


def stop_after(world: TracedWorld, days: int) -> list[Done]:
    told: list[Done] = []

    def stop(done: Done) -> None:
        told.append(done)
        if done.done == days:
            raise Stopped

    with pytest.raises(Stopped):
        world.batch(progress=stop)
    return told


def go_on(world: TracedWorld) -> tuple[BatchResult, list[str]]:
    """The result, and the days that were not matched again."""
    told: list[Done] = []
    result = world.batch(progress=told.append)
    assert [done.done for done in told] == list(range(1, told[0].total + 1))
    return result, [done.day for done in told if done.kept]


def kept_days(world: TracedWorld) -> int:
    with world.registry.read() as session:
        return session.scalar(select(func.count()).select_from(MatchedDay)) or 0


def exposures(world: TracedWorld) -> list[Any]:
    with world.registry.read() as session:
        return sorted(
            (row.log_id, row.day, row.minutes, row.verdict, row.attenuation_db, row.rssi_mean_dbm)
            for row in session.scalars(select(Exposure))
        )


def test_a_stopped_batch_goes_on_and_finds_what_an_unbroken_one_finds(world: TracedWorld) -> None:
    three_days(world)
    unbroken = world.batch()
    found = exposures(world)
    assert len(found) == 6 and kept_days(world) == 0
    matched = {done.day for done in stop_after(world, 3)}
    assert kept_days(world) > 0
    result, kept = go_on(world)
    assert kept and set(kept) < matched
    assert result == unbroken and exposures(world) == found
    assert kept_days(world) == 0


def test_a_stopped_batch_shows_nothing_of_what_it_found(world: TracedWorld) -> None:
    three_days(world)
    stop_after(world, 3)
    assert exposures(world) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session.execute(update(Sighting).where(Sighting.id == 1).values(last_s=Sighting.last_s + 1)),
        lambda session: session.execute(update(Sighting).where(Sighting.id == 1).values(uncertainty_s=7)),
        lambda session: session.delete(session.get_one(Sighting, 1)),
    ],
    ids=["time", "clock", "deleted"],
)
def test_a_day_that_changed_is_matched_again(world: TracedWorld, change: Any) -> None:
    three_days(world)
    stop_after(world, 4)
    with world.registry.write() as session:
        day = session.get_one(Sighting, 1).first_s // DAY_S
        before = session.scalars(select(MatchedDay.day)).all()
        change(session)
    assert day in before
    _, kept = go_on(world)
    assert len(kept) == len([one for one in before if one != day])
    found = exposures(world)
    world.batch()
    assert exposures(world) == found


def test_two_sightings_that_change_places_in_time_are_noticed(world: TracedWorld) -> None:
    """All plain sums stay the same."""
    three_days(world)
    stop_after(world, 4)
    with world.registry.write() as session:
        one, other = session.get_one(Sighting, 1), session.get_one(Sighting, 2)
        assert one.first_s // DAY_S == other.first_s // DAY_S and one.first_s != other.first_s
        for name in ("first_s", "last_s", "window_start_s"):
            here, there = getattr(one, name), getattr(other, name)
            setattr(one, name, there)
            setattr(other, name, here)
        day, before = one.first_s // DAY_S, session.scalars(select(MatchedDay.day)).all()
    _, kept = go_on(world)
    assert day in before and len(kept) == len(before) - 1


def test_another_case_another_preset_or_another_tolerance_starts_over(world: TracedWorld) -> None:
    three_days(world)
    stop_after(world, 4)
    told: list[Done] = []
    world.batch(tolerance_s=60, progress=told.append)
    assert not any(done.kept for done in told)
    stop_after(world, 4)
    world.case("F0-4", day_key("other"))
    assert go_on(world)[1] == []


def test_nothing_is_kept_of_what_was_taken_away(world: TracedWorld) -> None:
    case_id = three_days(world)
    stop_after(world, 3)
    withdraw(world, case_id)
    assert kept_days(world) == 0


def test_what_was_taken_away_while_a_batch_ran_is_not_kept_by_it(world: TracedWorld) -> None:
    """The batch sees its snapshot, in which it is still there."""
    case_id, told = three_days(world), []

    def withdraw_then_stop(done: Done) -> None:
        told.append(done)
        if done.done == 2:
            withdraw(world, case_id)
        if done.done == 4:
            raise Stopped

    with pytest.raises(Stopped):
        world.batch(progress=withdraw_then_stop)
    assert len(told) == 4 and kept_days(world) == 0


def withdraw(world: TracedWorld, case_id: int) -> None:
    with world.registry.write() as session:
        case_record.withdraw(session, session.get_one(Case, case_id), case_record.REASONS[0], 6)


def test_nothing_is_kept_of_a_history_that_went(world: TracedWorld) -> None:
    three_days(world)
    phone = world.phone("Hoa's phone")
    world.hears("Hoa's phone", b"h" * 12, NOON_S)
    stop_after(world, 3)
    assert kept_days(world) > 0
    with world.registry.write() as session:
        histories.forget(session, phone)
    assert kept_days(world) == 0


def test_a_kept_day_that_cannot_be_read_is_matched_again(world: TracedWorld) -> None:
    three_days(world)
    unbroken = world.batch()
    stop_after(world, 4)
    with world.registry.write() as session:
        days = session.scalars(select(MatchedDay.day).order_by(MatchedDay.day)).all()
        session.execute(update(MatchedDay).where(MatchedDay.day == days[0]).values(found=b"of nobody"))
    result, kept = go_on(world)
    assert result == unbroken and len(kept) == len(days) - 1 > 0


def test_a_registry_of_very_many_sightings_has_marks(world: TracedWorld) -> None:
    """SQLite refuses a sum past 63 bits: 2 million sightings a day get there when 100 million are numbered."""
    three_days(world)
    with world.registry.write() as session:
        session.execute(update(Sighting).values(id=Sighting.id + 10**14))
    stop_after(world, 4)
    assert go_on(world)[1]


def test_several_processes_find_what_one_finds(world: TracedWorld) -> None:
    world.token("Market", role="site")
    world.releases("Market", day_key("market"))
    meets(world, "Hoa", day_key("market"), NOON_S)
    lan_is_f1_and_minh_met_her(world)
    three_days(world)
    one = world.batch(engine=LocalEngine(1))
    found = exposures(world)
    with world.registry.read() as session:
        visits = session.scalars(select(Visit.minutes)).all()
    several = LocalEngine(2)
    assert world.batch(engine=several) == one
    assert exposures(world) == found and several.startup_s > 0
    with world.registry.read() as session:
        assert session.scalars(select(Visit.minutes)).all() == visits and visits
