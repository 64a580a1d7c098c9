"""Train anew on what has finished since, and promote what is surely better: once, or on a schedule as a Ray job."""

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import InvalidInput
from models.eta.accelerator import compile_bundle
from pipelines.datasets import LegDataset
from pipelines.promotion import judge_version, register
from pipelines.registry import EVERYBODY, Registry
from pipelines.training import TrainingPlan, train_bundle
from pipelines.trip_schemas import TripSchema
from pipelines.trips import Trips, read_trips

__all__ = ["Retrained", "retrain", "retrain_on_schedule", "submit_retraining"]


@dataclass(frozen=True, slots=True)
class Retrained:
    """What one retraining came to."""

    model: str
    is_promoted: bool
    reasons: tuple[str, ...]


def retrain(
    source: Path,
    schema: TripSchema,
    registry: Path,
    tenant: str = EVERYBODY,
    *,
    plan: TrainingPlan | None = None,
    accelerate: bool = True,
) -> Retrained:
    """Train on a file of trips or a data set of legs, and promote the model if the gates let it.

    `accelerate` compiles the trees of a model that is promoted; without a `plan` the number of trips decides on one.

    Raises
    ------
    InvalidInput
        If there is too little to learn from, or a column knows the future.
    """
    trips = _read(source, schema, tenant)
    books = Registry(registry)
    name, _ = register(books, train_bundle(trips, schema, plan))
    verdict = judge_version(books, name, tenant)
    if verdict.is_passed:
        if accelerate:
            compile_bundle(books.folder_of(name))
        books.promote(name, "retrained: " + "; ".join(verdict.reasons), tenant)
    return Retrained(name, verdict.is_passed, verdict.reasons)


def retrain_on_schedule(
    source: Path,
    schema: TripSchema,
    registry: Path,
    every: datetime.timedelta,
    told: Callable[[Retrained | InvalidInput], None],
    tenant: str = EVERYBODY,
) -> None:
    """Retrain for ever, beginning now; too little data or a leak is told and tried again the next time."""
    while True:
        began = time.monotonic()
        try:
            told(retrain(source, schema, registry, tenant))
        except InvalidInput as fault:
            told(fault)
        time.sleep(max(0.0, every.total_seconds() - (time.monotonic() - began)))


def submit_retraining(source: Path, schema: TripSchema, registry: Path, tenant: str = EVERYBODY) -> Any:
    """Start one retraining as a task of the Ray cluster that this process is connected to; return its reference."""
    import ray  # here: a retraining in this process does not start it

    task: Any = ray.remote(num_cpus=1, max_retries=2)(retrain)
    return task.remote(source, schema, registry, tenant)


def _read(source: Path, schema: TripSchema, tenant: str) -> Trips:
    if any(source.glob("company=*")):
        return LegDataset(source).read(tenant or None)
    return read_trips(source, schema)
