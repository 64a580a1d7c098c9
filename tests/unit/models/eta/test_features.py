"""What a model reads of a leg, and what it must never read."""

import dataclasses
import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInput
from models.eta.clock import instants_of_wall_time, local_clock
from models.eta.features import FEATURES, FeatureSpec, base_times_s, leg_features
from models.eta.grid_pace import GridPace
from models.eta.schema import CATEGORIES, LEG_COLUMNS, OUTCOMES, Moment
from tests.legs import SPEC, some_legs


def column(legs, name, spec=SPEC):
    return leg_features(legs, spec)[:, spec.names.index(name)]


def test_outcomes_are_never_read():
    legs = some_legs(50)
    spoiled = {**legs, **{name: np.full(50, 1e6) for name in OUTCOMES}}
    np.testing.assert_array_equal(leg_features(legs, SPEC), leg_features(spoiled, SPEC))


def test_every_feature_is_known_before_arrival():
    assert all(feature.known_at < Moment.ARRIVE for feature in FEATURES)
    assert all(moment < Moment.ARRIVE for moment in CATEGORIES.values())
    assert {feature.name for feature in FEATURES if feature.name in LEG_COLUMNS}.isdisjoint(OUTCOMES)


def test_one_leg_alone_reads_as_it_does_among_others():
    legs = some_legs(40)
    alone = {name: values[7:8] for name, values in legs.items()}
    np.testing.assert_array_equal(leg_features(alone, SPEC)[0], leg_features(legs, SPEC)[7])


def test_the_hour_is_that_of_the_stop_not_utc():
    legs = {**some_legs(1), "moment_ms": np.array([1_780_297_200_000])}  # 07:00 UTC on 1 June 2026
    assert column(legs, "hour")[0] == 8.0
    assert column({**legs, "zone": "America/New_York"}, "hour")[0] == 3.0


def test_a_holiday_drives_like_a_sunday():
    legs = {**some_legs(1), "moment_ms": np.array([1_781_089_200_000])}  # 10 June, the day of Portugal, a Wednesday
    assert column(legs, "weekday")[0] == 6
    assert column(legs, "is_holiday")[0] == 1


@given(
    st.integers(1_262_304_000, 1_900_000_000),
    st.sampled_from(["Europe/Lisbon", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]),
)
def test_the_clock_shows_what_zoneinfo_says(seconds, zone):
    clock = local_clock(np.array([seconds * 1000]), zone)
    wall = datetime.datetime.fromtimestamp(seconds, datetime.UTC).astimezone(ZoneInfo(zone))
    assert clock.hour[0] == pytest.approx(wall.hour + wall.minute / 60 + wall.second / 3600)
    assert clock.weekday[0] == wall.weekday()


def test_wall_times_around_the_end_of_summer_are_taken_the_first_time():
    twice = datetime.datetime(2015, 11, 1, 1, 30, tzinfo=datetime.UTC).timestamp() * 1000
    instant = instants_of_wall_time(np.array([int(twice)]), "America/New_York")[0]
    assert instant == datetime.datetime(2015, 11, 1, 5, 30, tzinfo=datetime.UTC).timestamp() * 1000


def test_history_of_the_future_is_refused():
    legs = some_legs(3)
    late = {**legs, "cell_pace": np.zeros(3), "as_of_ms": legs["moment_ms"] + np.array([0, 0, 1])}
    with pytest.raises(InvalidInput, match="leg 2 is of its future"):
        leg_features(late, SPEC)


def test_history_has_to_say_as_of_when():
    with pytest.raises(InvalidInput, match="as_of_ms"):
        leg_features({**some_legs(3), "driver_recent": np.zeros(3)}, SPEC)


@pytest.mark.parametrize("value", [np.nan, 90.1, -91, np.inf])
def test_a_place_that_is_none_is_refused_by_row(value):
    legs = some_legs(3)
    legs["to_lat"][1] = value
    with pytest.raises(InvalidInput) as caught:
        leg_features(legs, SPEC)
    assert caught.value.fields[0][0] == "to_lat[1]"


def test_moments_have_to_be_whole_milliseconds():
    legs = some_legs(3)
    with pytest.raises(InvalidInput, match="epoch milliseconds"):
        leg_features({**legs, "moment_ms": legs["moment_ms"] / 1000}, SPEC)


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(InvalidInput, match="base_s has 2 values"):
        leg_features({**some_legs(3), "base_s": np.zeros(2)}, SPEC)


def test_text_among_numbers_is_refused():
    with pytest.raises(InvalidInput, match="weight_kg"):
        leg_features({**some_legs(2), "weight_kg": np.array(["heavy", "1"], dtype=object)}, SPEC)


def test_an_unseen_category_has_a_code_of_its_own():
    legs = {**some_legs(4), "vehicle": np.array(["bike", "van", "tank", None], dtype=object)}
    np.testing.assert_array_equal(column(legs, "vehicle"), [1, 2, 0, np.nan])


def test_a_zone_that_is_none_is_refused():
    with pytest.raises(InvalidInput, match="time zone"):
        FeatureSpec(pace=GridPace(), zone="Lisbon")


def test_a_name_that_has_a_meaning_can_not_be_taken():
    with pytest.raises(InvalidInput, match="duration_s"):
        FeatureSpec(pace=GridPace(), numbers=("duration_s",))


def test_a_specification_survives_being_written():
    assert FeatureSpec.from_json(SPEC.to_json()) == SPEC


def test_the_grid_frame_keeps_distances():
    legs = some_legs(100)
    turned = FeatureSpec(pace=GridPace(lat=41.15, lon=-8.61, grid_deg=29.0))
    for spec in (SPEC, turned):
        names = {**dict.fromkeys(("grid_x_m", "grid_y_m", "great_circle_m"))}
        x_m, y_m, away_m = (column(legs, name, spec) for name in names)
        np.testing.assert_allclose(np.hypot(x_m, y_m), away_m, rtol=1e-3)


RUSH = tuple(2.0 if hour == 8 else 1.25 for hour in range(24)) + (1.0,) * 24


def in_traffic(ratios, spec):
    """Return legs at eight o'clock on a Monday with base times of 300 s, and what a model reads."""
    rows = len(ratios)
    at_eight = {"moment_ms": np.full(rows, 1_780_297_200_000), "zone": "Europe/Lisbon"}
    legs = {**some_legs(rows), **at_eight, "base_s": np.full(rows, 300.0), "traffic_ratio": np.array(ratios)}
    return base_times_s(legs, spec), leg_features(legs, spec)[:, spec.names.index("traffic_ratio")]


def test_base_times_are_in_the_legs_own_traffic_or_in_that_of_its_hour():
    base_s, traffic = in_traffic([1.5, np.nan, 50.0], dataclasses.replace(SPEC, traffic=RUSH))
    assert base_s.tolist() == [450.0, 600.0, 2_400.0]  # no traffic is fifty times as slow
    assert np.isnan(traffic).all()


def test_a_model_that_reads_traffic_as_a_feature_takes_base_times_as_they_are():
    base_s, traffic = in_traffic([1.5, np.nan, 50.0], SPEC)
    assert base_s.tolist() == [300.0] * 3
    assert traffic[[0, 2]].tolist() == [1.5, 50.0]


def test_the_pace_of_a_model_stands_for_traffic_where_the_provider_gives_no_time():
    legs = {**some_legs(20), "traffic_ratio": 3.0}
    np.testing.assert_array_equal(base_times_s(legs, dataclasses.replace(SPEC, traffic=RUSH)), base_times_s(legs, SPEC))


def test_usual_traffic_is_kept_in_the_file_of_a_model_and_has_all_hours():
    spec = dataclasses.replace(SPEC, traffic=RUSH)
    assert FeatureSpec.from_json(spec.to_json()) == spec
    before = {name: value for name, value in SPEC.to_json().items() if name != "traffic"}  # of an older release
    assert FeatureSpec.from_json(before) == SPEC
    with pytest.raises(InvalidInput, match="each hour"):
        dataclasses.replace(SPEC, traffic=(1.0,) * 24)
