"""Models in a real MLflow store: a run each, once, with what they are worth and a bundle that loads."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.errors import InvalidInput, NotFound
from models.eta.bundle import load_bundle
from outrider.cli.models import models
from pipelines.mlflow_export import MODEL_TAG, export_models
from pipelines.promotion import register
from pipelines.registry import Registry
from tests.trips import a_training

pytestmark = pytest.mark.filterwarnings("ignore")  # notices of MLflow and SQLAlchemy about their own internals


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "models")


@pytest.fixture
def store(tmp_path):
    return {"tracking": f"sqlite:///{tmp_path}/mlflow.db", "artifacts": (tmp_path / "files").as_uri()}


def client_of(store):
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=store["tracking"])


def runs_of(store, experiment="outrider-eta"):
    client = client_of(store)
    return client.search_runs([client.get_experiment_by_name(experiment).experiment_id])


def test_a_model_is_a_run_with_plan_figures_data_and_a_bundle_that_loads(registry, store, tmp_path):
    name, scores = register(registry, a_training())
    registry.promote(name, "first")
    runs = export_models(registry, **store)
    [run] = runs_of(store)
    assert runs == {name: run.info.run_id}
    assert run.info.status == "FINISHED"
    assert run.data.metrics["mae_s"] == pytest.approx(scores.mae_s)
    assert {f"segments/{segment}" for segment in scores.segments} <= set(run.data.metrics)
    assert json.loads(run.data.params["seed"]) == a_training().bundle.metadata["plan"]["seed"]
    tags = run.data.tags
    assert (tags[MODEL_TAG], tags["outrider.serves"]) == (name, "true")
    assert tags["outrider.data.digest"] == a_training().bundle.metadata["data"]["digest"]
    bundle = Path(client_of(store).download_artifacts(run.info.run_id, "bundle", str(tmp_path)))
    assert load_bundle(bundle).version.startswith(name)
    assert not list(bundle.rglob("holdout.parquet"))  # trips stay where they are


def test_exporting_again_adds_new_models_alone_and_says_who_serves_now(registry, store):
    first, _ = register(registry, a_training())
    before = export_models(registry, **store)
    second, _ = register(registry, a_training(seed=2))
    registry.promote(second, "newer")
    after = export_models(registry, **store)
    assert after[first] == before[first]
    assert {run.data.tags[MODEL_TAG]: run.data.tags["outrider.serves"] for run in runs_of(store)} == {
        first: "false",
        second: "true",
    }
    assert len(runs_of(store)) == 2


def test_only_named_models_go_and_an_unknown_one_is_told_before_anything_is_written(registry, store, tmp_path):
    first, _ = register(registry, a_training())
    register(registry, a_training(seed=2))
    with pytest.raises(NotFound):
        export_models(registry, names=[first, "nobody"], **store)
    assert not (tmp_path / "mlflow.db").exists()
    assert list(export_models(registry, names=[first], **store)) == [first]


def test_a_store_that_can_not_be_written_is_an_error_of_one_line(registry, store):
    register(registry, a_training())
    with pytest.raises(InvalidInput, match="can't be written"):
        export_models(registry, "nothing://there")


def test_the_command_exports_too(registry, store):
    name, _ = register(registry, a_training())
    to = ("--mlflow", store["tracking"], "--artifacts", store["artifacts"])
    done = CliRunner().invoke(models, ["export", *to, "--registry", str(registry.folder), "--json"])
    assert done.exit_code == 0, done.output
    assert list(json.loads(done.stdout.splitlines()[-1])["runs"]) == [name]
