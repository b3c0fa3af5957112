"""The public recordings as files for `bztoken calibrate`: no packet is lost or added, and what they say of 2 m."""

import importlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bztoken.calibration import judging
from bztoken.calibration.calibrating import DEFAULT_TX_DBM, LEAST_PACKETS, Calibration, calibrate
from bztoken.calibration.device_offsets import CHOSEN, LINEAR, LOGARITHM, fit
from bztoken.calibration.judging import OFFSETS, OTHER_GROUPS, SAME_DATA

BENCH = Path(__file__).parent.parent / "bench"
RECEIVER = "an offset a receiver"


@pytest.fixture(scope="module")
def recordings() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCH)
        yield importlib.import_module("contact_recordings")


@pytest.fixture(scope="module")
def as_csv(recordings: ModuleType) -> ModuleType:
    return importlib.import_module("recordings_csv")


@pytest.fixture(scope="module")
def carried(as_csv: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    path = as_csv.write(tmp_path_factory.mktemp("carried") / "range_angle.csv", as_csv.range_angle())
    return calibrate(path, LEAST_PACKETS, DEFAULT_TX_DBM)


def test_files_with_times_hold_the_packets_of_their_histograms(recordings: ModuleType) -> None:
    with_times = Counter((file, distance, rssi) for file, _, rssi, distance in recordings.raw_rows())
    files = {file for file, *_ in with_times}
    histograms = {
        (file, distance, rssi): count
        for (file, distance), seen in recordings.histogram_rows().items()
        if file in files
        for rssi, count in seen
    }
    assert len(files) == 3
    assert with_times == histograms


def test_a_histogram_is_spread_over_the_minutes_of_its_distance_packet_by_packet(as_csv: ModuleType) -> None:
    real, spread = list(as_csv.cable_car_with_times()), list(as_csv.cable_car_with_times(spread=True))
    assert Counter(it._replace(time_s=0) for it in real) == Counter(it._replace(time_s=0) for it in spread)
    at_10_cm = [it.time_s for it in spread if it[:3] == ("20210109-2342", "Denmark", "Germany") and it[-1] == 0.1]
    assert 1100 < max(at_10_cm) - min(at_10_cm) < 1200  # 20 minutes
    halves = Counter(time_s < min(at_10_cm) + 600 for time_s in at_10_cm)
    assert abs(halves[True] - halves[False]) <= 0.05 * len(at_10_cm)


def test_offsets_of_carried_pairs_tell_files_that_they_were_not_learned_from(carried: Calibration) -> None:
    aucs = {(way.window_s, way.learned_on, way.correction): way.auc for way in carried.judged}
    for window_s in (150, 900):
        assert aucs[window_s, OTHER_GROUPS, RECEIVER] > aucs[window_s, OTHER_GROUPS, "as heard"] + 0.2
        assert aucs[window_s, SAME_DATA, RECEIVER] > aucs[window_s, OTHER_GROUPS, RECEIVER]  # it flatters


def test_the_line_over_distance_is_the_one_that_fits_what_was_left_out_better(carried: Calibration) -> None:
    windows = carried.windows[0]
    left: dict[str, list[float]] = {LINEAR: [], LOGARITHM: []}
    for code in range(len(windows.groups)):
        out = windows.group == code
        for distance, squares in left.items():
            offsets = fit(windows, OFFSETS[RECEIVER], ~out, distance)
            assert offsets is not None
            squares += (offsets.residual_db(windows)[out & offsets.known(windows)] ** 2).tolist()
    assert len(left[LINEAR]) > 50
    assert min(left, key=lambda distance: np.mean(left[distance])) == CHOSEN


def test_pairs_that_heard_nobody_else_get_one_offset_and_it_is_said(carried: Calibration) -> None:
    assert [name for name in judging.corrections(carried.windows[0], told=False) if name in OFFSETS] == [RECEIVER]
    assert any("carried as it was" in remark for remark in carried.remarks)
