"""Percentiles are those of numpy, to the last digit, however few or many values there are."""

import numpy as np
import pytest
from dynamesis.checkers.measure.percentiles import percentiles
from hypothesis import given
from hypothesis import strategies as st

MARKS = (0, 1, 50, 90, 99, 99.9, 100)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60))
def test_of_a_few(values: list[float]) -> None:
    assert percentiles(values, MARKS) == [float(each) for each in np.percentile(values, MARKS)]


@pytest.mark.parametrize("size", [1, 2, 499, 500, 3000])
def test_of_many(size: int) -> None:
    values = np.random.default_rng(size).integers(0, 10**9, size) / 1e6
    assert percentiles(values, MARKS) == [float(each) for each in np.percentile(values, MARKS)]
