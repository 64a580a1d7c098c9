"""What a driver's finished legs tell goes into the model, is carried on in a back-test, and knows no future."""

import dataclasses

import numpy as np

from models.eta.history import HISTORY_COLUMNS
from pipelines.recall import recalled
from pipelines.replay_finishes import replay
from pipelines.training import train_bundle
from pipelines.trip_schemas import load_schema
from pipelines.trips import trips_of_columns
from tests.legs import some_legs
from tests.trips import QUICK

LEGS = dataclasses.replace(load_schema("legs"), zone="Europe/Lisbon")


def driven(rows=900, seed=1):
    """Return trips of the invented town whose drivers differ by half."""
    legs = {name: column for name, column in some_legs(rows, seed).items() if name != "vehicle"}
    number = np.random.default_rng(seed).integers(0, 6, rows)
    legs["duration_s"] = legs["duration_s"] * np.exp(np.linspace(-0.4, 0.4, 6)[number])
    return trips_of_columns(legs | {"driver": np.array([f"d{one}" for one in number], dtype=object)}, None, "town")


def test_drivers_paces_make_predictions_better_and_are_carried_on():
    trips = driven()
    earlier, later = trips.take(slice(0, 650)), trips.take(slice(700, None))
    remembering = train_bundle(earlier, LEGS, QUICK).bundle
    forgetful = train_bundle(earlier, dataclasses.replace(LEGS, history=False), QUICK).bundle
    actual_s = later.legs["duration_s"]
    errors = [np.abs(replay(bundle, later).running_s[:, 1] - actual_s).mean() for bundle in (remembering, forgetful)]
    assert errors[0] < 0.9 * errors[1]
    assert np.isfinite(recalled(remembering, later).legs["driver_long"]).all()


def test_what_a_model_recalls_of_a_leg_is_the_same_whatever_comes_later():
    trips = driven(500)
    bundle = train_bundle(trips.take(slice(0, 300)), LEGS, QUICK).bundle
    whole, half = recalled(bundle, trips.take(slice(320, None))), recalled(bundle, trips.take(slice(320, 400)))
    for name in HISTORY_COLUMNS:
        np.testing.assert_array_equal(whole.legs[name][:80], half.legs[name])


def test_a_model_that_is_asked_about_its_own_trips_is_told_of_none_before_it_ended():
    trips = driven(500)
    bundle = train_bundle(trips, LEGS, QUICK).bundle
    told = recalled(bundle, trips)
    alone = recalled(bundle, trips.take(slice(0, 1)))
    assert np.isnan(told.legs["driver_long"][0])
    assert np.isnan(alone.legs["driver_long"][0])
    later = trips.take(slice(300, None))
    assert np.nanmean(np.abs(recalled(bundle, later).legs["driver_long"] - told.legs["driver_long"][300:])) > 0
