"""What the commands around models of travel times share: options, bars, and how they tell what they found."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from models.errors import OutriderError
from pipelines.training import Progress as Told

__all__ = [
    "AsJson",
    "File",
    "Folder",
    "FromStore",
    "History",
    "LegSchema",
    "Schema",
    "Seed",
    "Tenant",
    "Threads",
    "plain_errors",
    "progress_bar",
    "show_notes",
    "show_result",
]

File = Annotated[Path, typer.Argument(help="Trips: CSV, Parquet, or a folder of Parquet files.")]
Schema = Annotated[str, typer.Option("--schema", help="nyc_taxi, chicago_taxi, or a JSON file that maps the columns.")]
History = Annotated[Path, typer.Argument(help="Trips: CSV, Parquet, a folder of them, or a data set of legs.")]
LegSchema = Annotated[
    str, typer.Option("--schema", help="As the columns are called: legs, nyc_taxi, …, or a JSON file.")
]
FromStore = Annotated[bool, typer.Option("--from-store", help="Bring the data set up to date from the database first.")]
Folder = Annotated[Path, typer.Option("--registry", help="The folder of models; the engine looks into var/models.")]
Tenant = Annotated[str, typer.Option("--tenant", help="One company, `ten_…`; everybody's model by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="End with one line that holds the result as JSON.")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Threads of LightGBM.")]
Seed = Annotated[int, typer.Option("--seed", help="Of rows and features drawn.")]

_console = Console(stderr=True)


@contextmanager
def plain_errors() -> Iterator[None]:
    """End with one line and status 1 on what the user can put right."""
    try:
        yield
    except OutriderError as error:
        print(f"outrider: {error}", file=sys.stderr)
        for field, fault in getattr(error, "fields", ()):
            print(f"  {field}: {fault}", file=sys.stderr)
        raise typer.Exit(1) from None


@contextmanager
def progress_bar() -> Iterator[Told]:
    """Show a bar of the steps of a training."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_console, transient=True) as bars:
        bar = bars.add_task("reading", total=None)

        def told(what: str, done: int, steps: int) -> None:
            bars.update(bar, description=what, completed=done, total=steps)

        yield told


def show_notes(notes: tuple[str, ...] | list[str]) -> None:
    """Tell what a person should know before believing the figures."""
    for note in notes:
        _console.print(note, style="dim")


def show_result(title: str, result: Mapping[str, Any], *, as_json: bool, bench: str) -> None:
    """Print a table of figures and, if wanted, one line of JSON at the end."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in result.items():
        table.add_row(name, _shown(value))
    (_console if as_json else Console()).print(table)
    if as_json:
        print(json.dumps({"bench": bench, "version": version("outrider"), **result}))


def _shown(value: Any) -> str:
    match value:
        case bool() | None:
            return str(value)
        case float():
            return f"{value:,.4f}" if abs(value) < 10 else f"{value:,.1f}"
        case int():
            return f"{value:,}"
        case Mapping():
            return "\n".join(f"{name}  {_shown(part)}" for name, part in value.items())
        case list() | tuple() if all(isinstance(part, str) for part in value):
            return "\n".join(value)
        case list() | tuple():
            return ", ".join(map(_shown, value))
        case _:
            return str(value)
