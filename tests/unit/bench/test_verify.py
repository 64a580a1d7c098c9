"""Counting finds what is missing, and no more."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.verify import HistoryCount, missing


@given(held=st.sets(st.integers(1, 60)), after=st.integers(0, 30), length=st.integers(0, 30))
def test_missing_counts_the_pings_of_a_range_that_are_not_there(held: set[int], after: int, length: int) -> None:
    count = HistoryCount({4: np.array(sorted(held), np.int64)}, len(held))
    assert missing(count, 4, after, after + length) == len(set(range(after + 1, after + length + 1)) - held)


def test_a_driver_without_history_lacks_all() -> None:
    assert missing(HistoryCount({}, 0), 9, 2, 12) == 10


def test_repeats_are_told_apart_from_pings() -> None:
    count = HistoryCount({1: np.array([1, 2, 3]), 2: np.array([1])}, 6)
    assert (count.distinct, count.repeats) == (4, 2)
