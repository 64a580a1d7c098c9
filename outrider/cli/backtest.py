"""`outrider backtest`: how good a model trained on the earlier trips would have been on the later ones."""

import time
from pathlib import Path
from typing import Annotated

import typer

from models.eta.base_time import PACES
from outrider.cli.model_output import (
    AsJson,
    File,
    Schema,
    Seed,
    Threads,
    plain_errors,
    progress_bar,
    show_notes,
    show_result,
)
from pipelines.backtest import backtest, split_trips
from pipelines.datasets import read_history
from pipelines.drives import great_circle_ways, legs_of_drives, read_drives, split_drives
from pipelines.training import TrainingPlan
from pipelines.trip_schemas import TripSchema, load_schema
from pipelines.trips import Trips, read_trips

__all__ = ["backtest_file"]

_ELAPSED_S = (0.0, 180.0, 360.0)


def backtest_file(
    file: File,
    schema: Schema,
    test: Annotated[Path | None, typer.Option("--test", help="Later trips to test with.")] = None,
    roads: Annotated[Path | None, typer.Option("--roads", help="A road network for the base times of drives.")] = None,
    threads: Threads = 1,
    seed: Seed = 1,
    json: AsJson = False,
) -> None:
    """Train on the earlier trips of a file, predict the later ones in time order, and compare with the plain ways."""
    began = time.monotonic()
    with plain_errors(), progress_bar() as told:
        shape = load_schema(schema)
        known, judged = _drives(file, shape, roads) if shape.kind == "drives" else _trips(file, shape, test)
        found = backtest(known, judged, shape, TrainingPlan.for_rows(len(known), threads, seed), told)
    show_notes(list(found.trained.notes))
    figures = found.to_json()
    if not json:
        figures = {name: value for name, value in figures.items() if name not in ("batch", "time_order")}
    seconds = round(time.monotonic() - began, 1)
    show_result(f"outrider backtest {file.name}", {"seconds": seconds, **figures}, as_json=json, bench="backtest")


def _trips(file: Path, shape: TripSchema, test: Path | None) -> tuple[Trips, Trips]:
    later = None if test is None else read_trips(test, shape)
    return split_trips(read_history(file, shape), later)


def _drives(file: Path, shape: TripSchema, roads: Path | None) -> tuple[Trips, Trips]:
    """Return what is left of earlier and of later drives, at the moments that are scored."""
    drives = read_drives(file)
    if roads is None:
        ways = great_circle_ways(PACES["car"])
        earlier, later = (legs_of_drives(part, _ELAPSED_S, ways) for part in split_drives(drives))
        return earlier, later
    from pipelines.roads_driven import RoadsDriven  # here: only drives on roads need the network

    driven = RoadsDriven(roads, drives, shape.zone)
    earlier, later = driven.in_traffic(
        *(legs_of_drives(part, _ELAPSED_S, driven.ways) for part in split_drives(drives))
    )
    return earlier, later
