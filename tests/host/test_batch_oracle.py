"""Whole batches over small random worlds, against a matching that is too slow to be wrong."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select
from tests.host.slow_matching import Key, SiteRow, is_near, slots_of, slow_scores, slow_stays, slow_verdicts
from tests.host.traced_world import TracedWorld, day_key, tek

from bztoken import scoring
from bztoken.formats.tracing_key import TracingKey
from bztoken.home import Home
from bztoken.registry.database import create_registry, open_registry
from bztoken.registry.models import Exposure, Sighting, Visit

LOGS = ("F0", "Lan", "Minh", "Hoa", "Market", "Phone")
CASES: dict[str, list[TracingKey]] = {
    "F0-1": [day_key("f0"), day_key("f0", 1, uncertainty_s=600), tek("f0"), tek("f0", 1)],
    "F0-2": [day_key("g0"), day_key("g0")],
}
CONTACTS = {"Lan": [day_key("lan"), day_key("lan", 1)], "Minh": [tek("minh", uncertainty_s=5000)]}
MARKET = [day_key("market"), day_key("market", 1)]
ALL_KEYS = [*CASES["F0-1"], *CASES["F0-2"], *CONTACTS["Lan"], *CONTACTS["Minh"], *MARKET, day_key("stranger")]
# Few, so that people meet: at both ends of each key's day and in the middle of it.
SLOTS = [
    slot for key in ALL_KEYS for slots in [slots_of(0, key)] for slot in (slots[0], slots[len(slots) // 2], slots[-1])
]


class Oracle:
    """One registry for all examples; who is who never changes, only what they heard."""

    def __init__(self, world: TracedWorld) -> None:
        self.world = world
        for label in LOGS[:-1]:
            world.token(label, "site" if label == "Market" else "person")
        world.phone("Phone")
        self.case_ids = {
            "F0-1": world.case("F0-1", *CASES["F0-1"], token="F0", source="token"),
            "F0-2": world.case("F0-2", *CASES["F0-2"]),
        }
        for label, keys in CONTACTS.items():
            world.releases(label, *keys, case_id=self.case_ids["F0-1"])
        world.releases("Market", *MARKET)

    def rows(self, drawn: list[tuple[int, int, int, int, int, bool, int | None]]) -> list[dict[str, Any]]:
        found = []
        for log, slot, shift_s, windows, rssi_dbm, stale, uncertainty_s in drawn:
            label, one = LOGS[log], SLOTS[slot]
            more = {"rssi_max_dbm": rssi_dbm + 4, "rssi_mean_dbm": rssi_dbm, "stale": stale}
            more["uncertainty_s"] = uncertainty_s
            for window in range(windows):
                at_s = one.start_s + shift_s + 300 * window
                found.append(self.world._row(label, label == "Phone", one.rotating_id, at_s, more))
        return found

    def hear(self, rows: list[dict[str, Any]]) -> None:
        with self.world.registry.write() as session:
            session.execute(delete(Sighting))
            if rows:
                session.execute(insert(Sighting), rows)

    def exposures(self, rows: list[dict[str, Any]], unknown_s: int) -> dict[Key, tuple[Any, ...]]:
        preset, logs = scoring.load("bluezone"), self.world.logs
        direct, via = {}, {}
        for name, keys in CASES.items():
            others = [row for row in rows if name != "F0-1" or row["log_id"] != logs["F0"]]
            for (log, day), score in slow_scores(keys, others, unknown_s, preset).items():
                direct[self.case_ids[name], log, day] = score
        for label, keys in CONTACTS.items():
            others = [row for row in rows if row["log_id"] not in (logs["F0"], logs[label])]
            for (log, day), score in slow_scores(keys, others, unknown_s, preset).items():
                via[self.case_ids["F0-1"], logs[label], log, day] = score
        found = slow_verdicts(direct, via, {logs["Market"]})
        return {
            key: (score.minutes, score.close_minutes, score.windows, score.first_s, score.rssi_mean_dbm, verdict)
            for key, (score, verdict) in found.items()
        }

    def visits(self, rows: list[dict[str, Any]], unknown_s: int) -> list[tuple[Any, ...]]:
        market = self.world.logs["Market"]
        slots = [slot for key in MARKET for slot in slots_of(0, key)]
        heard = [
            SiteRow(
                market,
                row["log_id"],
                row["first_s"],
                row["last_s"] - row["first_s"],
                row["scans"],
                row["packets"],
                row["rssi_mean_dbm"],
                row["scan_period_s"] == 0,
            )
            for row in rows
            if row["log_id"] != market and not row["stale"]
            if any(is_near(row, slot, "bluezone", unknown_s) for slot in slots)
        ]
        return slow_stays(heard)

    def stored_exposures(self) -> dict[Key, tuple[Any, ...]]:
        with self.world.registry.read() as session:
            return {
                (row.case_id, row.via_log_id, row.log_id, row.day): (
                    row.minutes,
                    row.close_minutes,
                    row.windows,
                    row.first_s,
                    row.rssi_mean_dbm,
                    row.verdict,
                )
                for row in session.scalars(select(Exposure))
            }

    def stored_visits(self) -> list[tuple[Any, ...]]:
        columns = ("site_log_id", "log_id", "first_s", "last_s", "minutes", "windows", "rssi_max_dbm", "rssi_mean_dbm")
        with self.world.registry.read() as session:
            return sorted(tuple(getattr(row, name) for name in columns) for row in session.scalars(select(Visit)))


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    home = Home(tmp_path_factory.mktemp("oracle") / "home")
    create_registry(home)
    with open_registry(home) as registry:
        yield Oracle(TracedWorld(registry))


heard = st.tuples(
    st.integers(0, len(LOGS) - 1),
    st.integers(0, len(SLOTS) - 1),
    st.one_of(st.integers(0, 300), st.integers(-9000, 9000)),
    st.integers(1, 4),
    st.sampled_from([-60, -75, -90]),
    st.sampled_from([False, False, False, True]),
    st.one_of(st.none(), st.sampled_from([0, 60, 3000, 9000])),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(heard, max_size=25), unknown_s=st.sampled_from([0, 1800, 10_000]))
def test_a_batch_finds_what_the_slow_matching_finds(oracle: Oracle, drawn: Any, unknown_s: int) -> None:
    rows = oracle.rows(drawn)
    oracle.hear(rows)
    oracle.world.batch(unknown_s)
    assert oracle.stored_exposures() == oracle.exposures(rows, unknown_s)
    assert oracle.stored_visits() == oracle.visits(rows, unknown_s)


def test_the_random_worlds_can_hold_every_verdict(oracle: Oracle) -> None:
    """A crafted one through the same two ways, so that the comparison above compares something."""

    def at_noon(key: TracingKey, label: str) -> tuple[int, int, int, int, int, bool, None]:
        return LOGS.index(label), 3 * ALL_KEYS.index(key) + 1, 0, 4, -60, False, None

    rows = oracle.rows(
        [
            at_noon(CASES["F0-1"][0], "Lan"),
            at_noon(CASES["F0-1"][3], "Minh"),
            at_noon(CASES["F0-1"][0], "Market"),
            at_noon(CASES["F0-2"][0], "F0"),
            at_noon(CONTACTS["Lan"][1], "Hoa"),
            at_noon(CONTACTS["Lan"][1], "Minh"),
            at_noon(CONTACTS["Minh"][0], "Hoa"),
            at_noon(MARKET[1], "Phone"),
        ]
    )
    oracle.hear(rows)
    result = oracle.world.batch(1800)
    found = oracle.stored_exposures()
    assert found == oracle.exposures(rows, 1800)
    assert {values[-1] for values in found.values()} == {"F1", "F2", "noted", "place"}
    assert len(oracle.stored_visits()) == result.visits == 1
