"""What a token hears: 4 s in each minute at a moment nobody can foresee, its neighbours with true minutes and
strengths, never itself.
"""

from collections.abc import Iterator

import pytest
from tests.firmware.bench import SECOND_US, START_S, Bench, Wearer

from bzvirtual.application import Application
from bzvirtual.channel import BODY_DB, FADING_DB, REFERENCE_DB
from bzvirtual.world import Position
from bzwire import bluezone
from bzwire.page import PageHeader, Record

LIFE_S = 2 * 3600


@pytest.fixture(scope="module")
def afternoon(tmp_path_factory: pytest.TempPathFactory, app: Application) -> Iterator[Bench]:
    """Two tokens 1 m apart, a third 300 m away. Look only."""
    bench = Bench(tmp_path_factory.mktemp("afternoon"), app)
    for name, x_m in (("a", 0.0), ("b", 1.0), ("far", 300.0)):
        bench.hand_out(name, x_m)
    bench.live(LIFE_S)
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def log_of_a(afternoon: Bench) -> list[tuple[PageHeader, list[Record]]]:
    return afternoon.wearers[0].pages()


def ids_of(bench: Bench, name: str) -> set[bytes]:
    parsed = [bluezone.parse_advertisement(s.broadcast.data) for s in bench.sniffed if s.name == name]
    return {found[0] for found in parsed if found is not None}


def scans_of(bench: Bench, wearer: Wearer, minutes: int) -> list[tuple[int, int]]:
    """(start, end) in us of every scan of the coming minutes."""
    seen = []
    for _ in range(minutes * 60):
        bench.live(1)
        scan = wearer.token.station.scan
        if scan is not None and (scan.start_us, scan.end_us) not in seen:
            seen.append((scan.start_us, scan.end_us))
    return seen


def test_a_token_scans_4_s_in_each_minute_at_varying_offsets(bench: Bench) -> None:
    wearer = bench.hand_out("scanner")
    scans = scans_of(bench, wearer, 30)
    assert len(scans) == 30
    assert {end_us - start_us for start_us, end_us in scans} == {4 * SECOND_US}
    assert sorted({start_us // (60 * SECOND_US) for start_us, _ in scans}) == [
        START_S // 60 + minute for minute in range(30)
    ]
    offsets_s = [start_us / SECOND_US % 60 for start_us, _ in scans]
    assert min(offsets_s) >= 4
    assert max(offsets_s) + 4 <= 60
    assert max(offsets_s) - min(offsets_s) > 25
    assert len({round(offset_s) for offset_s in offsets_s}) > 15


def test_a_token_hears_its_neighbour_and_neither_itself_nor_the_far_one(
    afternoon: Bench, log_of_a: list[tuple[PageHeader, list[Record]]]
) -> None:
    heard = {record.rotating_id for _, records in log_of_a for record in records}
    assert heard == ids_of(afternoon, "b")
    assert afternoon.wearers[2].pages()[-1][1] == []
    assert ids_of(afternoon, "far") != set()


def test_a_neighbour_is_heard_in_every_minute_of_a_window(log_of_a: list[tuple[PageHeader, list[Record]]]) -> None:
    for header, records in log_of_a[1:]:
        assert sum(record.scans for record in records) == 5
        for record in records:
            assert record.scans <= record.packets
            assert 0 <= record.first_s <= record.last_s < header.window_s


def test_packets_per_scan_fit_the_advertising_interval(log_of_a: list[tuple[PageHeader, list[Record]]]) -> None:
    packets = sum(record.packets for _, records in log_of_a for record in records)
    scans = sum(record.scans for _, records in log_of_a for record in records)
    assert packets / scans == pytest.approx(4 / 0.255, rel=0.08)  # 250 ms and 0 to 10 ms more


def test_strengths_are_those_of_the_channel(log_of_a: list[tuple[PageHeader, list[Record]]]) -> None:
    means = [record.rssi_mean_dbm for _, records in log_of_a for record in records]
    assert all(-REFERENCE_DB - BODY_DB - FADING_DB <= mean <= -REFERENCE_DB + FADING_DB for mean in means)
    assert sum(means) / len(means) == pytest.approx(-REFERENCE_DB - BODY_DB / 2, abs=2)
    for _, records in log_of_a:
        assert all(record.rssi_max_dbm >= record.rssi_mean_dbm for record in records)
        assert {record.tx_power_dbm for record in records} <= {0}


def test_headers_say_the_truth(afternoon: Bench, log_of_a: list[tuple[PageHeader, list[Record]]]) -> None:
    headers = [header for header, _ in log_of_a]
    assert [header.sequence for header in headers] == list(range(1, len(headers) + 1))
    assert [header.window_start_s for header in headers] == [START_S + 300 * n for n in range(len(headers))]
    assert len(headers) == LIFE_S // 300 - 1
    for header in headers:
        assert (header.window_s, header.scan_period_s, header.boot_id) == (300, 60, 1)
        assert header.uptime_ms / 1000 == pytest.approx(header.window_start_s + 300 - START_S, abs=1)
        assert (header.lost_results, header.crowded) == (0, False)
    assert afternoon.wearers[0].status()["lo"] == 0


def test_minutes_together_are_minutes_in_the_log(bench: Bench) -> None:
    """One who comes for 20 minutes and goes: the records begin and end with the visit."""
    comes_s, goes_s = START_S + 1000, START_S + 2200

    def visitor(unix_s: float) -> Position:
        return Position(1.0 if comes_s <= unix_s < goes_s else 500.0, 0.0, "field", False)

    host = bench.hand_out("host")
    bench.hand_out("visitor", where=visitor)
    bench.live(4000)
    times = [
        (header.window_start_s + record.first_s, header.window_start_s + record.last_s, record.scans)
        for header, records in host.pages()
        for record in records
    ]
    assert comes_s <= min(first for first, _, _ in times) <= comes_s + 120
    assert goes_s - 120 <= max(last for _, last, _ in times) <= goes_s + 4
    assert sum(scans for _, _, scans in times) == pytest.approx(20, abs=1)
