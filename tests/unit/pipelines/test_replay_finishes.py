"""A back-test takes finished legs into account as the engine does."""

import numpy as np

from pipelines.replay_finishes import running_shifts
from pipelines.trips import Trips
from tests.trips import town_trips

EVERY_S = (0.0, 120.0, 600.0)


def moments_of_drives(count=60):
    """Return trips that follow one another, each asked about at its departure and twice more on the way."""
    gone_s = np.tile(EVERY_S, count)
    trips = town_trips(1).take(np.zeros(len(gone_s), int))
    starts_s = np.repeat(1_500 * np.arange(count), len(EVERY_S))
    times = {"moment_ms": ((starts_s + gone_s) * 1000).astype(np.int64), "duration_s": 1_200.0 - gone_s}
    return Trips({**trips.legs, **times, "elapsed_s": gone_s}, trips.split, {})


def test_a_drive_counts_once_by_what_was_said_at_its_departure():
    trips = moments_of_drives()
    is_departure = trips.legs["elapsed_s"] == 0
    shifts = running_shifts(trips, np.where(is_departure, 0.2, -0.5))
    alone = trips.take(is_departure)
    np.testing.assert_array_equal(shifts[is_departure], running_shifts(alone, np.full(len(alone), 0.2)))
    assert shifts[is_departure][-1] > 0.1


def test_the_residual_fades_while_a_drive_goes_on():
    departing, soon, late = running_shifts(moments_of_drives(), np.full(180, 0.2))[-3:]
    assert departing > soon > 0
    assert late == 0
