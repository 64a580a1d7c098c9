"""Ranges of whole ways hold as those of legs do, when bad luck comes in rows."""

import numpy as np
import pytest

from engine.eta.chain import arrivals_along
from models.eta.spread import Spread
from pipelines.route_sums import fit_spread, ways_of
from pipelines.trips import finishes_ms, trips_of_columns

LEG_S, STOP_S = 600.0, 180.0


def days_of_rounds(correlation, days=240, legs=12, drivers=4, seed=1):
    """Return legs of rounds whose errors share a part within a day, and quantiles that hold for single legs."""
    draw = np.random.default_rng(seed)
    shape = (days, drivers, legs)
    error = np.sqrt(correlation) * draw.normal(size=(days, drivers, 1)) + np.sqrt(1 - correlation) * draw.normal(
        size=shape
    )
    duration_s = LEG_S + 100 * error
    starts = np.arange(days)[:, None] * 86_400 + np.zeros((days, drivers))
    departs_s = starts[:, :, None] + np.cumsum(duration_s + STOP_S, axis=2) - duration_s - STOP_S
    names = np.broadcast_to(np.array([f"d{one}" for one in range(drivers)], dtype=object)[None, :, None], shape)
    place = np.full(error.size, 41.15)
    columns = {
        "moment_ms": (departs_s * 1000).astype(np.int64).ravel() + 1_780_272_000_000,
        **dict.fromkeys(("from_lat", "to_lat"), place),
        **dict.fromkeys(("from_lon", "to_lon"), place - 49.76),
        "driver": names.ravel(),
        "duration_s": duration_s.ravel(),
    }
    return trips_of_columns(columns, None, "rounds"), np.tile([LEG_S - 128.2, LEG_S, LEG_S + 128.2], (error.size, 1))


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.8])
def test_the_correlation_is_found_and_sums_are_covered(correlation):
    spread = fit_spread(*days_of_rounds(correlation))
    assert spread.correlation == pytest.approx(correlation, abs=0.12)
    trips, quantiles_s = days_of_rounds(correlation, seed=2)
    inside = []
    for way in ways_of(trips):
        stops_s = np.repeat(np.full((len(way), 1), STOP_S), 3, axis=1)
        begins_ms, opens_ms = trips.legs["moment_ms"][way[:1]], np.zeros(len(way), np.int64)
        told = quantiles_s[way]
        reached = arrivals_along(begins_ms, np.array([len(way)]), told, stops_s, opens_ms, spread.row()[None])
        low, _, high = reached[-1]
        inside.append(low <= finishes_ms(trips)[way[-1]] <= high)
    assert 0.73 < np.mean(inside) < 0.87


def test_what_was_said_of_a_stop_is_not_held_against_two():
    trips, quantiles_s = days_of_rounds(0.3)
    services_s = np.tile([STOP_S - 40, STOP_S, STOP_S + 40], (len(trips), 1))
    names = trips.legs["driver"].astype(str)
    made = {name: np.cumsum(names == name) for name in set(names)}  # so many of each driver's legs so far
    done = np.select([names == name for name in made], list(made.values()))
    counted = type(trips)(trips.legs | {"stops_left": 10_000.0 - done}, trips.split, trips.refused)
    is_driven = done % 5 != 3
    told = quantiles_s[is_driven], None, services_s[is_driven]
    known, blind = (fit_spread(one.take(is_driven), *told) for one in (counted, trips))
    assert 0.8 < known.high < 1.25
    assert blind.high > 1.5  # two stops and a leg come as one stop that takes far longer than was said


def test_a_way_is_one_drivers_and_without_a_long_rest():
    trips, _ = days_of_rounds(0.3, days=2, legs=7, drivers=2)
    ways = ways_of(trips)
    assert sorted({len(way) for way in ways})[0] >= 2
    for way in ways:
        assert len(set(trips.legs["driver"][way])) == 1
        assert np.ptp(trips.legs["moment_ms"][way]) < 86_400_000 / 2
    assert len(np.concatenate(ways)) == len(np.unique(np.concatenate(ways)))


def test_without_drivers_the_usual_spread_is_taken():
    trips, quantiles_s = days_of_rounds(0.8, days=5)
    legs = {name: column for name, column in trips.legs.items() if name != "driver"}
    assert fit_spread(trips_of_columns(legs, None, "rounds"), quantiles_s) == Spread()
