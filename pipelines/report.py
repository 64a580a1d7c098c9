"""The report of a model as one HTML page with its plots inside, and as JSON."""

import base64
import html
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.eta.calibration import HOUR_BANDS
from pipelines.drift import DriftReport
from pipelines.replay_finishes import Replayed
from pipelines.trips import Trips

__all__ = ["write_report"]

_INK, _GRID, _ACCENT, _SOFT = "#1f2933", "#d5dbe1", "#2166ac", "#f4a582"
_SIZE = (7.2, 3.0)
_MOST_FEATURES = 12

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>ETA report {model}</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;color:#1f2933;max-width:60rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse;margin:1rem 0}}td,th{{padding:.25rem .8rem;border-bottom:1px solid
#d5dbe1;text-align:right}}
td:first-child,th:first-child{{text-align:left}}img{{max-width:100%}}.alert{{color:#b2182b}}</style> <h1>ETA
report</h1><p>Model {model}, {rows:,} trips.</p>{body}</html>
"""


def write_report(report: DriftReport, trips: Trips, replayed: Replayed, page: Path) -> Path:
    """Write the page, and the figures as JSON beside it, and return the path of the latter."""
    parts = [
        _alerts(report),
        "<h2>Error and range</h2>",
        _table(
            ("", "mean error s", "median error %", "within P10–P90 %", "width s", "earlier %", "later %"),
            [_row("in time order", report.scores), _row("the bundle alone", report.frozen)],
        ),
        _picture("By day", lambda figure: _plot_days(figure, report)),
        _picture("Predicted and actual", lambda figure: _plot_pairs(figure, trips, replayed)),
        _picture("Coverage by segment", lambda figure: _plot_segments(figure, report)),
        _picture("Calibration: share of outcomes below each level", lambda figure: _plot_levels(figure, report)),
        _picture("What moves the predictions, mean minutes", lambda figure: _plot_factors(figure, report)),
        "<h2>What has moved since training</h2>",
        _table(
            ("feature", "stability index"),
            [(name, f"{index:.3f}") for name, index in list(report.features.items())[:_MOST_FEATURES]],
        ),
    ]
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(_PAGE.format(model=html.escape(report.model[:12]), rows=report.rows, body="\n".join(parts)))
    beside = page.with_suffix(".json")
    beside.write_text(json.dumps(report.to_json(), indent=1) + "\n")
    return beside


def _alerts(report: DriftReport) -> str:
    if not report.alerts:
        return "<p>Nothing has moved beyond its limits.</p>"
    return "<ul>" + "".join(f'<li class="alert">{html.escape(alert)}</li>' for alert in report.alerts) + "</ul>"


def _row(name: str, scores: Any) -> tuple[str, ...]:
    figures = (scores.mae_s, scores.median_ape, scores.coverage_80, scores.mean_width_s, scores.below, scores.above)
    return (name, *(f"{figure:,.1f}" for figure in figures))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    lines = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows)
    return f"<table><tr>{cells}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _picture(title: str, draw: Callable[[Figure], None]) -> str:
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "text.color": _INK}):
        figure = Figure(figsize=_SIZE, layout="constrained")
        draw(figure)
        sink = io.BytesIO()
        figure.savefig(sink, format="png", dpi=150)
    picture = base64.b64encode(sink.getvalue()).decode()
    return f'<h2>{html.escape(title)}</h2><img alt="{html.escape(title)}" src="data:image/png;base64,{picture}">'


def _plot_days(figure: Figure, report: DriftReport) -> None:
    errors, coverage = figure.subplots(1, 2)
    names = [day["day"][5:] for day in report.days]
    for axes, key, label in ((errors, "mae_s", "mean error, s"), (coverage, "coverage", "within P10–P90, %")):
        axes.plot(range(len(names)), [day[key] for day in report.days], marker="o", ms=3, color=_ACCENT)
        step = max(1, len(names) // 6)
        axes.set_xticks(range(0, len(names), step), names[::step])
        axes.set_ylabel(label)
        axes.grid(color=_GRID)
    coverage.axhspan(75, 85, color=_SOFT, alpha=0.3)


def _plot_pairs(figure: Figure, trips: Trips, replayed: Replayed) -> None:
    axes = figure.subplots()
    actual, predicted = trips.legs["duration_s"] / 60, replayed.running_s[:, 1] / 60
    limit = float(np.quantile(actual, 0.98))
    axes.hexbin(actual, predicted, gridsize=45, extent=(0, limit, 0, limit), cmap="Blues", mincnt=1)
    axes.plot([0, limit], [0, limit], color=_INK, lw=0.8)
    axes.set_xlabel("actual, min")
    axes.set_ylabel("P50, min")


def _plot_segments(figure: Figure, report: DriftReport) -> None:
    axes = figure.subplots()
    names = [*(name for name in HOUR_BANDS if name in report.scores.segments)]
    names += [name for name in report.scores.segments if name not in names]
    axes.bar(range(len(names)), [report.scores.segments[name][1] for name in names], color=_ACCENT)
    axes.axhline(80, color=_INK, lw=0.8)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylim(60, 100)


def _plot_levels(figure: Figure, report: DriftReport) -> None:
    axes = figure.subplots()
    wanted: NDArray[np.float64] = np.array([10.0, 50.0, 90.0])
    axes.plot([0, 100], [0, 100], color=_GRID)
    axes.plot(wanted, list(report.levels.values()), marker="o", color=_ACCENT)
    axes.set_xlabel("promised, %")
    axes.set_ylabel("came true, %")


def _plot_factors(figure: Figure, report: DriftReport) -> None:
    axes = figure.subplots()
    factors = sorted(report.factors_min.items(), key=lambda each: each[1])
    axes.barh([name for name, _ in factors], [minutes for _, minutes in factors], color=_ACCENT)
