"""How right a shard's estimates are in the simulated city, beside what plain means say at the same moments.

The model comes from the pipeline, trained on the legs of the days before; the days after are replayed through a shard
(`bench.city_replay`). An estimate counts at the moment at which the shard saw the van set off, and is held against the
simulation's own arrival. Great circle ÷ mean speed and free-flow time × one factor have their constants from the same
legs as the model, and the same fix to go by: the road engine is asked from where the phone saw the van.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import progress

from bench.city_replay import TENANT, CityReplay, Said, delivery_of, driver_of
from bench.report import console
from engine.eta.bases import BaseTimes
from engine.eta.bundles import BundlePredictor
from models.eta.bundle import Bundle
from models.eta.history import driver_alias
from models.geo import distances_m
from pipelines.fleet.gps import Track
from pipelines.fleet.past_legs import past_legs
from pipelines.fleet.seen_legs import SeenLeg
from pipelines.fleet.simulate import Leg
from pipelines.training import TrainingPlan, train_bundle
from pipelines.trip_schemas import load_schema
from pipelines.trips import Trips

__all__ = ["LEAST_LEGS", "Departures", "departures_of", "eta_figures", "measure_etas", "past_of", "train_city"]

LEAST_LEGS = 500
"""Legs of the days before that a training needs."""

_LEAST_S = 30.0  # shorter ways are walks to the next door
_LEAST_ROWS = 500
_MEANT, _BAND = 0.8, 0.05
_HOUR_MS = 3_600_000
_ZONE_DEG = 0.04  # about 4 km


def past_of(legs: Sequence[SeenLeg], zone: str, base: BaseTimes) -> Trips:
    """Return legs as what the fleet drove in the past, with base times as a shard puts them down."""
    return past_legs(legs, zone, TENANT, lambda van: driver_alias(TENANT, driver_of(van)), base)


def train_city(trips: Trips) -> Bundle:
    """Return a bundle that the pipeline trained on the past."""
    with progress.Progress(console=console, transient=True) as bar:
        task = bar.add_task("training")

        def told(what: str, done: int, of: int) -> None:
            bar.update(task, description=f"training: {what}", completed=done, total=of)

        return train_bundle(trips, load_schema("legs"), TrainingPlan.for_rows(len(trips)), told).bundle


@dataclass(frozen=True, slots=True)
class Departures:
    """N departures: what was said then, and what came of it."""

    said_s: NDArray[np.float64]
    """P10, P50 and P90 of the shard, N × 3."""
    actual_s: NDArray[np.float64]
    """From that moment to the simulation's arrival."""
    circle_m: NDArray[np.float64]
    base_s: NDArray[np.float64]
    """Of the road engine at that moment, from where the shard saw the van."""
    hour: NDArray[np.int64]
    stop: NDArray[np.int64]
    zone: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.actual_s)


def departures_of(said: Said, legs: Sequence[Leg]) -> Departures:
    """Return the departures that the shard saw, with the truth of their legs."""
    by_delivery = {delivery_of(leg): leg for leg in legs}
    rows = []
    for delivery, finish in said.finishes.items():
        leg = by_delivery[delivery]
        began_ms = finish.finished_ms - round(finish.actual_s * 1000)
        actual_s = (leg.arrived_ms - began_ms) / 1000
        if actual_s >= _LEAST_S:
            rows.append((leg, began_ms, actual_s, finish.said[0].said_s, finish.base_s))
    legs_seen = [row[0] for row in rows]
    place = {
        name: np.array([getattr(leg, name) for leg in legs_seen]) for name in ("origin_lat", "origin_lon", "lat", "lon")
    }
    return Departures(
        said_s=np.array([row[3] for row in rows]).reshape(-1, 3),
        actual_s=np.array([row[2] for row in rows]),
        circle_m=distances_m(place["origin_lat"], place["origin_lon"], place["lat"], place["lon"]),
        base_s=np.array([row[4] for row in rows]),
        hour=np.array([row[1] // _HOUR_MS % 24 for row in rows]),
        stop=np.array([leg.stop for leg in legs_seen]),
        zone=np.floor(place["lat"] / _ZONE_DEG).astype(np.int64) * 10_000
        + np.floor(place["lon"] / _ZONE_DEG).astype(np.int64),
    )


def eta_figures(found: Departures, past: Trips) -> dict[str, Any]:
    """Return errors beside those of plain means, and how often arrivals lay in the range.

    Parameters
    ----------
    found
        Departures of the days that were replayed.
    past
        Legs that the plain means may learn their constants from.
    """
    speed_mps, factor = plain_constants(past)
    low, middle, high = found.said_s.T
    error_s = {
        "eta": np.abs(middle - found.actual_s),
        "great_circle": np.abs(found.circle_m / speed_mps - found.actual_s),
        "free_flow": np.abs(found.base_s * factor - found.actual_s),
    }
    mae = {name: float(errors.mean()) for name, errors in error_s.items()}
    inside = (low <= found.actual_s) & (found.actual_s <= high)
    by_part = {name: _coverages(inside, getattr(found, name)) for name in ("hour", "zone", "stop")}
    shares = [share for shares in by_part.values() for share in shares.values()]
    worst: float | None = max(shares, key=_off, default=None)
    return {
        "departures": len(found),
        "eta_mae_s": round(mae["eta"], 1),
        "great_circle_mae_s": round(mae["great_circle"], 1),
        "free_flow_mae_s": round(mae["free_flow"], 1),
        "gain_on_great_circle": round(1 - mae["eta"] / mae["great_circle"], 4),
        "gain_on_free_flow": round(1 - mae["eta"] / mae["free_flow"], 4),
        "coverage_80": round(float(inside.mean()), 4),
        "below": round(float((found.actual_s < low).mean()), 4),
        "above": round(float((found.actual_s > high).mean()), 4),
        "width_s": round(float((high - low).mean()), 1),
        "parts": len(shares),
        "parts_outside": sum(_off(share) > _BAND for share in shares),
        "worst_part": None if worst is None else round(worst, 4),
    }


def plain_constants(past: Trips) -> tuple[float, float]:
    """Return the mean speed over the great circle, m/s, and the factor on free-flow times, that err least on legs."""
    driven = past.take((past.legs["duration_s"] >= _LEAST_S) & (past.legs["base_s"] > 0)).legs
    took_s, base_s = driven["duration_s"], driven["base_s"]
    circle_m = distances_m(*(driven[name] for name in ("from_lat", "from_lon", "to_lat", "to_lon")))
    return float(circle_m.sum() / took_s.sum()), _least_factor(base_s, took_s)


def late_figures(said: Said, legs: Sequence[Leg]) -> dict[str, Any]:
    """Return how good the warnings of lateness were."""
    with_window = {delivery_of(leg): leg for leg in legs if leg.window_ends_ms}
    missed = {delivery for delivery, leg in with_window.items() if leg.arrived_ms > leg.window_ends_ms}
    told = set(said.late) & set(with_window)
    right = told & missed
    leads = [(with_window[delivery].window_ends_ms - said.late[delivery]) / 60_000 for delivery in right]
    return {
        "windows": len(with_window),
        "windows_missed": len(missed),
        "late_risk_told": len(told),
        "late_risk_precision": round(len(right) / len(told), 4) if told else None,
        "late_risk_recall": round(len(right) / len(missed), 4) if missed else None,
        "late_risk_lead_min": round(float(np.median(leads)), 1) if leads else None,
    }


def promise_figures(said: Said) -> dict[str, Any]:
    """Return how the promises held that were made when the routes were dispatched."""
    errors = np.array([outcome["errorS"] for outcome in said.outcomes])
    inside = [not (outcome["early"] or outcome["late"]) for outcome in said.outcomes]
    return {
        "promises": len(errors),
        "promise_mae_min": round(float(np.abs(errors).mean()) / 60, 1) if len(errors) else None,
        "promise_bias_min": round(float(errors.mean()) / 60, 1) if len(errors) else None,
        "promise_coverage_80": round(float(np.mean(inside)), 4) if inside else None,
    }


def measure_etas(
    history: Sequence[SeenLeg],
    days: Sequence[tuple[Sequence[Leg], Mapping[int, Track]]],
    base: BaseTimes,
    vans: int,
    zone: str,
) -> dict[str, Any]:
    """Train on the legs of the days before, replay the days after, and return the figures."""
    past = past_of(history, zone, base)
    bundle = train_city(past)
    replay = CityReplay(BundlePredictor("city", bundle), base, vans, zone)
    with progress.Progress(console=console, transient=True) as bar:
        for number, (legs, tracks) in enumerate(days):
            task = bar.add_task(f"replaying day {number + 1} of {len(days)}", total=1.0)
            for share in replay.drive(legs, tracks):
                bar.update(task, completed=share)
    legs = [leg for day, _ in days for leg in day]
    return (
        eta_figures(departures_of(replay.said, legs), past)
        | promise_figures(replay.said)
        | late_figures(replay.said, legs)
    )


def _coverages(inside: NDArray[np.bool_], part: NDArray[np.int64]) -> dict[int, float]:
    """Return the coverage of each part that has rows enough to tell."""
    values, counts = np.unique(part, return_counts=True)
    return {int(value): float(inside[part == value].mean()) for value in values[counts >= _LEAST_ROWS]}


def _off(share: float) -> float:
    """Return how far a coverage is from what is meant."""
    return abs(share - _MEANT)


def _least_factor(base_s: NDArray[np.float64], took_s: NDArray[np.float64]) -> float:
    """Return the factor with the least mean absolute error: a median weighted by base times."""
    ratio = took_s / base_s
    order = np.argsort(ratio)
    weight = np.cumsum(base_s[order])
    return float(ratio[order][np.searchsorted(weight, weight[-1] / 2)])
