"""`outrider models`: who serves, who predicts beside on trial, and models for MLflow."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from models.eta.registry import Standing
from outrider.cli.model_output import AsJson, Folder, plain_errors, show_result
from pipelines.mlflow_export import EXPERIMENT, export_models
from pipelines.registry import Registry

__all__ = ["models"]

models = typer.Typer(
    help="Show the models of travel times, let one predict beside on trial, export them to MLflow.",
    no_args_is_help=True,
)


@models.command("list")
def list_models(registry: Folder = Path("var/models"), json_: AsJson = False) -> None:
    """List the models of a registry, the newest first, with whom each one serves.

    JSON keys: models [{model, created, serves, beside}], where serves lists companies and `everybody`.
    """
    with plain_errors():
        books = Registry(registry)
        standing = books.standing()
        rows: list[dict[str, Any]] = [
            {
                "model": one.version,
                "created": one.created,
                "serves": _served(standing, one.version),
                "beside": standing.candidate == one.version,
            }
            for one in books.versions()
        ]
    table = Table("model", "created", "serves", title=str(registry), title_justify="left")
    for row in rows:
        place = [*row["serves"], *(["nobody: predicts beside, on trial"] if row["beside"] else [])]
        table.add_row(row["model"], row["created"][:16].replace("T", " "), ", ".join(place) or "nobody")
    Console(stderr=json_).print(table)
    if json_:
        print(json.dumps({"models": rows}))


@models.command()
def shadow(
    model: Annotated[str, typer.Argument(help="The model; the newest one by default.")] = "",
    registry: Folder = Path("var/models"),
    end: Annotated[bool, typer.Option("--end", help="Let none predict beside any more.")] = False,
    json_: AsJson = False,
) -> None:
    """Let a model predict beside the one that serves, for every company; nobody sees its estimates.

    Each leg's end is compared with what both said of it at its beginning: the page of ETAs, `GET /eta/accuracy` and
    `GET /eta/models/{model}/metrics` show how the two do. `outrider promote` lets the better one serve.

    JSON keys: model, beside (whether it predicts beside now).
    """
    with plain_errors():
        books = Registry(registry)
        name = None if end else model or books.newest()
        before = books.standing().candidate
        books.shadow(name)
    title = f"model {name} predicts beside" if name else "no model predicts beside"
    show_result(title, {"model": name or before, "beside": name is not None}, as_json=json_, bench="models")


@models.command()
def export(
    mlflow: Annotated[str, typer.Option("--mlflow", help="Store: http://… of a server, or sqlite:///….")],
    model: Annotated[list[str] | None, typer.Argument(help="Which models; all by default.")] = None,
    registry: Folder = Path("var/models"),
    experiment: Annotated[str, typer.Option("--experiment", help="Under which the runs are.")] = EXPERIMENT,
    artifacts: Annotated[
        str | None, typer.Option("--artifacts", help="Where a new experiment keeps files; the store's own by default.")
    ] = None,
    json_: AsJson = False,
) -> None:
    """Write models into MLflow, a run each: plan, figures, data, and the bundle's files. Again adds what is new.

    JSON keys: runs (id of the run by model).
    """
    with plain_errors():
        runs = export_models(Registry(registry), mlflow, model or (), experiment=experiment, artifacts=artifacts)
    show_result(f"{len(runs)} models in {mlflow}", {"runs": runs}, as_json=json_, bench="models")


def _served(standing: Standing, name: str) -> list[str]:
    """Return whom a model serves: `everybody`, and companies that have chosen it."""
    return [tenant or "everybody" for tenant, one in sorted(standing.champions.items()) if one == name]
