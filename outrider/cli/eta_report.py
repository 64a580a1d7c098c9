"""`outrider eta-report`: how a model does on newer trips, and what has moved since it was trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from models.errors import BadSettings
from outrider.cli.model_output import AsJson, File, Folder, Schema, Tenant, plain_errors, show_result
from pipelines.comparison import compare_on
from pipelines.datasets import read_history
from pipelines.drift import DriftReport, look_for_drift
from pipelines.registry import EVERYBODY, Registry
from pipelines.replay_finishes import Replayed
from pipelines.trip_schemas import load_schema
from pipelines.trips import Trips

__all__ = ["eta_report"]


def eta_report(
    file: File,
    schema: Schema,
    registry: Folder = Path("var/models"),
    model: Annotated[str, typer.Option("--model", help="A model; the one that serves by default.")] = "",
    against: Annotated[str, typer.Option("--against", help="Another model to compare it with on the same trips.")] = "",
    tenant: Tenant = EVERYBODY,
    out: Annotated[Path, typer.Option("--out", help="The page to write; figures go beside it as JSON.")] = Path(
        "eta-report.html"
    ),
    json: AsJson = False,
) -> None:
    """Write a page on how a model does on trips of a file, with plots, and say what has moved."""
    with plain_errors():
        write_report = _writer()
        books = Registry(registry)
        bundle = books.load(model or books.champion(tenant) or books.newest())
        trips = read_history(file, load_schema(schema), tenant)
        report, replayed = look_for_drift(bundle, trips)
        figures = write_report(report, trips, replayed, out)
        compared = compare_on(bundle, books.load(against), trips).to_json() if against else {}
    result = {
        "model": report.model[:12],
        "rows": report.rows,
        "mae_s": report.scores.mae_s,
        "coverage_80": report.scores.coverage_80,
        **compared,
        "alerts": list(report.alerts),
        "page": str(out),
        "figures": str(figures),
    }
    show_result("outrider eta-report", result, as_json=json, bench="eta-report")


def _writer() -> Callable[[DriftReport, Trips, Replayed, Path], Path]:
    try:
        from pipelines.report import write_report  # here: its plots come with an extra
    except ImportError as fault:
        raise BadSettings("a report draws with matplotlib: install outrider[ml]") from fault
    return write_report
