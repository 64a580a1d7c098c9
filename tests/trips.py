"""Finished trips for tests of how models are made: a sample of New York's taxis, and an invented town."""

import functools
from pathlib import Path

from models.eta.residuals import ResidualProfile
from pipelines.training import TrainingPlan, train_bundle
from pipelines.trees import TreePlan
from pipelines.trip_schemas import TripSchema, load_schema
from pipelines.trips import Trips, read_trips, trips_of_columns
from tests.legs import some_legs

SAMPLE = Path(__file__).parent / "data" / "eta" / "nyc_taxi_2000.csv"
QUICK = TrainingPlan(
    medians=(TreePlan(rounds=40, leaves=15, least_rows=20, rate=0.1),),
    tails=TreePlan(objective="quantile", rounds=20, leaves=4, least_rows=20, rate=0.1),
    residual=ResidualProfile(least=5),
)
"""A training of a second or two; what it makes is right, but not the best."""

TOWN = TripSchema(
    name="town",
    columns={name: name for name in ("moment_ms", "from_lat", "from_lon", "to_lat", "to_lon", "duration_s")},
    categories={"vehicle": "vehicle"},
    zone="Europe/Lisbon",
    country="PT",
)


def the_sample(rows: int = 2_000) -> Trips:
    """Return the newest trips of the sample."""
    trips = read_trips(SAMPLE, load_schema("nyc_taxi"))
    return trips.take(slice(len(trips) - rows, None))


def town_trips(rows: int = 1_500, seed: int = 1, days: int = 14) -> Trips:
    """Return trips of the invented town."""
    return trips_of_columns(some_legs(rows, seed, days), None, "town")


@functools.cache
def a_training(rows: int = 1_500, seed: int = 1):
    """Return what a quick training on the invented town makes."""
    return train_bundle(town_trips(rows, seed), TOWN, QUICK)
