"""What can be wrong with trips and models: one line that says what, status 1, and never a number."""

import datetime
import json
import shutil
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from outrider.cli.backtest import backtest_file
from outrider.cli.eta_report import eta_report
from outrider.cli.promote import promote
from outrider.cli.train import train
from pipelines.promotion import register
from pipelines.registry import Registry
from tests.commands import run
from tests.legs import some_legs
from tests.trips import a_training

SCHEMA = {
    "columns": {
        "moment_ms": "pickup_at",
        "from_lat": "lat1",
        "from_lon": "lon1",
        "to_lat": "lat2",
        "to_lon": "lon2",
        "duration_s": "seconds",
    },
    "categories": {"vehicle": "van_type"},
    "zone": "Europe/Lisbon",
    "country": "PT",
}


def rows(count=400, seed=1):
    """Return trips of the invented town as the rows of somebody's file."""
    legs = some_legs(count, seed)
    zone = ZoneInfo("Europe/Lisbon")
    starts = [datetime.datetime.fromtimestamp(ms / 1000, zone).replace(tzinfo=None) for ms in legs["moment_ms"]]
    return {
        "pickup_at": [start.isoformat(timespec="milliseconds") for start in starts],
        **{new: legs[old] for old, new in (("from_lat", "lat1"), ("from_lon", "lon1"), ("to_lat", "lat2"))},
        "lon2": legs["to_lon"],
        "seconds": legs["duration_s"],
        "van_type": legs["vehicle"],
    }


def written(folder, columns, **changes):
    """Write trips and their schema; return the arguments that name them."""
    file, schema = folder / "trips.csv", folder / "mine.json"
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    file.write_text("\n".join(lines) + "\n")
    schema.write_text(json.dumps({**SCHEMA, **changes}))
    return file, "--schema", schema


def refused(done):
    """Return what a command said that refused."""
    assert done.exit_code == 1, done.output
    assert "Traceback" not in done.output
    assert not done.stdout.strip().startswith("{")
    return " ".join(done.output.split())


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    register(Registry(folder), a_training())
    return folder


@pytest.fixture
def model(registry, tmp_path):
    """Return a copy of the registry and the folder of its one model."""
    shutil.copytree(registry, tmp_path / "models")
    [name] = Registry(tmp_path / "models").names()
    return tmp_path / "models", tmp_path / "models" / name


@pytest.mark.parametrize("command", [train, backtest_file])
def test_a_column_that_knows_the_future_is_named(command, tmp_path):
    columns = rows()
    columns["tolls"] = columns["seconds"] * np.random.default_rng(1).normal(1, 0.02, len(columns["seconds"]))
    said = refused(run(command, *written(tmp_path, columns, numbers={"tolls": "order"})))
    assert "tolls can't have been known before arrival" in said


def test_the_end_of_the_trip_is_no_feature(tmp_path):
    columns = rows()
    columns["arrival_s"] = columns["seconds"]
    said = refused(run(train, *written(tmp_path, columns, numbers={"arrival_s": "arrive"})))
    assert "known on arrival only" in said


def test_a_missing_column_is_named_with_those_that_there_are(tmp_path):
    columns = rows()
    del columns["lat2"]
    said = refused(run(train, *written(tmp_path, columns)))
    assert "lacks lat2" in said
    assert "lat1" in said


def test_times_without_a_zone_are_refused(tmp_path):
    said = refused(run(train, *written(tmp_path, rows(), zone="")))
    assert "carries no time zone" in said


def test_a_zone_that_is_none_is_refused(tmp_path):
    assert "not the IANA name" in refused(run(train, *written(tmp_path, rows(), zone="Lisbon")))


def test_durations_that_are_all_alike_or_none_are_refused(tmp_path):
    columns = rows() | {"seconds": np.zeros(400)}
    assert "no trip that can be used" in refused(run(train, *written(tmp_path, columns)))


def test_a_value_never_seen_is_answered_and_counted_as_one(model, tmp_path):
    columns = rows(seed=2) | {"van_type": np.full(400, "hovercraft", dtype=object)}
    arguments = ("--registry", model[0], "--out", tmp_path / "report.html", "--json")
    done = run(eta_report, *written(tmp_path, columns), *arguments)
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout.splitlines()[-1])
    assert np.isfinite(figures["mae_s"])
    assert any("vehicle" in alert for alert in figures["alerts"])


@pytest.mark.parametrize("file", ["p50-0.txt", "calibration.json", "table.npz", "manifest.json"])
def test_a_model_cut_short_is_not_promoted(model, file):
    books, folder = model
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])
    said = refused(run(promote, folder.name, "--registry", books, "--force", "--no-accelerate"))
    assert "damaged" in said or "cut short" in said
    assert Registry(books).champion() is None


def test_a_model_that_was_edited_is_named(model):
    books, folder = model
    trees = (folder / "p50-0.txt").read_text()
    (folder / "p50-0.txt").write_text(trees.replace("leaf_value=", "leaf_value=9", 1))
    said = refused(run(promote, folder.name, "--registry", books, "--force", "--no-accelerate"))
    assert "p50-0.txt" in said
    assert "checksum" in said


def test_a_comparison_is_made_on_trips_that_are_new_to_both(model, tmp_path):
    books, folder = model
    arguments = ("--registry", books, "--model", folder.name, "--against", folder.name, "--out", tmp_path / "r.html")
    said = refused(run(eta_report, *written(tmp_path, rows()), *arguments))
    assert "newer than what both models learned from" in said
