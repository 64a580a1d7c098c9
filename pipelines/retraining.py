"""Train anew on what has finished since, and promote what is surely better: once, or on a schedule as a Ray job."""

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import InvalidInput
from models.eta.accelerator import compile_bundle
from pipelines.datasets import LegDataset, read_history
from pipelines.promotion import judge_version, register
from pipelines.registry import EVERYBODY, Registry
from pipelines.training import TrainingPlan, train_bundle
from pipelines.trip_schemas import TripSchema

__all__ = ["Retrained", "retrain", "retrain_all", "retrain_on_schedule", "submit_retraining"]

_LEAST_OF_COMPANY = 2_000  # legs: with fewer, what all companies teach is worth more than what is a company's own


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
    trips = read_history(source, schema, tenant)
    books = Registry(registry)
    name, _ = register(books, train_bundle(trips, schema, plan))
    verdict = judge_version(books, name, tenant)
    if verdict.is_passed:
        if accelerate:
            compile_bundle(books.folder_of(name))
        books.promote(name, "retrained: " + "; ".join(verdict.reasons), tenant)
    return Retrained(name, verdict.is_passed, verdict.reasons)


def retrain_all(
    source: Path,
    schema: TripSchema,
    registry: Path,
    told: Callable[[str, Retrained | InvalidInput], None],
    *,
    least: int = _LEAST_OF_COMPANY,
    plan: TrainingPlan | None = None,
    accelerate: bool = True,
) -> None:
    """Retrain everybody's model on a data set of legs, and then one for each company with enough legs of its own.

    `told` is called with the company, `""` for everybody, and what came of it; too little data or a leak stops nobody
    else's.
    """
    rich = [company for company, count in LegDataset(source).companies().items() if count >= least]
    for tenant in (EVERYBODY, *rich):
        try:
            told(tenant, retrain(source, schema, registry, tenant, plan=plan, accelerate=accelerate))
        except InvalidInput as fault:
            told(tenant, fault)


def retrain_on_schedule(every: datetime.timedelta, once: Callable[[], None]) -> None:
    """Do a retraining for ever, beginning now, so far apart."""
    while True:
        began = time.monotonic()
        once()
        time.sleep(max(0.0, every.total_seconds() - (time.monotonic() - began)))


def submit_retraining(source: Path, schema: TripSchema, registry: Path, tenant: str = EVERYBODY) -> Any:
    """Start one retraining as a task of the Ray cluster that this process is connected to; return its reference."""
    import ray  # here: a retraining in this process does not start it

    task: Any = ray.remote(num_cpus=1, max_retries=2)(retrain)
    return task.remote(source, schema, registry, tenant)
