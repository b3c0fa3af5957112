"""Tokens of the windowed profile find each other, stay together, and are not pulled apart by others."""

import random
from pathlib import Path

import pytest
from tests.firmware.bench import START_S, Bench, stays_at
from tests.firmware.windows import (
    FIRST_S,
    JITTER_S,
    MINUTE_S,
    RETURN_MINUTES,
    SLACK_S,
    ahead_s,
    apart_s,
    long_ones,
    phase_s,
    share_in_step,
    windowed,
    windows_of,
)

from bzvirtual.application import Application
from bzvirtual.ether import Station
from bzvirtual.phone import Phone
from bzvirtual.world import Position
from bzwire import bluezone


@pytest.mark.parametrize("offset_s", [1.5, -1.5])
def test_tokens_whose_clocks_are_a_moment_apart_hear_each_other_at_the_edges_of_their_windows(
    bench: Bench, offset_s: float
) -> None:
    windowed(bench, "a")
    windowed(bench, "b", 1.5, offset_s)
    bench.live(3600 + 5)
    for wearer in bench.wearers:
        wearer.wake()
        scans = [sum(record.scans for record in records) for _, records in wearer.pages()[2:]]
        assert min(scans) >= 4
        assert sum(scans) >= 0.97 * 5 * len(scans)


@pytest.mark.parametrize("offset_s", [20, -20, 29.5])
def test_tokens_whose_clocks_differ_come_into_step_and_stay(bench: Bench, offset_s: float) -> None:
    a = windowed(bench, "a")
    b = windowed(bench, "b", 1.5, offset_s)
    bench.live(30 * MINUTE_S)
    together_s = bench.now_s
    bench.live(40 * MINUTE_S)
    assert share_in_step(bench, "a", "b", together_s) >= 0.97
    for wearer in (a, b):
        wearer.wake()
        heard = [sum(record.scans for record in records) for _, records in wearer.pages()[-7:]]
        assert sum(heard) >= 0.97 * 5 * 7
        # The clock itself is never changed by what is heard.
        wrong_s = 0 if wearer is a else offset_s
        assert wearer.status()["t"] / 1000 - bench.now_s == pytest.approx(wrong_s, abs=0.2)


def test_tokens_half_a_minute_apart_meet_in_most_quarters_of_an_hour(
    tmp_path_factory: pytest.TempPathFactory, app: Application
) -> None:
    met = []
    for seed in range(1, 3):
        bench = Bench(tmp_path_factory.mktemp("quarters"), app, START_S, seed)
        pairs = []
        for n in range(3):
            pairs.append([windowed(bench, f"{n}a", n * 5000.0), windowed(bench, f"{n}b", n * 5000.0 + 1.5, 20.0)])
        bench.live(16 * MINUTE_S)
        for wearers in pairs:
            for wearer in wearers:
                wearer.wake()
                wearer.set_clock(bench.now_s)
                met.append(any(records for _, records in wearer.pages()))
        bench.close()
    assert sum(met) / len(met) >= 0.9


def test_the_scans_of_a_record_never_stand_for_more_than_its_window(bench: Bench) -> None:
    """SPEC.md: a scan heard stands for the scan period, 60 s. A neighbour who is always on the air is heard in extra
    windows too."""
    wearer = windowed(bench, "a")
    bench.hand_out("always", 1.5)
    bench.live(3600 + 5)
    wearer.wake()
    for header, records in wearer.pages()[1:]:
        assert header.window_s == 300
        assert sum(record.scans for record in records) * header.scan_period_s <= header.window_s + header.scan_period_s


def test_no_window_reaches_over_the_end_of_a_slot_in_whatever_phase(tmp_path: Path, app: Application) -> None:
    """Partners whose windows lie around the full minute of the other's clock pull tokens there."""
    bench = Bench(tmp_path, app)
    wearers = {}
    for n, offset_s in enumerate((2.6, 3.2)):
        for name, wrong_s in ((f"a{n}", 0.0), (f"b{n}", offset_s)):
            wearers[name] = windowed(bench, name, n * 5000.0 + wrong_s / 3, wrong_s)
    bench.live(2 * 3600)
    crossing = []
    for name, wearer in wearers.items():
        # The first window may be longer: it was told its profile in that minute.
        for window in windows_of(bench, name, START_S + 2 * MINUTE_S):
            begins_s = window.start_s + ahead_s(wearer)
            if begins_s // bluezone.SLOT_S != (begins_s + window.length_s) // bluezone.SLOT_S:
                crossing.append((name, round(begins_s % bluezone.SLOT_S, 2), window.length_s))
    bench.close()
    assert crossing == []


def test_a_token_that_is_alone_again_returns_to_the_common_phase(bench: Bench) -> None:
    leaves_s = START_S + 30 * MINUTE_S

    def visitor(unix_s: float) -> Position:
        return Position(1.5 if unix_s < leaves_s else 5000.0, 0.0, "field", False)

    windowed(bench, "a")
    windowed(bench, "b", offset_s=-20, where=visitor)
    bench.live_until(leaves_s)
    bench.live((RETURN_MINUTES + 5) * MINUTE_S)
    since_s = bench.now_s
    bench.live(20 * MINUTE_S)
    for wearer in bench.wearers:
        for window in long_ones(bench, wearer.token.station.name, since_s):
            phase = phase_s(window, ahead_s(wearer))
            assert apart_s(phase, FIRST_S + JITTER_S / 2) <= JITTER_S / 2 + SLACK_S


# -- who must not pull it away --------------------------------------------------------------------------------------
def neighbour_phone(bench: Bench, name: str, x_m: float) -> Phone:
    station = Station(name, -15, stays_at(x_m), random.Random(name))
    phone = Phone(station, random.Random(name + "!"), bench.lockstep.now_us)
    bench.lockstep.add_phone(phone)
    return phone


@pytest.mark.parametrize("x_m", [1.0, 40.0])
def test_a_continuous_neighbour_does_not_pull_two_tokens_apart(bench: Bench, x_m: float) -> None:
    windowed(bench, "a")
    windowed(bench, "b", 1.5)
    bench.hand_out("always", x_m)
    bench.live(3600)
    assert share_in_step(bench, "a", "b", START_S + 5 * MINUTE_S) >= 0.98


@pytest.mark.parametrize("x_m", [1.0, 10.0])
def test_phones_do_not_pull_two_tokens_apart(bench: Bench, x_m: float) -> None:
    windowed(bench, "a")
    windowed(bench, "b", 1.5)
    for n in range(3):
        neighbour_phone(bench, f"phone{n}", x_m + n)
    bench.live(3600)
    assert share_in_step(bench, "a", "b", START_S + 5 * MINUTE_S) >= 0.98


def test_phones_at_the_edge_of_reach_do_not_move_a_token(bench: Bench) -> None:
    """Heard now and then, mostly not in a regular window: a token would look for its company there."""
    windowed(bench, "a")
    for n in range(4):
        neighbour_phone(bench, f"phone{n}", 11.0 + n)
    bench.live(2 * 3600)
    for window in long_ones(bench, "a", START_S + 2 * MINUTE_S):
        phase = phase_s(window, ahead_s(bench.wearers[0]))
        assert apart_s(phase, FIRST_S + JITTER_S / 2) <= JITTER_S / 2 + SLACK_S


def test_a_third_token_out_of_step_does_not_pull_two_apart(bench: Bench) -> None:
    windowed(bench, "a")
    windowed(bench, "b", 1.5)
    windowed(bench, "c", 0.8, 25)
    bench.live(30 * MINUTE_S)
    since_s = bench.now_s
    bench.live(40 * MINUTE_S)
    assert share_in_step(bench, "a", "b", since_s) >= 0.95
    assert share_in_step(bench, "c", "a", since_s) >= 0.95


def test_a_phone_and_a_windowed_token_see_each_other_in_every_quarter_of_an_hour(bench: Bench) -> None:
    wearer = windowed(bench, "a")
    phone = neighbour_phone(bench, "phone", 1.5)
    bench.live(2 * 3600 + 5)
    wearer.wake()
    own_ids = {window.rotating_id.hex().upper() for window in windows_of(bench, "a")}
    quarters_of_phone = {
        int(line.split("\t")[3]) // 1000 // 900 for line in phone.history if line.split("\t")[1] in own_ids
    }
    quarters_of_token = {header.window_start_s // 900 for header, records in wearer.pages() if records}
    assert len(quarters_of_phone) >= 7
    assert len(quarters_of_token) >= 7
