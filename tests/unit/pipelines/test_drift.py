"""A report says when the world has moved, and when it has not."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.eta.bundle import load_bundle, save_bundle
from pipelines.drift import look_for_drift, stability_index
from pipelines.report import write_report
from pipelines.trips import Trips
from tests.trips import a_training, town_trips


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "bundle"
    save_bundle(a_training().bundle, folder)
    return load_bundle(folder)


def test_the_same_town_has_not_moved(bundle):
    report, _ = look_for_drift(bundle, town_trips(1_000, seed=11))
    assert not [alert for alert in report.alerts if "moved" in alert]
    assert report.levels["p50"] == pytest.approx(50, abs=6)


def test_a_fleet_that_drives_elsewhere_is_told(bundle):
    trips = town_trips(600, seed=12)
    away = Trips({**trips.legs, "to_lat": trips.legs["to_lat"] + 0.1}, trips.split, trips.refused)
    report, _ = look_for_drift(bundle, away)
    assert any(alert.startswith("to_y_m has moved") for alert in report.alerts)


def test_a_day_out_of_its_coverage_is_told(bundle):
    trips = town_trips(600, seed=13, days=3)
    duration_s = trips.legs["duration_s"] * np.random.default_rng(1).lognormal(0, 0.8, 600)
    report, _ = look_for_drift(bundle, Trips({**trips.legs, "duration_s": duration_s}, trips.split, trips.refused))
    assert any("coverage" in alert for alert in report.alerts)


def test_the_page_stands_alone_and_its_figures_are_beside_it(bundle, tmp_path):
    trips = town_trips(400, seed=14)
    report, replayed = look_for_drift(dataclasses.replace(bundle, version="<script>"), trips)
    beside = write_report(report, trips, replayed, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 5
    assert "<script>" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert json.loads(beside.read_text())["rows"] == 400


@given(st.lists(st.floats(-100, 100), min_size=50, max_size=200))
def test_nothing_moves_against_itself(values):
    assert stability_index(np.array(values), np.array(values)) == pytest.approx(0, abs=1e-9)


def test_a_column_that_goes_missing_has_moved():
    values = np.linspace(0, 1, 500)
    assert stability_index(values, np.where(values > 0.5, np.nan, values)) > 0.25
