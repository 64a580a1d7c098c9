"""What is learned from: which trips, with base times of one kind alone, and which kind goes into the bundle."""

import numpy as np
import pytest

from models.errors import InvalidInput
from models.eta.clock import local_clock
from pipelines.preparing import clean_trips, fit_spec, of_one_base, refuse_leakage
from pipelines.trip_schemas import load_schema
from tests.trips import TOWN, town_trips


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


@pytest.mark.parametrize(("schema", "learned"), [("legs", [False, True, True]), ("nyc_taxi", [False, False, True])])
def test_a_vans_way_to_the_next_house_is_learned_from_and_a_taxis_is_a_mistake(schema, learned):
    assert cleaned(load_schema(schema), [10.0, 40.0, 200.0]) == learned


def test_a_long_way_round_the_block_is_learned_from_where_somebody_says_how_long_it_is():
    legs = load_schema("legs")
    assert cleaned(legs, [600.0, 600.0]) == [False, False]  # 111 m as the crow flies
    assert cleaned(legs, [600.0, 600.0], base_m=[4_000.0, 120.0]) == [True, False]


def cleaned(schema, durations_s, **columns):
    """Return which of some trips of 111 m are learned from."""
    town = town_trips(100)
    trips = town.take(np.arange(len(durations_s)))
    north = {"to_lat": trips.legs["from_lat"] + 0.001, "to_lon": trips.legs["from_lon"]}
    own = {name: np.array(values) for name, values in columns.items()} | {"number": np.arange(len(durations_s))}
    trips = type(trips)(trips.legs | north | own | {"duration_s": np.array(durations_s)}, trips.split, trips.refused)
    kept, taken = clean_trips(trips, schema)
    assert sum(taken.values()) == len(trips) - len(kept)
    return np.isin(own["number"], kept.legs["number"]).tolist()


def test_trips_that_know_their_traffic_make_a_model_of_base_times_in_traffic():
    rows = 2_000
    hour = local_clock(town_trips(rows).legs["moment_ms"], TOWN.zone).hour
    usual = usual_traffic(np.where((hour >= 8) & (hour < 9), 2.0, 1.2), rows)
    assert len(usual) == 48
    assert usual[8] > 1.6  # shrunk to what all hours have
    np.testing.assert_allclose(usual[9:24], 1.2, atol=0.05)


def test_trips_that_hardly_know_it_make_a_model_that_reads_it():
    assert usual_traffic(np.where(np.arange(2_000) % 3, np.nan, 1.5), 2_000) == ()
    assert usual_traffic(np.full(2_000, 1.5), 2_000, base_s=np.nan) == ()


def test_traffic_that_knows_how_long_a_trip_took_is_refused():
    base_s = np.linspace(200.0, 600.0, 2_000)
    trips = in_traffic(town_trips(2_000).legs["duration_s"] / base_s, 2_000, base_s)
    with pytest.raises(InvalidInput, match="traffic_ratio"):
        refuse_leakage(trips, fit_spec(trips, TOWN))


def in_traffic(ratios, rows, base_s=300.0):
    trips = town_trips(rows)
    columns = {"traffic_ratio": ratios, "base_s": np.broadcast_to(base_s, rows)}
    return type(trips)(trips.legs | columns, trips.split, trips.refused)


def usual_traffic(ratios, rows, base_s=300.0):
    return fit_spec(in_traffic(ratios, rows, base_s), TOWN).traffic
