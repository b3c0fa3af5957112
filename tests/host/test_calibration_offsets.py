"""Offsets of devices: found again from recordings that were made with known ones, or said not to be knowable."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.host.calibration_rows import DISTANCES_M, Radio, packets, write, write_groups

from bztoken.calibration import judging
from bztoken.calibration.device_offsets import LINEAR, LOGARITHM, Terms, fit
from bztoken.calibration.recordings import read
from bztoken.calibration.windows import Windows, windows_of

BOTH, RECEIVERS, TRANSMITTERS = Terms(True, True), Terms(True, False), Terms(False, True)
DB = st.integers(-20, 20)


def windows(path: Path, window_s: int = 150, least: int = 10) -> Windows:
    return windows_of(path, read(path), window_s, least, -15)


def centred(values: list[float]) -> list[float]:
    return (np.array(values) - np.mean(values)).tolist()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(DB, min_size=2, max_size=4), st.lists(DB, min_size=2, max_size=4), st.sampled_from([1.5, 2.0, 3.5]))
def test_known_offsets_are_found_again_but_for_their_means(
    tmp_path: Path, deaf: list[int], weak: list[int], exponent: float
) -> None:
    radio = Radio({f"r{at}": db for at, db in enumerate(deaf)}, {f"t{at}": db for at, db in enumerate(weak)})
    pairs = [(receiver, transmitter) for receiver in radio.deaf_db for transmitter in radio.weak_db]
    made = windows(write(tmp_path / "known.csv", packets(radio._replace(exponent=exponent), pairs)))
    found = fit(made, BOTH)
    assert found is not None
    assert found.receivers_db == pytest.approx(centred([*deaf]), abs=1e-6)
    assert found.transmitters_db == pytest.approx(centred([*weak]), abs=1e-6)
    assert found.slope_db == pytest.approx(exponent, abs=1e-3)
    assert found.residual_db(made) == pytest.approx(0, abs=1e-3)


def test_noise_of_packets_moves_an_offset_by_a_part_of_it_only(tmp_path: Path) -> None:
    radio = Radio({"good": 0.0, "deaf": 10.0}, {"x": 0.0, "y": 4.0}, noise_db=5.0)
    pairs = [("good", "x"), ("good", "y"), ("deaf", "x"), ("deaf", "y")]
    found = fit(windows(write(tmp_path / "noise.csv", packets(radio, pairs, windows=4))), BOTH)
    assert found is not None
    assert found.receivers_db == pytest.approx([5, -5], abs=1)  # deaf comes first in the alphabet
    assert found.transmitters_db == pytest.approx([-2, 2], abs=1)


def test_offsets_of_receivers_that_heard_other_transmitters_are_found_through_a_chain(tmp_path: Path) -> None:
    radio = Radio({"a": 0.0, "b": 6.0, "c": 12.0}, {"x": 0.0, "y": 9.0})
    pairs = [("a", "x"), ("b", "x"), ("b", "y"), ("c", "y")]
    found = fit(windows(write(tmp_path / "chain.csv", packets(radio, pairs))), BOTH)
    assert found is not None
    assert found.receivers_db == pytest.approx([-6, 0, 6], abs=1e-6)
    assert found.sets == 1


def test_a_set_of_devices_of_its_own_takes_the_level_of_its_transmitter_into_its_receiver(tmp_path: Path) -> None:
    radio = Radio({"a": 0.0, "b": 6.0, "lone": 0.0}, {"x": 0.0, "far off": 30.0})
    pairs = [("a", "x"), ("b", "x"), ("lone", "far off")]
    found = fit(windows(write(tmp_path / "sets.csv", packets(radio, pairs))), BOTH)
    assert found is not None
    assert found.sets == 2
    assert found.receivers_db == pytest.approx(centred([0, 6, 30]), abs=1e-6)
    assert found.transmitters_db == pytest.approx([0, 0], abs=1e-6)


def test_a_receiver_that_was_at_one_distance_of_its_own_has_no_offset_that_can_be_told(tmp_path: Path) -> None:
    radio = Radio({"a": 0.0, "b": 6.0}, {"x": 0.0})
    rows = [*packets(radio, [("a", "x")], [1.0]), *packets(radio, [("b", "x")], [3.0])]
    assert fit(windows(write(tmp_path / "apart.csv", rows)), RECEIVERS) is None


@pytest.mark.parametrize("distance", [LINEAR, LOGARITHM])
def test_corrected_attenuation_of_all_receivers_lies_on_one_line(distance: str, tmp_path: Path) -> None:
    radio = Radio({"a": -7.0, "b": 0.0, "c": 7.0}, {"x": 0.0})
    made = windows(write(tmp_path / "one.csv", packets(radio, [(name, "x") for name in radio.deaf_db])))
    found = fit(made, RECEIVERS, distance=distance)
    assert found is not None
    corrected = found.corrected_db(made)
    for metres in DISTANCES_M:
        assert np.ptp(corrected[made.distance_m == metres]) == pytest.approx(0, abs=1e-6)
    assert np.ptp(made.loss_db[made.distance_m == 1.0]) == pytest.approx(14)


# -- leave one group out ---------------------------------------------------------------------------------------------
def poisoned(tmp_path: Path, poison_db: float) -> Windows:
    """Two receivers in three groups; in the last one the deaf receiver is louder by `poison_db`."""
    radio = Radio({"deaf": 10.0, "good": 0.0}, {"x": 0.0}, noise_db=1.0)
    pairs = [("deaf", "x"), ("good", "x")]
    groups = {name: packets(radio, pairs, seed=seed) for seed, name in enumerate(("one", "two"))}
    wrong = radio._replace(deaf_db={"deaf": 10.0 - poison_db, "good": 0.0})
    groups["poisoned"] = packets(wrong, pairs, seed=9)
    return windows(write_groups(tmp_path / "groups.csv", groups))


def test_what_is_in_a_group_changes_nothing_that_this_group_is_judged_by(tmp_path: Path) -> None:
    clean, spoilt = poisoned(tmp_path, 0), poisoned(tmp_path, 60)
    left_out = clean.group == clean.groups.index("poisoned")
    learned = [fit(made, RECEIVERS, ~left_out) for made in (clean, spoilt)]
    assert learned[0] is not None and learned[1] is not None
    assert learned[0].receivers_db == pytest.approx(learned[1].receivers_db, abs=1e-12)
    by_others = [judging.left_out(made, "an offset a receiver") for made in (clean, spoilt)]
    good = left_out & (clean.receiver == clean.receivers.index("good"))
    assert by_others[0].corrected_db[good] == pytest.approx(by_others[1].corrected_db[good], abs=1e-9)
    assert (by_others[0].near[good] == by_others[1].near[good]).all()


def test_a_group_that_is_taken_away_leaves_the_fit_of_a_file_without_it(tmp_path: Path) -> None:
    spoilt = poisoned(tmp_path, 60)
    radio = Radio({"deaf": 10.0, "good": 0.0}, {"x": 0.0}, noise_db=1.0)
    groups = {n: packets(radio, [("deaf", "x"), ("good", "x")], seed=s) for s, n in enumerate(("one", "two"))}
    alone = fit(windows(write_groups(tmp_path / "two.csv", groups)), RECEIVERS)
    taken_away = fit(spoilt, RECEIVERS, spoilt.group != spoilt.groups.index("poisoned"))
    assert alone is not None and taken_away is not None
    assert taken_away.receivers_db == pytest.approx(alone.receivers_db, abs=1e-9)
    assert (taken_away.level_db, taken_away.slope_db) == pytest.approx((alone.level_db, alone.slope_db))


def test_the_other_groups_do_learn_from_a_group(tmp_path: Path) -> None:
    clean, spoilt = poisoned(tmp_path, 0), poisoned(tmp_path, 60)
    other = clean.group != clean.groups.index("poisoned")
    by_others = [judging.left_out(made, "an offset a receiver") for made in (clean, spoilt)]
    assert np.abs(by_others[0].corrected_db[other] - by_others[1].corrected_db[other]).min() > 1


def test_offsets_that_hold_in_other_groups_tell_near_from_far_and_what_was_heard_does_not(tmp_path: Path) -> None:
    radio = Radio({"deaf": 15.0, "good": 0.0, "sharp": -15.0}, {"x": 0.0}, noise_db=2.0)
    pairs = [(name, "x") for name in radio.deaf_db]
    groups = {str(seed): packets(radio, pairs, seed=seed) for seed in range(3)}
    made = windows(write_groups(tmp_path / "groups.csv", groups))
    heard = judging.on_other_groups(made, judging.AS_HEARD)
    corrected = judging.on_other_groups(made, "an offset a receiver")
    assert heard is not None and corrected is not None
    assert heard.auc < 0.75 < 0.99 < corrected.auc
    assert corrected.balanced_accuracy > heard.balanced_accuracy + 0.2
    assert (corrected.within + corrected.beyond, corrected.without_offset) == (len(made), 0)


def test_a_receiver_of_one_group_only_is_judged_there_without_its_offset(tmp_path: Path) -> None:
    radio = Radio({"known": 0.0, "second": 3.0, "new": 20.0}, {"x": 0.0})
    groups = {
        "one": packets(radio, [("known", "x"), ("second", "x")]),
        "two": packets(radio, [("known", "x"), ("new", "x")]),
        "three": packets(radio, [("second", "x")]),
    }
    made = windows(write_groups(tmp_path / "new.csv", groups))
    scored = judging.left_out(made, "an offset a receiver")
    new = made.receiver == made.receivers.index("new")
    assert (scored.without == new).all()
    assert scored.corrected_db[new] == pytest.approx(made.loss_db[new])


def test_a_group_whose_others_are_on_one_side_of_two_metres_is_not_judged(tmp_path: Path) -> None:
    radio = Radio({"a": 0.0}, {"x": 0.0})
    groups = {"near": packets(radio, [("a", "x")], [1.0]), "far": packets(radio, [("a", "x")], [3.0])}
    made = windows(write_groups(tmp_path / "sides.csv", groups))
    assert not judging.left_out(made, judging.AS_HEARD).judged.any()
    assert judging.on_other_groups(made, judging.AS_HEARD) is None
    assert judging.on_same_data(made, judging.AS_HEARD) is not None
