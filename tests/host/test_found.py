"""What a day's matching found: put together from shards, kept as bytes, and told apart by everything it rests on."""

import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.integration.spark_world import CASE, DAYS, FIRST_DAY, context, written

from bztoken import scoring
from bztoken.matching.bearers import Bearers, Hand
from bztoken.matching.found import DayFound, from_bytes, merged, to_bytes
from bztoken.matching.key_table import KnownId
from bztoken.matching.peers import CaseFacts
from bztoken.matching.rules import Preset
from bztoken.matching.run import plan_digest
from bztoken.matching.task import Context, Task, run_task
from bztoken.matching.tolerance import Tolerance
from bztoken.scoring.bluezone import Bluezone


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return context(written(tmp_path_factory.mktemp("days")))


def found(there: Context, day: int, shards: int) -> list[DayFound]:
    source = there.open_source()
    return [run_task(there, source, Task(day, shard, shards)) for shard in range(shards)]


@pytest.mark.parametrize("day", range(FIRST_DAY, FIRST_DAY + DAYS))
@pytest.mark.parametrize("shards", [2, 5])
def test_the_shards_of_a_day_make_the_day(there: Context, day: int, shards: int) -> None:
    (whole,) = found(there, day, 1)
    together = merged(found(there, day, shards))
    assert together.scores == whole.scores and whole.scores
    assert together[1:4] == whole[1:4]
    assert rows(together) == rows(whole) and rows(whole)


def rows(one: DayFound) -> list[tuple[int, ...]]:
    return sorted(zip(*(column.tolist() for column in one.at_sites), strict=True))


def test_bytes_keep_every_bit(there: Context) -> None:
    (whole,) = found(there, FIRST_DAY, 1)
    again = from_bytes(to_bytes(whole))
    assert again.scores == whole.scores and again[1:4] == whole[1:4]
    for ours, theirs in zip(again.at_sites, whole.at_sites, strict=True):
        assert ours.dtype == np.int64 and np.array_equal(ours, theirs)


@pytest.mark.parametrize("raw", [b"", b"x", zlib.compress(b"{}"), zlib.compress(b"[1]"), zlib.compress(b"x")])
def test_other_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        from_bytes(raw)


def changed(there: Context, **peers: Any) -> Context:
    return there._replace(peers=replace(there.peers, **peers))


def changed_preset() -> Preset:
    """Other numbers under the same name and version, as somebody who calibrates again leaves them."""
    preset = scoring.load("bluezone")
    assert isinstance(preset, Bluezone)
    return replace(preset, close_minutes_f1=preset.close_minutes_f1 + 1)


def test_a_plan_is_another_one_when_anything_that_it_rests_on_is(there: Context, tmp_path: Path) -> None:
    keys = there.peers.keys
    hands = {3: [Hand(0, None, 5, None)]}
    plans = [
        there,
        there._replace(preset=scoring.load("swisscovid")),
        there._replace(preset=changed_preset()),
        there._replace(tolerance=Tolerance(60)),
        changed(there, owner_of_key=there.peers.owner_of_key[::-1].copy()),
        changed(there, owners=[CASE._replace(case_id=9), *there.peers.owners[1:]]),
        changed(there, facts={1: CaseFacts(report_type=2)}),
        changed(there, facts={1: CaseFacts(frozenset({3}), report_type=1), 2: CaseFacts(report_type=1)}),
        changed(there, bearers=Bearers(hands)),
        changed(there, bearers=Bearers({3: [Hand(0, 9, 5, None)]})),
        changed(there, bearers=Bearers({}, frozenset({3}))),
        changed(there, known=[KnownId(b"k" * 12, 5, 0)]),
        changed(there, keys=replace(keys, time_end_s=keys.time_end_s + 1)),
        changed(there, keys=replace(keys, key=keys.key ^ np.uint8(1))),
        changed(there, keys=replace(keys, uncertainty_s=keys.uncertainty_s + 1)),
    ]
    digests = [plan_digest(plan) for plan in plans]
    assert len(set(digests)) == len(plans)
    assert plan_digest(context(tmp_path)) == digests[0]
