"""What a sniffer sees in a virtual day: ID and address change together in each slot, with a silent random gap, and
every ID is the one that follows from the token's day key.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from tests.firmware.bench import DAY_S, SECOND_US, START_DAY, START_S, Bench, Sniffed

from bzvirtual.application import Application
from bzwire import bluezone

SLOT_US = bluezone.SLOT_S * SECOND_US
EVENING_S = START_S + 20 * 3600
LIFE_S = 8 * 3600  # over midnight


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory, app: Application) -> Iterator[Bench]:
    """Two tokens side by side, lived from the evening into the next day. Look only."""
    bench = Bench(tmp_path_factory.mktemp("evening"), app, EVENING_S)
    bench.hand_out("a", 0.0)
    bench.hand_out("b", 1.0)
    bench.live(LIFE_S)
    yield bench
    bench.close()


def id_of(sniffed: Sniffed) -> bytes:
    parsed = bluezone.parse_advertisement(sniffed.broadcast.data)
    assert parsed is not None
    return parsed[0]


def seen_of(bench: Bench, name: str) -> list[Sniffed]:
    return [sniffed for sniffed in bench.sniffed if sniffed.name == name]


def test_each_slot_has_one_id_and_one_address_of_its_own(evening: Bench) -> None:
    slots = LIFE_S // bluezone.SLOT_S
    for name in ("a", "b"):
        assert len(seen_of(evening, name)) == slots
    assert len({id_of(sniffed) for sniffed in evening.sniffed}) == 2 * slots
    assert len({sniffed.broadcast.address for sniffed in evening.sniffed}) == 2 * slots


def test_addresses_are_non_resolvable_private_ones(evening: Bench) -> None:
    assert {sniffed.broadcast.address[0] >> 6 for sniffed in evening.sniffed} == {0}
    assert all(len(set(sniffed.broadcast.address)) > 2 for sniffed in evening.sniffed)


def test_between_two_ids_lies_a_silence_that_is_drawn(evening: Bench) -> None:
    gaps_s = []
    for name in ("a", "b"):
        for old, new in pairwise(seen_of(evening, name)):
            assert old.broadcast.end_us is not None
            gaps_s.append((new.broadcast.start_us - old.broadcast.end_us) / SECOND_US)
    assert min(gaps_s) >= 0.2
    assert max(gaps_s) < 2.5
    assert len({round(gap_s, 2) for gap_s in gaps_s}) > len(gaps_s) // 2
    assert max(gaps_s) - min(gaps_s) > 1


def test_nothing_of_an_old_id_is_sent_after_its_slot(evening: Bench) -> None:
    for name in ("a", "b"):
        for sniffed in seen_of(evening, name)[:-1]:
            slot_end_us = (sniffed.broadcast.start_us // SLOT_US + 1) * SLOT_US
            assert sniffed.broadcast.end_us is not None
            assert sniffed.broadcast.end_us <= slot_end_us + 2 * SECOND_US


def test_ids_are_those_of_the_day_key_and_its_slot(evening: Bench) -> None:
    for wearer in evening.wearers:
        day_keys = wearer.day_keys()
        for sniffed in seen_of(evening, wearer.token.station.name):
            start_s = sniffed.broadcast.start_us // SECOND_US
            day_key = day_keys[bluezone.day_of(start_s)]
            assert id_of(sniffed) == bluezone.slot_id(day_key, bluezone.slot_of(start_s))


def test_the_day_key_is_a_new_and_independent_one_after_midnight(evening: Bench) -> None:
    first, second = (wearer.day_keys() for wearer in evening.wearers)
    assert set(first) == set(second) == {START_DAY, START_DAY + 1}
    assert len({*first.values(), *second.values()}) == 4
    midnight_us = (START_S + DAY_S) * SECOND_US
    assert any(sniffed.broadcast.start_us > midnight_us for sniffed in evening.sniffed)


def test_the_payload_tells_the_transmit_power_and_nothing_of_the_token(evening: Bench) -> None:
    for wearer in evening.wearers:
        for sniffed in seen_of(evening, wearer.token.station.name):
            assert sniffed.broadcast.data == bluezone.advertisement(id_of(sniffed), 0)
            assert wearer.identity.uid not in sniffed.broadcast.data


def test_another_seed_gives_other_ids_and_the_same_seed_the_same(tmp_path: Path, app: Application) -> None:
    runs = []
    for run, seed in enumerate((5, 5, 6)):
        bench = Bench(tmp_path / str(run), app, seed=seed)
        bench.hand_out("a")
        bench.live(2000)
        runs.append([(sniffed.broadcast.start_us, sniffed.broadcast.data) for sniffed in bench.sniffed])
        bench.close()
    assert runs[0] == runs[1]
    assert {data for _, data in runs[0]} & {data for _, data in runs[2]} == set()


def test_day_keys_older_than_14_days_vanish(bench: Bench) -> None:
    wearer = bench.hand_out("old")
    seen: dict[int, bytes] = {}
    for day in range(17):
        wearer.set_clock(START_S + day * DAY_S + 3600)
        bench.live(5)
        kept = wearer.day_keys()
        assert sorted(kept) == list(range(max(START_DAY, START_DAY + day - 13), START_DAY + day + 1))
        assert {key: seen.get(key, kept[key]) for key in kept} == kept
        seen.update(kept)
    assert len(set(seen.values())) == 17
