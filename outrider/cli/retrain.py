"""`outrider retrain`: train anew on what has finished since, on a schedule, and promote what is surely better."""

import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from models.errors import InvalidInput, OutriderError
from outrider.cli.legs import LEGS, export_stored
from outrider.cli.model_output import Folder, FromStore, History, LegSchema, Tenant, plain_errors, progress_bar
from pipelines.registry import EVERYBODY
from pipelines.retraining import Retrained, retrain, retrain_all, retrain_on_schedule, submit_retraining
from pipelines.trip_schemas import TripSchema, load_schema

__all__ = ["retrain_file"]


def retrain_file(
    file: History = LEGS,
    schema: LegSchema = "legs",
    registry: Folder = Path("var/models"),
    tenant: Tenant = EVERYBODY,
    every_h: Annotated[float | None, typer.Option("--every-h", min=0.1, help="Again and again, hours apart.")] = None,
    from_store: FromStore = False,
    each: Annotated[bool, typer.Option("--each", help="Also a model for each company with enough legs.")] = False,
    on_ray: Annotated[bool, typer.Option("--ray", help="As a job of the Ray cluster that RAY_ADDRESS names.")] = False,
) -> None:
    """Train anew, and promote the model if the gates let it; once, or again and again."""
    if each and (on_ray or tenant):
        raise typer.BadParameter("--each trains for all companies and on this machine: leave --ray and --tenant out")
    shape = load_schema(schema)

    def once() -> None:
        if from_store:
            with progress_bar() as told:
                export_stored(file, tenant, told)
        if each:
            retrain_all(file, shape, registry, _tell)
        elif on_ray:
            _tell(tenant, _on_ray(file.resolve(), shape, registry.resolve(), tenant))
        else:
            _tell(tenant, retrain(file, shape, registry, tenant))

    def once_at_least() -> None:
        try:
            once()
        except OutriderError as fault:  # too little data, a leak, MongoDB away: the next time may be better
            Console().print(f"nothing trained: {fault}")

    with plain_errors():
        if every_h is None:
            once()
        else:
            retrain_on_schedule(datetime.timedelta(hours=every_h), once_at_least)


def _on_ray(file: Path, shape: TripSchema, registry: Path, tenant: str) -> Retrained:
    import ray  # here: it takes a second to import

    ray.init(ignore_reinit_error=True, log_to_driver=False)
    outcome: Retrained = ray.get(submit_retraining(file, shape, registry, tenant))
    return outcome


def _tell(tenant: str, outcome: Retrained | InvalidInput) -> None:
    whose = f"of {tenant}" if tenant else "of everybody"
    if isinstance(outcome, InvalidInput):
        Console().print(f"no model {whose}: {outcome}")
        return
    state = "serves" if outcome.is_promoted else "stays a candidate"
    Console().print(f"model {outcome.model} {whose} {state}: {'; '.join(outcome.reasons)}")
