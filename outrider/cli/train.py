"""`outrider train`: a model of travel times from a file of trips."""

from pathlib import Path

from outrider.cli.model_output import (
    AsJson,
    File,
    Folder,
    Schema,
    Seed,
    Threads,
    plain_errors,
    progress_bar,
    show_notes,
    show_result,
)
from pipelines.promotion import register
from pipelines.registry import Registry
from pipelines.training import TrainingPlan, train_bundle
from pipelines.trip_schemas import load_schema
from pipelines.trips import read_trips

__all__ = ["train"]


def train(
    file: File,
    schema: Schema,
    registry: Folder = Path("var/models"),
    threads: Threads = 1,
    seed: Seed = 1,
    json: AsJson = False,
) -> None:
    """Train a model on a file of trips, and put it into the registry as a candidate."""
    with plain_errors(), progress_bar() as told:
        shape = load_schema(schema)
        trained = train_bundle(read_trips(file, shape), shape, TrainingPlan(threads=threads, seed=seed), told)
        name, scores = register(Registry(registry), trained)
    show_notes(list(trained.notes))
    result = {"model": name, "folder": str(registry / name), "rows_train": len(trained.trips), **scores.to_json()}
    show_result(f"model {name} (figures of its own hold-out)", result, as_json=json, bench="train")
