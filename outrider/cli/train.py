"""`outrider train`: a model of travel times from a file of trips."""

from pathlib import Path
from typing import Annotated

import typer

from outrider.cli.legs import LEGS, export_stored
from outrider.cli.model_output import (
    AsJson,
    Folder,
    FromStore,
    History,
    LegSchema,
    Seed,
    Tenant,
    Threads,
    plain_errors,
    progress_bar,
    show_notes,
    show_result,
)
from pipelines.datasets import read_history
from pipelines.promotion import register
from pipelines.registry import EVERYBODY, Registry
from pipelines.training import Progress, TrainingPlan, train_bundle
from pipelines.trip_schemas import TripSchema, load_schema
from pipelines.trips import Trips

__all__ = ["train"]


def train(
    file: History = LEGS,
    schema: LegSchema = "legs",
    registry: Folder = Path("var/models"),
    trials: Annotated[int, typer.Option(min=0, help="Search for a better plan in so many trials.")] = 0,
    on_ray: Annotated[bool, typer.Option("--ray", help="Run trials side by side on Ray.")] = False,
    threads: Threads = 1,
    seed: Seed = 1,
    tenant: Tenant = EVERYBODY,
    from_store: FromStore = False,
    json: AsJson = False,
) -> None:
    """Train a model on a file of trips or a data set of legs, and put it into the registry as a candidate."""
    with plain_errors(), progress_bar() as told:
        shape = load_schema(schema)
        if from_store:
            export_stored(file, tenant, told)
        trips = read_history(file, shape, tenant)
        plan = TrainingPlan.for_rows(len(trips), threads, seed)
        if trials:
            plan = _searched(trips, shape, plan, trials, registry, on_ray, told)
        trained = train_bundle(trips, shape, plan, told)
        name, scores = register(Registry(registry), trained)
    show_notes(list(trained.notes))
    result = {"model": name, "folder": str(registry / name), "rows_train": len(trained.trips), **scores.to_json()}
    show_result(f"model {name} (figures of its own hold-out)", result, as_json=json, bench="train")


def _searched(
    trips: Trips, shape: TripSchema, start: TrainingPlan, trials: int, registry: Path, on_ray: bool, told: Progress
) -> TrainingPlan:
    from pipelines.provenance import snapshot_digest  # here: a training without a search needs no Optuna
    from pipelines.search import search_plan

    if on_ray:
        import ray

        ray.init(ignore_reinit_error=True, log_to_driver=False)
    journal = registry / "searches" / f"{snapshot_digest(trips)[:12]}.log"

    def told_trial(done: int, best_s: float) -> None:
        told(f"trial {done} of {trials}, best {best_s:.1f} s", done, trials)

    return search_plan(trips, shape, start, trials=trials, journal=journal, on_ray=on_ray, told=told_trial)
