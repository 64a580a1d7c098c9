"""Models of the registry as runs of MLflow: plan, figures, whose data, and the bundle's files.

A run a model, found again by its tag, so an export that is done again adds what is new and nothing twice. MLflow is an
extra (`mlflow`); the registry stays the one that says who serves.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from models.errors import InvalidInput
from pipelines.registry import Registered, Registry

__all__ = ["EXPERIMENT", "MODEL_TAG", "export_models"]

EXPERIMENT = "outrider-eta"
"""Name of the experiment unless another is given."""
MODEL_TAG = "outrider.model"
"""Tag of a run that names its model."""

_COMPILED = "compiled"  # machine code of one kind of processor
_LONGEST_PARAM = 6_000  # characters that MLflow keeps of a parameter


def export_models(
    registry: Registry,
    tracking: str,
    names: Sequence[str] = (),
    *,
    experiment: str = EXPERIMENT,
    artifacts: str | None = None,
) -> dict[str, str]:
    """Write models into an MLflow store, and return the id of each one's run by its name.

    Parameters
    ----------
    registry
        Where the models are.
    tracking
        URI of the store: `http://…` of a server, or `sqlite:///…`.
    names
        Which models; all where none is named.
    experiment
        Under which their runs are; it is made if it is not there.
    artifacts
        URI under which a new experiment keeps files; the store's own place where it is not given.

    Raises
    ------
    InvalidInput
        If MLflow is not installed, or the store can't be reached or written.
    NotFound
        If there is no model of a name.
    """
    if find_spec("mlflow") is None:
        raise InvalidInput("MLflow is not installed: pip install 'outrider[mlflow]'")
    from mlflow.environment_variables import MLFLOW_DISABLE_TELEMETRY  # here: it loads for seconds, and is an extra
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    MLFLOW_DISABLE_TELEMETRY.set(True)  # type: ignore[no-untyped-call]  # an export to one's own store tells nobody else
    for name in names:
        registry.folder_of(name)
    chosen = [model for model in registry.versions() if not names or model.version in names]
    try:
        client = MlflowClient(tracking_uri=tracking)
        found = client.get_experiment_by_name(experiment)
        home = client.create_experiment(experiment, artifacts) if found is None else found.experiment_id
        return {model.version: _export(client, home, registry, model) for model in reversed(chosen)}
    except (MlflowException, OSError) as fault:
        raise InvalidInput(f"MLflow at {tracking} can't be written: {str(fault).splitlines()[0]}") from fault


def _export(client: Any, experiment: str, registry: Registry, model: Registered) -> str:
    """Write one model and return the id of its run."""
    wanted = f"tags.`{MODEL_TAG}` = '{model.version}' and attributes.status = 'FINISHED'"
    if known := client.search_runs([experiment], filter_string=wanted, max_results=1):
        run = str(known[0].info.run_id)
    else:
        run = str(client.create_run(experiment, run_name=model.version).info.run_id)
        for name, value in _params(model.metadata.get("plan", {})):
            client.log_param(run, name, value)
        for name, figure in _figures(model.evaluation):
            client.log_metric(run, name, figure)
        _log_bundle(client, run, registry.folder_of(model.version))
    for name, text in _tags(model).items():
        client.set_tag(run, name, text)
    client.set_terminated(run)
    return run


def _log_bundle(client: Any, run: str, folder: Path) -> None:
    """Keep the files of a bundle, but neither its hold-out, which holds trips, nor what is compiled for one machine."""
    with tempfile.TemporaryDirectory(prefix="outrider-mlflow-") as place:
        copy = Path(place) / "bundle"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("holdout.parquet", _COMPILED))
        client.log_artifacts(run, str(copy), "bundle")


def _tags(model: Registered) -> dict[str, str]:
    data = model.metadata.get("data", {})
    return {
        MODEL_TAG: model.version,
        "outrider.serves": str(model.is_champion).lower(),
        "outrider.created": model.created,
        "outrider.base": str(model.metadata.get("base", "")),
        "outrider.code": str(model.metadata.get("code", "")),
        **{f"outrider.data.{name}": str(value) for name, value in data.items()},
    }


def _params(plan: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield the plan's values by dotted names."""
    for name, value in plan.items():
        if isinstance(value, Mapping):
            yield from _params(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", json.dumps(value)[:_LONGEST_PARAM]


def _figures(evaluation: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """Yield numbers by names that MLflow takes; of a segment, which has rows and coverage, the coverage."""
    for name, value in evaluation.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping):
            yield from _figures(value, f"{path}/")
        elif above == "segments/":
            yield path, float(value[1])
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield path, float(value)
