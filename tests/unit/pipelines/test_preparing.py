"""What is learned from: base times of one kind alone, and which kind goes into the bundle."""

import numpy as np
import pytest

from pipelines.preparing import of_one_base
from tests.trips import town_trips


def with_bases(base_of=None, rows=40):
    trips = town_trips(rows)
    columns = {"base_s": np.full(len(trips), 300.0)}
    if base_of is not None:
        columns["base_of"] = np.resize(np.array(base_of, float), len(trips))
    return type(trips)(trips.legs | columns, trips.split, trips.refused)


@pytest.mark.parametrize(
    ("base_of", "whose", "share"),
    [([1, 1, 1, 0], "roads", 0.75), ([0], "great_circle", 1), ([2], "provider", 1), (None, "provider", 1)],
)
def test_trips_with_the_base_times_that_most_have_are_kept(base_of, whose, share):
    trips = with_bases(base_of)
    kept, found = of_one_base(trips)
    assert (found, len(kept)) == (whose, len(trips) * share)


def test_trips_without_base_times_get_the_models_own():
    trips = town_trips(40)
    assert of_one_base(trips) == (trips, "street grid")
