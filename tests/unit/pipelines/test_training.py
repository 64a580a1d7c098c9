"""Models are made of what was known, and are better than what one would do without them."""

import numpy as np
import pytest

from models.errors import InvalidInput
from models.eta.bundle import load_bundle, save_bundle
from models.eta.features import leg_features
from pipelines.backtest import backtest, split_trips
from pipelines.preparing import constant_features, find_leakage, fit_spec
from pipelines.replay_finishes import replay
from pipelines.training import train_bundle
from pipelines.trip_schemas import TripSchema, load_schema
from pipelines.trips import Trips, finishes_ms
from tests.trips import QUICK, TOWN, a_training, the_sample, town_trips


def with_column(trips, name, values):
    return Trips({**trips.legs, name: values}, trips.split, trips.refused)


def schema_with(name):
    return TripSchema(**{**{each: getattr(TOWN, each) for each in TOWN.__slots__}, "numbers": {name: "depart"}})


def test_a_planted_leak_is_found_by_name():
    trips = town_trips(600)
    metered = trips.legs["duration_s"] * np.random.default_rng(1).normal(9, 0.3, 600)
    with pytest.raises(InvalidInput, match="metered_m2"):
        train_bundle(with_column(trips, "metered_m2", metered), schema_with("metered_m2"), QUICK)


def test_a_leak_through_the_end_of_the_trip_is_found():
    trips = town_trips(600)
    ratio = trips.legs["duration_s"] / leg_features(trips.legs, fit_spec(trips, TOWN))[:, 0]
    schema = schema_with("queue")
    leaky = with_column(trips, "queue", np.log(ratio) + np.random.default_rng(1).normal(0, 0.05, 600))
    assert [each.column for each in find_leakage(leaky, fit_spec(leaky, schema))] == ["queue"]


def test_an_honest_column_passes():
    trips = town_trips(600)
    honest = with_column(trips, "parcels", np.random.default_rng(1).integers(1, 9, 600).astype(float))
    assert find_leakage(honest, fit_spec(honest, schema_with("parcels"))) == []


def test_no_prediction_depends_on_what_happens_later():
    """Shuffle the future: what is said up to a moment stays the same."""
    trips, bundle = town_trips(400, seed=5), a_training().bundle
    cut = 250
    later = trips.legs["duration_s"].copy()
    ended = finishes_ms(trips) < trips.legs["moment_ms"][cut]
    later[~ended] *= np.random.default_rng(2).uniform(1, 3, int((~ended).sum()))
    changed = with_column(trips, "duration_s", later)
    before, after = replay(bundle, trips), replay(bundle, changed)
    np.testing.assert_array_equal(before.running_s[:cut], after.running_s[:cut])
    assert np.any(before.running_s[cut:] != after.running_s[cut:])


def test_training_twice_makes_the_same_model(tmp_path):
    trips = town_trips(600, seed=3)
    versions = [save_bundle(train_bundle(trips, TOWN, QUICK).bundle, tmp_path / str(number)) for number in range(2)]
    assert versions[0] == versions[1]


def test_a_trained_bundle_says_what_it_was_made_of(tmp_path):
    save_bundle(a_training().bundle, tmp_path / "bundle")
    metadata = load_bundle(tmp_path / "bundle").metadata
    assert metadata["data"]["rows"] == len(a_training().trips)
    assert len(metadata["data"]["digest"]) == 64
    assert metadata["code"]["lightgbm"]


def test_ranges_hold_on_trips_that_come_later():
    trips = town_trips(1_500, seed=7, days=7)
    low, _, high = replay(a_training().bundle, trips).running_s.T
    actual_s = trips.legs["duration_s"]
    assert np.mean((low <= actual_s) & (actual_s <= high)) == pytest.approx(0.8, abs=0.06)


def test_real_trips_are_predicted_better_than_the_plain_ways():
    known, judged = split_trips(the_sample())
    found = backtest(known, judged, load_schema("nyc_taxi"), QUICK)
    figures = found.to_json()
    assert figures["mae_s"] < figures["table_mae_s"] < figures["naive_mae_s"]
    assert found.gains["table"].is_sure
    assert 70 < figures["coverage_80"] < 90
    assert {"segment", "rows", "coverage"} == set(figures["worst_segment_coverage"])
    assert finishes_ms(known).max() <= judged.legs["moment_ms"][0]


def test_too_few_trips_are_refused():
    with pytest.raises(InvalidInput, match="too few"):
        train_bundle(town_trips(150), TOWN, QUICK)


def test_columns_that_say_nothing_are_told():
    trips = with_column(town_trips(600), "weight_kg", np.full(600, 3.0))
    spec = fit_spec(trips, TOWN)
    silent = constant_features(leg_features(trips.legs, spec), spec)
    assert "weight_kg" in silent
    assert "rain_mm_h" in silent
    assert "hour" not in silent


def test_impossible_trips_are_not_learned_from_but_told():
    trips = town_trips(700)
    duration_s = trips.legs["duration_s"].copy()
    duration_s[::50] = 20_000
    trained = train_bundle(with_column(trips, "duration_s", duration_s), TOWN, QUICK)
    assert len(trained.trips) == 686
    assert any("longer than" in note for note in trained.notes)


def test_the_street_grid_is_found():
    trips = the_sample()
    schema = load_schema("nyc_taxi")
    loose = TripSchema(**{**{name: getattr(schema, name) for name in schema.__slots__}, "grid_deg": None})
    assert fit_spec(trips, loose).pace.grid_deg == pytest.approx(29, abs=6)
