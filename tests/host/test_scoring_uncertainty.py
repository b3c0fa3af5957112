"""The uncertainty of an attenuation is what the public recordings say; the bench that measures it counts rightly."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from bztoken.scoring.attenuation import PER_WINDOW_DB, SYSTEMATIC_DB, Bands, off_db

BENCH = Path(__file__).parent.parent / "bench"


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCH)
    return importlib.import_module("contact_recordings")


@pytest.fixture
def quality(recordings: ModuleType) -> ModuleType:
    return importlib.import_module("contact_quality")


def test_both_constants_are_what_was_measured_at_six_feet(recordings: ModuleType, quality: ModuleType) -> None:
    groups = recordings.static_6ft()
    assert len(groups) == 282
    assert round(quality.systematic_db(groups)) == SYSTEMATIC_DB
    assert round(quality.within_db(groups)) == PER_WINDOW_DB


def test_one_window_is_less_sure_than_many_and_none_counts_as_one() -> None:
    assert off_db(1) == pytest.approx((64 + 25) ** 0.5)
    assert off_db(0) == off_db(1) > off_db(12) > off_db(288) > SYSTEMATIC_DB


@pytest.mark.parametrize(("included", "band"), [(True, "near"), (False, "middle")])
def test_a_bound_belongs_where_the_preset_says(included: bool, band: str) -> None:
    bands = Bands(55, 70, included)
    assert (bands.of(54.9), bands.of(55), bands.of(55.1)) == ("near", band, "middle")
    assert (bands.of(69.9), bands.of(70.1)) == ("middle", "far")


def test_the_auc_is_one_when_all_close_ones_are_louder_and_a_half_for_a_coin(
    recordings: ModuleType, quality: ModuleType
) -> None:
    groups = [recordings.Group("a", "b", "file", metres, 10, 0.0, 1.0) for metres in (1, 1, 3, 3)]
    assert quality.auc(groups, [-50, -60, -70, -80]) == 1
    assert quality.auc(groups, [-70, -80, -50, -60]) == 0
    assert quality.auc(groups, [-50, -50, -50, -50]) == 0.5
    assert quality.auc(groups, [-50, -70, -60, -80]) == 0.75


def test_an_offset_is_learned_from_the_other_files_of_a_device_only(
    recordings: ModuleType, quality: ModuleType
) -> None:
    """Two receivers at the same distances, one 10 dB deafer; a third has one file, so nothing to learn from."""
    heard = [("good", -60), ("deaf", -70)]
    groups = [
        recordings.Group(receiver, "x", f"{receiver} {file}", metres, 10, level - 5 * metres, 1.0)
        for receiver, level in heard
        for file in (1, 2)
        for metres in (1, 3)
    ]
    corrected = quality.corrected_dbm(groups, lambda it: it.receiver)
    assert corrected[:4] == pytest.approx(corrected[4:])
    alone = quality.corrected_dbm(groups, lambda it: it.recording)
    assert alone == [group.mean_dbm for group in groups]
