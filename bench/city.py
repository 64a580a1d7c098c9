"""The engine against a simulated city, where the truth is known: arrivals and stops from what the phones sent.

An arrival counts as found when the engine reported it at the right delivery within two minutes of the truth; what it
reported elsewhere is false. The plain alternative calls a van arrived with its first fix inside the radius.
The days before those that are judged train a model, which a shard then serves on the judged ones (`bench.city_etas`).
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import progress

from bench.city_etas import LEAST_LEGS, measure_etas
from bench.report import console, heading
from engine.eta.bases import RoadBases
from engine.motion.late import derive
from engine.motion.profiles import PARCEL
from engine.roads.network import RoadNetwork
from models.documents.delivery import STOP_RADIUS_M
from models.geo import distances_m
from models.messages.fixes import DEGREE, STORED
from pipelines.fleet.gps import Track
from pipelines.fleet.on_roads import porto
from pipelines.fleet.seen_legs import SeenLeg, seen_legs, watch
from pipelines.fleet.simulate import Fleet, Leg, simulate_days, working_days

__all__ = ["ArrivalScore", "measure_city", "plain_arrivals", "score_arrivals", "score_stops"]

_CLOSE_MS = 120_000

Arrivals = Mapping[int, int]
"""Leg → epoch ms of arrival."""


@dataclass(slots=True)
class ArrivalScore:
    """Counts over many van days."""

    right: int = 0
    false: int = 0
    missed: int = 0
    errors_s: list[float] | None = None

    def add(self, found: Arrivals, legs: Sequence[Leg]) -> None:
        """Count one van's day."""
        self.errors_s = self.errors_s or []
        for number, leg in enumerate(legs):
            at = found.get(number)
            if at is None:
                self.missed += 1
            elif abs(at - leg.arrived_ms) <= _CLOSE_MS:
                self.right += 1
                self.errors_s.append(abs(at - leg.arrived_ms) / 1000)
            else:
                self.false += 1
                self.missed += 1

    @property
    def f1(self) -> float:
        """Return the harmonic mean of precision and recall."""
        return 2 * self.right / max(1, 2 * self.right + self.false + self.missed)

    @property
    def median_error_s(self) -> float:
        """Return the median distance in time of what was found."""
        return float(np.median(self.errors_s)) if self.errors_s else float("nan")


def plain_arrivals(legs: Sequence[Leg], track: Track) -> Arrivals:
    """Return the first fix inside the radius of each stop."""
    order = np.argsort(track.fixes["time"], kind="stable")
    fixes = track.fixes[order]
    lat, lon = fixes["lat"] / DEGREE, fixes["lon"] / DEGREE
    found: dict[int, int] = {}
    for number, leg in enumerate(legs):
        inside = np.flatnonzero(distances_m(lat, lon, leg.lat, leg.lon) <= STOP_RADIUS_M)
        if inside.size:
            found[number] = int(fixes["time"][inside[0]])
    return found


def score_stops(legs: Sequence[Leg], track: Track) -> tuple[int, int, int]:
    """Return matched, found and true stops of one van's day; they match when they share half of what either covers."""
    stored: NDArray[np.void] = np.zeros(len(track.fixes), STORED)
    for name in track.fixes.dtype.names or ():
        stored[name] = track.fixes[name]
    stored["driver"], stored["position"] = 1, np.arange(1, len(stored) + 1)
    stored = stored[np.argsort(stored["time"], kind="stable")]
    end_ms = int(stored["time"][-1])
    found = [(int(visit["arrival"]), int(visit["departure"]) or end_ms) for visit in derive(stored, PARCEL).visits]
    true = [(leg.arrived_ms, leg.served_ms) for leg in legs]
    return sum(1 for _ in _matched(found, true)), len(found), len(true)


def _matched(found: Sequence[tuple[int, int]], true: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    begins, ends = (np.array([stop[edge] for stop in found], np.int64) for edge in (0, 1))
    matched = []
    for arrived, left in true:
        shared = np.minimum(ends, left) - np.maximum(begins, arrived)
        union = np.maximum(ends, left) - np.minimum(begins, arrived)
        matched += np.flatnonzero(2 * shared > union).tolist()
    return np.unique(np.array(matched, np.int64))


def score_arrivals(days: Iterable[tuple[Sequence[Leg], Track]]) -> tuple[ArrivalScore, ArrivalScore]:
    """Return how well the engine and the plain rule find the arrivals of van days."""
    ours, plain = ArrivalScore(), ArrivalScore()
    for legs, track in days:
        ours.add(watch(legs, track).arrivals, legs)
        plain.add(plain_arrivals(legs, track), legs)
    return ours, plain


def measure_city(network: Path, *, days: int, vans: int, gps_days: int, seed: int) -> dict[str, Any]:
    """Simulate a fleet on a road network and return the figures of `outrider bench city`."""
    began = time.perf_counter()
    roads = RoadNetwork.load(network)
    city = porto(roads, np.random.default_rng(seed))
    judged = frozenset(working_days(Fleet(days=days))[-gps_days:])
    fleet = Fleet(vans=vans, days=days, gps_days=frozenset(range(days)))
    history: list[SeenLeg] = []
    replayed: list[tuple[Sequence[Leg], Mapping[int, Track]]] = []
    van_days: list[tuple[Sequence[Leg], Track]] = []
    for day in progress.track(
        simulate_days(np.random.default_rng(seed), city, fleet),
        "simulating",
        total=days,
        console=console,
        transient=True,
    ):
        if day.number not in judged:
            history += seen_legs(day)
            continue
        replayed.append((day.legs, day.tracks))
        van_days += [([leg for leg in day.legs if leg.van == van], made) for van, made in day.tracks.items()]
    simulate_s = time.perf_counter() - began
    ours, plain = score_arrivals(progress.track(van_days, "arrivals", console=console, transient=True))
    matched, found, true = np.sum([score_stops(*van_day) for van_day in van_days], axis=0).tolist()
    base = RoadBases(roads)
    etas = measure_etas(history, replayed, base, vans, str(city.zone)) if len(history) >= LEAST_LEGS else {}
    return heading("city", seconds=time.perf_counter() - began, repeats=1) | {
        "legs": len(history) + sum(len(legs) for legs, _ in replayed),
        "fixes": sum(len(made.fixes) for _, made in van_days),
        "simulate_s": round(simulate_s, 1),
        "arrivals": ours.right + ours.missed,
        "arrival_f1": round(ours.f1, 4),
        "arrival_error_s": round(ours.median_error_s, 1),
        "plain_arrival_f1": round(plain.f1, 4),
        "plain_arrival_error_s": round(plain.median_error_s, 1),
        "stop_f1": round(2 * matched / max(1, found + true), 4),
        **etas,
    }
