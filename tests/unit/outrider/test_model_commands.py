"""From a file of trips to the model that serves, with three commands."""

import datetime
import json
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from models.eta.history import driver_alias
from outrider.cli.backtest import backtest_file
from outrider.cli.eta_report import eta_report
from outrider.cli.legs import forget
from outrider.cli.models import list_models, shadow
from outrider.cli.promote import promote
from outrider.cli.retrain import retrain_file
from outrider.cli.train import train
from pipelines.datasets import LegDataset
from pipelines.promotion import register
from pipelines.registry import Registry
from pipelines.training import train_bundle
from pipelines.trip_schemas import load_schema
from pipelines.trips import read_trips
from tests.commands import run
from tests.legs import a_bundle, some_legs
from tests.trips import QUICK, SAMPLE

NYC = load_schema("nyc_taxi")
GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "train-an-eta-model.md"
COMMANDS = {"backtest": backtest_file, "train": train, "promote": promote}
LISBON = ZoneInfo("Europe/Lisbon")
ENDS = ("from_lat", "from_lon", "to_lat", "to_lon")


@pytest.fixture(scope="module")
def trips(tmp_path_factory):
    path = tmp_path_factory.mktemp("trips") / "trips.csv"
    path.write_text("\n".join(SAMPLE.read_text().splitlines()[:501]) + "\n")
    return path


def test_the_three_commands_of_the_guide_lead_from_a_file_to_a_model_that_serves(tmp_path, monkeypatch):
    guide = GUIDE.read_text().partition("## A file of trips")[2]
    commands = re.findall(
        r"^outrider (backtest|train|promote)(.*?)(?:#.*)?$", guide.partition("```sh")[2], re.MULTILINE
    )
    [schema, *_] = re.findall(r"```json\n(.*?)```", guide, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text(schema)
    write_trips(tmp_path / "trips.csv", 700)
    said = {}
    for name, arguments in commands[:3]:
        rest = ("--no-accelerate",) if name == "promote" else ()
        done = run(COMMANDS[name], *arguments.split(), *rest, "--json")
        assert done.exit_code == 0, done.output
        said[name] = json.loads(done.stdout.splitlines()[-1])
    assert list(said) == ["backtest", "train", "promote"]
    assert said["backtest"]["mae_s"] < said["backtest"]["table_mae_s"] < said["backtest"]["naive_mae_s"]
    assert {"mae_batch_s", "rmsle", "coverage_80", "worst_segment_coverage"} <= set(said["backtest"])
    assert said["promote"]["model"] == said["train"]["model"]
    assert Registry(tmp_path / "var" / "models").champion() == said["train"]["model"]
    again = run(promote, "--json")
    assert again.exit_code == 2
    assert "serves already" in again.stdout


def write_trips(path, count):
    """Write trips of the invented town in the columns that the guide's schema names."""
    legs = some_legs(count)
    starts = [datetime.datetime.fromtimestamp(ms / 1000, LISBON).replace(tzinfo=None) for ms in legs["moment_ms"]]
    columns = {
        "pickup_at": [start.isoformat(timespec="milliseconds") for start in starts],
        **dict(zip(("lat1", "lon1", "lat2", "lon2"), (legs[name] for name in ENDS), strict=True)),
        "seconds": legs["duration_s"],
        "van_type": legs["vehicle"],
        "parcels": np.arange(count) % 7,
    }
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")


def test_a_report_is_a_page_with_figures_beside_it(trips, tmp_path):
    name, _ = register(Registry(tmp_path / "models"), train_bundle(read_trips(trips, NYC), NYC, QUICK))
    arguments = (trips, "--schema", "nyc_taxi", "--registry", tmp_path / "models", "--out", tmp_path / "report.html")
    done = run(eta_report, *arguments, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout.splitlines()[-1])["model"] == name
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "report.json").read_text())["rows"] == 500


def test_a_file_that_can_not_be_read_is_one_line_and_status_1(tmp_path):
    (tmp_path / "trips.csv").write_text("a,b\n1,2\n")
    done = run(train, tmp_path / "trips.csv", "--schema", "nyc_taxi", "--registry", tmp_path / "models")
    assert done.exit_code == 1
    assert "lacks" in done.output
    assert "Traceback" not in done.output


def test_a_registry_without_models_says_how_to_make_one(tmp_path):
    done = run(promote, "--registry", tmp_path / "models")
    assert done.exit_code == 1
    assert "outrider train" in done.output


@pytest.mark.parametrize("beside", [("--ray",), ("--tenant", "ten_a")])
def test_training_for_each_company_refuses_what_it_would_ignore(tmp_path, beside):
    done = run(retrain_file, tmp_path, "--each", *beside)
    assert done.exit_code == 2
    assert "--each" in done.output


def test_a_model_is_put_on_trial_and_taken_from_it(tmp_path):
    registry = tmp_path / "models"
    first, second = (
        Registry(registry).add(a_bundle(seed=seed), {"note": f"the one of seed {seed}"}) for seed in (1, 2)
    )
    Registry(registry).promote(first, "the first")
    assert json.loads(run(shadow, "--registry", registry, "--json").stdout.splitlines()[-1])["model"] == second
    listed = json.loads(run(list_models, "--registry", registry, "--json").stdout.splitlines()[-1])["models"]
    assert [(row["model"], row["serves"], row["beside"]) for row in listed] == [
        (second, [], True),
        (first, ["everybody"], False),
    ]
    run(shadow, "--registry", registry, "--end")
    assert Registry(registry).standing().candidate is None


def test_a_model_that_is_not_there_can_not_be_put_on_trial(tmp_path):
    done = run(shadow, "nothing", "--registry", tmp_path / "models")
    assert done.exit_code == 1
    assert "Traceback" not in done.output


def test_a_drivers_legs_leave_a_data_set_and_the_others_stay(tmp_path):
    legs = {name: column for name, column in some_legs(40).items() if name != "vehicle"}
    names = np.array([f"leg_{row}" for row in range(40)], dtype=object)
    aliases = [driver_alias("ten_a", driver) for driver in ("drv_1", "drv_2")]
    whose = np.array([aliases[row % 2] for row in range(40)], dtype=object)
    LegDataset(tmp_path).add({**legs, "leg": names, "company": np.full(40, "ten_a", dtype=object), "driver": whose})
    done = run(forget, "drv_1", "--tenant", "ten_a", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert "20 legs of drv_1" in done.output
    assert LegDataset(tmp_path).companies() == {"ten_a": 20}
    assert set(LegDataset(tmp_path).read("ten_a").legs["driver"]) == {aliases[1]}
