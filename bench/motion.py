"""Motion and noise rules against real traces: what a label or the neighbours in time say, beside Traccar's rule.

Two kinds of file, told apart by their columns.

**Stops** (`label` = Driving or OnFoot, delivery rounds). A true stop is a run of OnFoot fixes, from its first to the
first Driving fix after it. A found stop matches a true one when they share at least half of the time that either
covers; F1 counts matches, one to one, so that a rule which calls everything one long stop gains nothing. The error is
the mean distance of a matched stop's two ends from the labels', ends cut off by the trace left out. Thresholds are
chosen on the even traces and every figure is of the odd ones.

**Filter** (`accuracy_m`, phones). There is no surveyed truth, so a fix is called bad when it lies far from where its
neighbours put it: on the straight way, by time, between the nearest fixes before and after, within two minutes, that
claim 30 m or better. Far is 100 m, and a quarter of the way between the two for bends. Fixes without such neighbours
are not judged. The plain alternative filters by its own default, no filter at all, and so has no figure here.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from engine.motion.late import derive
from engine.motion.profiles import DEFAULT, PARCEL, MotionProfile
from models.errors import InvalidInput
from models.geo import distances_m
from models.messages.fixes import DEGREE, STORED, UNKNOWN_BATTERY, UNKNOWN_SEQUENCE, Outcome

__all__ = ["run", "traccar_stops"]

EPOCH_MS = 1_600_000_000_000  # the couriers' clocks start at 0, which the rules take for "no fix yet"
MATCH_SHARE = 0.5
RADII_M = (10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 60.0, 80.0)
QUIETS_S = (10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0)
TRACCAR_DISTANCE_M, TRACCAR_DURATION_S = 200.0, 180.0

GOOD_ACCURACY_M = 30.0
NEIGHBOUR_S = 120.0
FAR_M = 100.0
BEND_SHARE = 0.25

Stops = list[tuple[int, int]]
"""Stops of one trace as (arrival, departure), epoch ms."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The fixes of one vehicle in order of time."""

    fixes: NDArray[np.void]
    labels: NDArray[np.object_] | None
    accuracy_m: NDArray[np.float32]

    @property
    def end_ms(self) -> int:
        """Return the time of the last fix."""
        return int(self.fixes["time"][-1])


@dataclass(frozen=True, slots=True)
class StopScore:
    """How well found stops meet true ones."""

    precision: float
    recall: float
    f1: float
    error_s: float


def run(file: Path, *, console: Console | None = None) -> dict[str, Any]:
    """Measure the rules on one file of traces and return the figures of BENCH.md, None where the file has no truth.

    Raises
    ------
    InvalidInput
        If the file has neither labels nor accuracies.
    """
    out = console or Console(stderr=True)
    traces = _read(file)
    figures: dict[str, Any] = dict.fromkeys(
        ("stop_f1", "stop_error_s", "filter_precision", "filter_recall", "plain_stop_f1")
    )
    figures |= {"file": file.name, "traces": len(traces), "fixes": sum(trace.fixes.size for trace in traces)}
    if traces[0].labels is not None:
        figures |= _measure_stops(traces, out)
    elif any(np.isfinite(trace.accuracy_m).any() for trace in traces):
        figures |= _measure_filter(traces, out)
    else:
        raise InvalidInput(f"{file.name} has neither labels nor accuracies to measure against")
    return figures


def _read(file: Path) -> list[Trace]:
    table = pq.read_table(file)
    vehicles = np.asarray(table["vehicle"].to_pylist())
    columns = {name: np.asarray(table[name].to_numpy(zero_copy_only=False)) for name in table.column_names}
    return [_trace(columns, np.flatnonzero(vehicles == vehicle)) for vehicle in np.unique(vehicles)]


def _trace(columns: dict[str, NDArray[Any]], rows: NDArray[np.intp]) -> Trace:
    rows = rows[np.argsort(columns["time_ms"][rows], kind="stable")]
    fixes = np.zeros(rows.size, STORED)
    fixes["time"] = columns["time_ms"][rows] + (EPOCH_MS if columns["time_ms"].min() < EPOCH_MS / 2 else 0)
    fixes["lat"], fixes["lon"] = (np.rint(columns[name][rows] * DEGREE) for name in ("lat", "lon"))
    fixes["accuracy"] = columns["accuracy_m"][rows].astype(np.float32)
    fixes["speed"] = fixes["heading"] = fixes["altitude"] = np.nan
    fixes["seq"], fixes["battery"], fixes["driver"] = UNKNOWN_SEQUENCE, UNKNOWN_BATTERY, 1
    fixes["position"] = np.arange(1, rows.size + 1)
    return Trace(fixes, columns["label"][rows] if "label" in columns else None, fixes["accuracy"])


def _measure_stops(traces: Sequence[Trace], out: Console) -> dict[str, Any]:
    tuning, held_out = traces[::2], traces[1::2]
    grid = list(itertools.product(RADII_M, QUIETS_S))
    ours = _best(tuning, grid, _our_stops, out, "tuning the parcel profile")
    theirs = _best(tuning, grid, traccar_stops, out, "tuning the plain rule")
    rows = {
        f"ours, tuned: {ours[0]:g} m, {ours[1]:g} s": _score(held_out, _our_stops, *ours),
        f"ours, parcel: {PARCEL.radius_m:g} m, {PARCEL.quiet_s:g} s": _score(
            held_out, _our_stops, PARCEL.radius_m, PARCEL.quiet_s
        ),
        f"ours, default: {DEFAULT.radius_m:g} m, {DEFAULT.quiet_s:g} s": _score(
            held_out, _our_stops, DEFAULT.radius_m, DEFAULT.quiet_s
        ),
        "Traccar's rule and thresholds": _score(held_out, traccar_stops, TRACCAR_DISTANCE_M, TRACCAR_DURATION_S),
        f"Traccar's rule, tuned: {theirs[0]:g} m, {theirs[1]:g} s": _score(held_out, traccar_stops, *theirs),
    }
    table = Table("stops, odd traces", "precision", "recall", "F1", "error s")
    for name, score in rows.items():
        table.add_row(
            name, *(f"{value:.3f}" for value in (score.precision, score.recall, score.f1)), f"{score.error_s:.1f}"
        )
    out.print(table)
    tuned, parcel, default, plain, plain_tuned = rows.values()
    return {
        "stop_f1": round(tuned.f1, 4),
        "stop_error_s": round(tuned.error_s, 2),
        "plain_stop_f1": round(plain.f1, 4),
        "plain_stop_error_s": round(plain.error_s, 2),
        "plain_tuned_stop_f1": round(plain_tuned.f1, 4),
        "plain_tuned_stop_error_s": round(plain_tuned.error_s, 2),
        "parcel_stop_f1": round(parcel.f1, 4),
        "default_stop_f1": round(default.f1, 4),
        "radius_m": ours[0],
        "quiet_s": ours[1],
    }


Rule = Callable[[Trace, float, float], Stops]


def _best(
    traces: Sequence[Trace], grid: Sequence[tuple[float, float]], rule: Rule, out: Console, task: str
) -> tuple[float, float]:
    scores = [_score(traces, rule, *choice).f1 for choice in track(grid, task, console=out, transient=True)]
    return grid[int(np.argmax(scores))]


def _score(traces: Sequence[Trace], rule: Rule, radius_m: float, quiet_s: float) -> StopScore:
    matched, found_n, true_n = 0, 0, 0
    errors: list[float] = []
    for trace in traces:
        found, true = rule(trace, radius_m, quiet_s), _true_stops(trace)
        found_n, true_n = found_n + len(found), true_n + len(true)
        for ours, theirs in _matches(found, true):
            matched += 1
            errors += _end_errors(trace, ours, theirs)
    precision, recall = matched / max(1, found_n), matched / max(1, true_n)
    f1 = 2 * precision * recall / max(1e-9, precision + recall)
    return StopScore(precision, recall, f1, float(np.mean(errors)) if errors else float("nan"))


def _true_stops(trace: Trace) -> Stops:
    if trace.labels is None:
        return []
    times = trace.fixes["time"].tolist()
    stops: Stops = []
    at = 0
    for label, group in itertools.groupby(trace.labels.tolist()):
        start, at = at, at + len(list(group))
        if label == "OnFoot":
            stops.append((times[start], times[min(at, len(times) - 1)]))
    return stops


def _matches(found: Stops, true: Stops) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield pairs that share at least half of their union: no stop can be in two such pairs."""
    for ours, theirs in itertools.product(found, true):
        shared = min(ours[1], theirs[1]) - max(ours[0], theirs[0])
        union = max(ours[1], theirs[1]) - min(ours[0], theirs[0])
        if union > 0 and shared > MATCH_SHARE * union:
            yield ours, theirs


def _end_errors(trace: Trace, ours: tuple[int, int], theirs: tuple[int, int]) -> list[float]:
    edges = (int(trace.fixes["time"][0]), trace.end_ms)
    return [abs(a - b) / 1000 for a, b in zip(ours, theirs, strict=True) if b not in edges]


def _our_stops(trace: Trace, radius_m: float, quiet_s: float) -> Stops:
    profile: MotionProfile = replace(PARCEL, radius_m=radius_m, quiet_s=quiet_s)
    visits = derive(trace.fixes, profile).visits
    return [(int(visit["arrival"]), int(visit["departure"]) or trace.end_ms) for visit in visits]


def traccar_stops(trace: Trace, distance_m: float, duration_s: float) -> Stops:
    """Return stops by the rule that Traccar applies to live positions, written anew from its description.

    Moving turns to stopped when no fix of the last `duration_s` is `distance_m` or more from the present one, and the
    stop begins with the first of them. Stopped turns to moving `distance_m` from there; the start is walked back while
    the legs are faster than `distance_m` / `duration_s`.
    """
    times = trace.fixes["time"] / 1000.0
    lat, lon = trace.fixes["lat"] / DEGREE, trace.fixes["lon"] / DEGREE
    leg_mps = distances_m(lat[1:], lon[1:], lat[:-1], lon[:-1]) / np.maximum(1e-3, np.diff(times))
    stops: Stops = []
    anchor = 0  # of the stop that the driver is in, -1 while moving; a trace begins standing
    since = 0  # fixes before it belong to the stop before
    for index in range(times.size):
        if anchor >= 0:
            if float(distances_m(lat[anchor], lon[anchor], lat[index], lon[index])) < distance_m:
                continue
            start = index
            while start > anchor and leg_mps[start - 1] > distance_m / duration_s:
                start -= 1
            stops.append((anchor, start))
            anchor, since = -1, index
            continue
        first = max(since, int(np.searchsorted(times, times[index] - duration_s)))
        if times[index] - times[since] < duration_s:
            continue
        if (distances_m(lat[first:index], lon[first:index], lat[index], lon[index]) < distance_m).all():
            anchor = first
    if anchor >= 0:
        stops.append((anchor, times.size - 1))
    milliseconds = trace.fixes["time"].tolist()
    return [(milliseconds[start], milliseconds[end]) for start, end in stops if end > start]


def _measure_filter(traces: Sequence[Trace], out: Console) -> dict[str, Any]:
    counts = np.zeros(4, int)  # good kept, good filtered, bad kept, bad filtered
    for trace in track(traces, "filtering", console=out, transient=True):
        derived = derive(trace.fixes, DEFAULT)
        bad, judged = _bad_fixes(derived.fixes)
        filtered = derived.outcomes == Outcome.FILTERED
        counts += np.bincount(2 * bad[judged] + filtered[judged], minlength=4)
    good_kept, good_filtered, bad_kept, bad_filtered = counts.tolist()
    figures = {
        "filter_precision": round(bad_filtered / max(1, bad_filtered + good_filtered), 4),
        "filter_recall": round(bad_filtered / max(1, bad_filtered + bad_kept), 4),
        "judged": int(counts.sum()),
        "bad": bad_kept + bad_filtered,
        "filtered": good_filtered + bad_filtered,
    }
    table = Table("judged fixes", "kept", "filtered")
    table.add_row("good", str(good_kept), str(good_filtered))
    table.add_row("bad", str(bad_kept), str(bad_filtered))
    out.print(table)
    return figures


def _bad_fixes(fixes: NDArray[np.void]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which fixes lie far from where their good neighbours put them, and which could be judged."""
    times = fixes["time"] / 1000.0
    lat, lon = fixes["lat"] / DEGREE, fixes["lon"] / DEGREE
    good = np.flatnonzero(fixes["accuracy"] <= GOOD_ACCURACY_M)
    place = np.searchsorted(times[good], times, side="left")
    before_at, after_at = place - 1, place + np.isin(np.arange(times.size), good)
    judged = (before_at >= 0) & (after_at < good.size)
    before = good[np.clip(before_at, 0, good.size - 1)]
    after = good[np.clip(after_at, 0, good.size - 1)]
    judged &= (times - times[before] <= NEIGHBOUR_S) & (times[after] - times <= NEIGHBOUR_S)
    share = (times - times[before]) / np.maximum(1e-3, times[after] - times[before])
    way_lat, way_lon = (
        lat[before] + share * (lat[after] - lat[before]),
        lon[before] + share * (lon[after] - lon[before]),
    )
    way_m = distances_m(lat[before], lon[before], lat[after], lon[after])
    return distances_m(lat, lon, way_lat, way_lon) > FAR_M + BEND_SHARE * way_m, judged
