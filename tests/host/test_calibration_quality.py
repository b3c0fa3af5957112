"""AUC, ROC and bound: as counting every pair says, ties and all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bztoken.calibration.quality import auc, balanced_accuracy, best_split, roc

VALUES = st.lists(st.integers(-3, 3), min_size=1, max_size=12)  # so few values that there are ties


def floats(values: list[int]) -> np.ndarray:
    return np.array(values, np.float64)


@given(VALUES, VALUES)
def test_the_auc_is_the_share_of_pairs_whose_near_one_is_lower_and_half_of_the_ties(
    within: list[int], beyond: list[int]
) -> None:
    counted = sum((near < far) + (near == far) / 2 for near in within for far in beyond) / len(within) / len(beyond)
    assert auc(floats(within), floats(beyond)) == pytest.approx(counted)


@given(VALUES, VALUES)
def test_the_area_under_the_curve_is_the_auc(within: list[int], beyond: list[int]) -> None:
    curve = roc(floats(within), floats(beyond))
    assert (curve.beyond[0], curve.within[0], curve.beyond[-1], curve.within[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(curve.within, curve.beyond) == pytest.approx(auc(floats(within), floats(beyond)))


@given(VALUES, VALUES)
def test_no_bound_splits_better_than_the_one_that_is_chosen(within: list[int], beyond: list[int]) -> None:
    near, far = floats(within), floats(beyond)
    split = best_split(near, far)
    values, sides = np.concatenate([near, far]), np.repeat([True, False], [len(near), len(far)])
    assert balanced_accuracy(values <= split.bound_db, sides) == pytest.approx(split.balanced_accuracy)
    others = [balanced_accuracy(values <= bound, sides) for bound in np.unique(values)[:-1] + 0.25]
    assert split.balanced_accuracy == pytest.approx(max([*others, 0.5 if not others else 0]))


def test_of_equal_bounds_the_lowest_is_chosen_and_it_lies_between_two_values() -> None:
    assert best_split(floats([40, 42]), floats([50, 60])) == (46, 1)
    assert best_split(floats([1, 3]), floats([2, 4])).bound_db == 1.5  # and so would be 3.5


@pytest.mark.parametrize(("within", "beyond", "expected"), [([1, 2], [3], 1.0), ([3], [1, 2], 0.0), ([5], [5], 0.5)])
def test_the_auc_is_one_apart_zero_upside_down_and_a_half_for_a_coin(
    within: list[int], beyond: list[int], expected: float
) -> None:
    assert auc(floats(within), floats(beyond)) == expected
