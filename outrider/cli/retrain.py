"""`outrider retrain`: train anew on what has finished since, on a schedule, and promote what is surely better."""

import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from models.errors import InvalidInput
from outrider.cli.model_output import File, Folder, Schema, Tenant, plain_errors
from pipelines.registry import EVERYBODY
from pipelines.retraining import Retrained, retrain, retrain_on_schedule, submit_retraining
from pipelines.trip_schemas import load_schema

__all__ = ["retrain_file"]


def retrain_file(
    file: File,
    schema: Schema,
    registry: Folder = Path("var/models"),
    tenant: Tenant = EVERYBODY,
    every_h: Annotated[float | None, typer.Option("--every-h", min=0.1, help="Again and again, hours apart.")] = None,
    on_ray: Annotated[bool, typer.Option("--ray", help="As a job of the Ray cluster that RAY_ADDRESS names.")] = False,
) -> None:
    """Train anew, and promote the model if the gates let it; once, or again and again."""
    with plain_errors():
        shape = load_schema(schema)
        if on_ray:
            import ray  # here: it takes a second to import

            ray.init(ignore_reinit_error=True, log_to_driver=False)
            _tell(ray.get(submit_retraining(file.resolve(), shape, registry.resolve(), tenant)))
        elif every_h is None:
            _tell(retrain(file, shape, registry, tenant))
        else:
            retrain_on_schedule(file, shape, registry, datetime.timedelta(hours=every_h), _tell, tenant)


def _tell(outcome: Retrained | InvalidInput) -> None:
    if isinstance(outcome, InvalidInput):
        Console().print(f"nothing trained: {outcome}")
        return
    state = "serves" if outcome.is_promoted else "stays a candidate"
    Console().print(f"model {outcome.model} {state}: {'; '.join(outcome.reasons)}")
