"""`outrider solve FILE`: solve a routing problem of a benchmark set, or of VROOM, on this machine."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from engine.routing.formats.instance import Instance, Known
from engine.routing.formats.reading import read_instance
from engine.routing.formats.solutions import read_known, write_routes
from engine.routing.problem import Solution
from engine.routing.search import ENGINES, Engine
from models.errors import BadSettings, OutriderError
from outrider.plot import plot_routes
from outrider.solving import Answer, solve_instance

__all__ = ["solve"]

_MOST_REASONS = 10
_ALL = ",".join(ENGINES)


def solve(
    file: Annotated[
        Path,
        typer.Argument(help="Solomon, CVRPLIB, Li and Lim, Sartori and Buriol, or VROOM's JSON; told by its content."),
    ],
    seconds: Annotated[float, typer.Option(min=0.5, help="How long to search.")] = 30.0,
    workers: Annotated[int | None, typer.Option(min=1, help="Cores to search on; all unless given.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and the same work give the same plan.")] = 1,
    bks: Annotated[Path | None, typer.Option(help="Best known values: a CSV table, or a solution file.")] = None,
    by_length: Annotated[
        bool, typer.Option("--by-length", help="Let the way alone count where a set wants few vehicles first.")
    ] = False,
    solver: Annotated[str, typer.Option(help="Solvers that may take part, with commas.")] = _ALL,
    out: Annotated[Path | None, typer.Option(help="Write the routes to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the routes to this picture.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Solve a routing problem from a file, with the conventions of its set.

    Ctrl-C ends the search early with the best plan so far. The plan is verified apart from the solvers.

    JSON keys: instance, cost, vehicles, unserved, feasible, seconds, gap (to the best known value; null without one),
    solver (members of the portfolio that ran), reasons {job: why it is left out}.
    """
    try:
        instance = read_instance(file, vehicles_first=False if by_length else None)
        known = None if bks is None else read_known(bks, instance.name) or read_known(bks, file.stem)
        engines = _members(solver)
        answer = _watched(instance, known, seconds, workers or os.cpu_count() or 1, seed, engines, quiet=as_json)
        figures = answer.figures()
        if answer.solution is not None and out is not None:
            write_routes(out, instance, answer.solution)
        if answer.solution is not None and plot is not None:
            plot_routes(plot, instance, answer.solution)
    except (OutriderError, OSError) as error:
        print(f"outrider: {error}", file=sys.stderr)
        sys.exit(1)
    if as_json:
        print(json.dumps(figures))
    else:
        _show(figures)
    if answer.solution is None:
        print("outrider: no plan was found in the time; allow more seconds", file=sys.stderr)
        sys.exit(1)


def _watched(
    instance: Instance,
    known: Known | None,
    seconds: float,
    workers: int,
    seed: int,
    engines: tuple[Engine, ...],
    *,
    quiet: bool,
) -> Answer:
    """Solve with a line that shows how far the search is."""
    told = TextColumn("{task.fields[best]}")
    columns = (SpinnerColumn(), TextColumn(instance.name), TimeElapsedColumn(), TextColumn(f"of {seconds:g} s"), told)
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as progress:
        task = progress.add_task("", total=None, best="no plan yet")

        def show(solution: Solution) -> None:
            progress.update(task, best=_line(instance, known, solution))

        return solve_instance(
            instance,
            seconds=seconds,
            workers=workers,
            seed=seed,
            engines=engines,
            known=known,
            report=show,
        )


def _members(names: str) -> tuple[Engine, ...]:
    chosen = names.split(",")
    if strange := [name for name in chosen if name not in ENGINES]:
        raise BadSettings(f"there is no solver {strange[0]!r}; there are {', '.join(ENGINES)}")
    return tuple(one for one in ENGINES if one in chosen)


def _line(instance: Instance, known: Known | None, solution: Solution) -> str:
    vehicles = sum(1 for route in solution.routes if route)
    line = f"{instance.cost(solution, known):,.10g} with {vehicles} vehicles"
    if solution.unserved:
        line += f", {len(solution.unserved)} left out"
    return line if known is None else f"{line}, {instance.gap(solution, known):+.2%} of the best known"


def _show(figures: Mapping[str, Any]) -> None:
    table = Table(show_header=False, box=None)
    for key, value in figures.items():
        if key == "reasons":
            continue
        if key == "gap" and value is not None:
            value = f"{value:+.3%}"
        table.add_row(key, ", ".join(value) if isinstance(value, list) else str(value))
    console = Console()
    console.print(table)
    reasons = list(figures.get("reasons", {}).items())
    for job, reason in reasons[:_MOST_REASONS]:
        console.print(f"{job} is left out: {reason}", markup=False)
    if len(reasons) > _MOST_REASONS:
        console.print(f"… and {len(reasons) - _MOST_REASONS} more")
