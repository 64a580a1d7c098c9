"""What shards learn of drivers and places between trainings is what a training would have seen."""

import dataclasses

import msgspec
import numpy as np

from engine.eta.bundles import BundlePredictor
from engine.eta.corrections import Finish
from engine.eta.paces import ModelPaces
from models.eta.history import HISTORY_COLUMNS, PaceHistory, history_columns
from models.eta.service_time import fit_service_times
from tests.legs import a_bundle, some_legs

TENANT = "ten_a"


def a_model(**changes):
    """Return a model that reads history and was told of nothing yet."""
    metadata = {"base": "provider", "data": {"untilMs": 0}}
    return BundlePredictor("one", dataclasses.replace(a_bundle(), history=PaceHistory(), metadata=metadata, **changes))


def driven(rows=80):
    legs = {name: column for name, column in some_legs(rows).items() if name != "vehicle"}
    drivers = np.random.default_rng(1).choice(["ana", "rui"], rows).astype(object)
    return {**legs, "driver": drivers, "company": TENANT, "base_s": np.full(rows, 500.0)}


def as_finishes(legs):
    ends = legs["moment_ms"] + (legs["duration_s"] * 1000).astype(np.int64)
    return [
        Finish(
            id=f"fin_{row}",
            tenant=TENANT,
            finished_ms=int(ends[row]),
            actual_s=float(legs["duration_s"][row]),
            latitude=float(legs["to_lat"][row]),
            longitude=float(legs["to_lon"][row]),
            said=(),
            from_latitude=float(legs["from_lat"][row]),
            from_longitude=float(legs["from_lon"][row]),
            base_s=500.0,
            driver=str(legs["driver"][row]),
        )
        for row in np.argsort(ends, kind="stable")
    ]


def asked(legs, now_ms):
    ahead = {name: np.asarray(column)[:10] for name, column in legs.items() if name not in ("duration_s", "company")}
    return {**ahead, "moment_ms": np.full(10, now_ms)}


def expected(legs, now_ms):
    ends = legs["moment_ms"] + (legs["duration_s"] * 1000).astype(np.int64)
    finished = {**legs, "ended_ms": ends, "log_ratio": np.log(legs["duration_s"] / 500.0)}
    return history_columns({**asked(legs, now_ms), "company": TENANT}, finished)


def test_live_columns_are_those_of_a_training():
    legs, paces, model = driven(), ModelPaces(), a_model()
    paces.begin(model)
    for finish in as_finishes(legs):
        paces.observe([finish])
    now_ms = int(legs["moment_ms"].max()) + 86_400_000
    found = paces.with_history("one", TENANT, asked(legs, now_ms))
    for name in HISTORY_COLUMNS:
        np.testing.assert_allclose(found[name], expected(legs, now_ms)[name])
    assert np.isfinite(found["driver_long"]).all()
    others = paces.with_history("one", "ten_b", asked(legs, now_ms))
    assert np.isnan(others["cell_pace"]).all()


def test_bikes_say_nothing_of_places_to_vans_and_the_driver_is_the_same():
    legs, paces, model = driven(), ModelPaces(), a_model()
    paces.begin(model)
    finishes = as_finishes(legs)
    paces.observe([msgspec.structs.replace(one, vehicle="bike") for one in finishes])
    now_ms = int(legs["moment_ms"].max()) + 86_400_000
    by_bike = paces.with_history("one", TENANT, asked(legs, now_ms) | {"vehicle": "bike"})
    by_van = paces.with_history("one", TENANT, asked(legs, now_ms) | {"vehicle": "van"})
    trained = {
        **legs,
        "vehicle": "bike",
        "ended_ms": legs["moment_ms"] + 1,
        "log_ratio": np.ones(len(finishes)),
    }
    as_trained = history_columns({**asked(legs, now_ms), "company": TENANT, "vehicle": "bike"}, trained)
    for name in ("cell_pace", "pair_pace"):
        assert np.isnan(by_van[name]).all()
        assert np.array_equal(np.isfinite(by_bike[name]), np.isfinite(as_trained[name]))
        assert np.isfinite(by_bike[name]).any()
    assert np.isfinite(by_van["driver_long"]).all()


def test_a_model_that_comes_later_catches_up():
    legs, paces = driven(), ModelPaces()
    for finish in as_finishes(legs):
        paces.observe([finish])
    paces.begin(a_model())
    now_ms = int(legs["moment_ms"].max()) + 86_400_000
    found = paces.with_history("one", TENANT, asked(legs, now_ms))
    np.testing.assert_allclose(found["driver_recent"], expected(legs, now_ms)["driver_recent"])


def test_a_model_without_history_is_asked_as_before():
    legs, paces = driven(), ModelPaces()
    paces.begin(BundlePredictor("one", a_bundle()))
    plain = asked(legs, int(legs["moment_ms"].max()))
    assert paces.with_history("one", TENANT, plain) is plain


def test_stops_of_a_known_place_take_what_they_took():
    lat, lon = np.full(50, 41.15), np.full(50, -8.61)
    model = a_model(service=fit_service_times(TENANT, lat, lon, np.full(50, 240.0)))
    assert abs(model.service_s(TENANT, lat[:1], lon[:1])[0, 1] - 240.0) < 30
    assert a_model().service_s(TENANT, lat[:1], lon[:1]).tolist() == [[0.0] * 3]
