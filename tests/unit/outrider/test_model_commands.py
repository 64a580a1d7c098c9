"""From a file of trips to the model that serves, with three commands."""

import json

import pytest
import typer
from typer.testing import CliRunner

from outrider.cli.backtest import backtest_file
from outrider.cli.eta_report import eta_report
from outrider.cli.promote import promote
from outrider.cli.train import train
from pipelines.promotion import register
from pipelines.registry import Registry
from pipelines.training import train_bundle
from pipelines.trip_schemas import load_schema
from pipelines.trips import read_trips
from tests.trips import QUICK, SAMPLE

NYC = load_schema("nyc_taxi")


def run(command, *arguments):
    application = typer.Typer(add_completion=False)
    application.command()(command)
    return CliRunner().invoke(application, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def trips(tmp_path_factory):
    path = tmp_path_factory.mktemp("trips") / "trips.csv"
    path.write_text("\n".join(SAMPLE.read_text().splitlines()[:501]) + "\n")
    return path


def test_three_commands_lead_from_a_file_to_a_model_that_serves(trips, tmp_path):
    judged = run(backtest_file, trips, "--schema", "nyc_taxi", "--json")
    assert judged.exit_code == 0, judged.output
    figures = json.loads(judged.stdout.splitlines()[-1])
    assert figures["mae_s"] < figures["naive_mae_s"]
    assert {"rows_train", "rows_test", "mae_batch_s", "rmsle", "coverage_80", "worst_segment_coverage"} <= set(figures)

    registry = ("--registry", tmp_path / "models")
    trained = run(train, trips, "--schema", "nyc_taxi", *registry, "--json")
    assert trained.exit_code == 0, trained.output
    name = json.loads(trained.stdout.splitlines()[-1])["model"]

    promoted = run(promote, name, *registry, "--force", "--no-accelerate", "--json")
    assert promoted.exit_code == 0, promoted.output
    assert json.loads(promoted.stdout.splitlines()[-1])["promoted"] is True

    again = run(promote, *registry, "--json")
    assert again.exit_code == 2
    assert "serves already" in again.stdout


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
