"""`outrider backtest`: how good a model trained on the earlier trips would have been on the later ones."""

import time
from pathlib import Path
from typing import Annotated

import typer

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
from pipelines.training import TrainingPlan
from pipelines.trip_schemas import load_schema
from pipelines.trips import read_trips

__all__ = ["backtest_file"]


def backtest_file(
    file: File,
    schema: Schema,
    test: Annotated[Path | None, typer.Option("--test", help="Later trips to test with.")] = None,
    threads: Threads = 1,
    seed: Seed = 1,
    json: AsJson = False,
) -> None:
    """Train on the earlier trips of a file, predict the later ones in time order, and compare with the plain ways."""
    began = time.monotonic()
    with plain_errors(), progress_bar() as told:
        shape = load_schema(schema)
        later = None if test is None else read_trips(test, shape)
        known, judged = split_trips(read_trips(file, shape), later)
        found = backtest(known, judged, shape, TrainingPlan(threads=threads, seed=seed), told)
    show_notes(list(found.trained.notes))
    figures = found.to_json()
    if not json:
        figures = {name: value for name, value in figures.items() if name not in ("batch", "time_order")}
    seconds = round(time.monotonic() - began, 1)
    show_result(f"outrider backtest {file.name}", {"seconds": seconds, **figures}, as_json=json, bench="backtest")
