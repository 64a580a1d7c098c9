"""A day's orders, and the rounds in which the vans take them: who brings what, and in which order."""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from models.geo import distances_m
from pipelines.fleet.doorsteps import Doorsteps

__all__ = ["Orders", "draw_orders", "order_stops", "share_out"]

_compiled: Any = numba.njit(cache=True, nogil=True)
_WITH_WINDOW = 0.2
_PRIORITIES = (0.8, 0.15, 0.05)


@dataclass(frozen=True, slots=True)
class Orders:
    """N orders of one day."""

    address: NDArray[np.int64]
    """Number among the doorsteps."""
    weight_kg: NDArray[np.float64]
    priority: NDArray[np.int8]
    """0 normal, 1 high, 2 urgent."""
    has_window: NDArray[np.bool_]
    """Whether the customer was promised a window."""


def draw_orders(rng: np.random.Generator, doorsteps: Doorsteps, count: int) -> Orders:
    """Draw the orders of a day: popular addresses come often, but once a day at most."""
    return Orders(
        address=rng.choice(len(doorsteps.latitude), count, replace=False, p=doorsteps.weight),
        weight_kg=np.round(np.minimum(rng.lognormal(1.0, 0.9, count), 60.0), 1),
        priority=rng.choice(3, count, p=_PRIORITIES).astype(np.int8),
        has_window=rng.random(count) < _WITH_WINDOW,
    )


def share_out(latitude: NDArray[np.float64], longitude: NDArray[np.float64], vans: int) -> list[NDArray[np.int64]]:
    """Return which of N places each van visits: halves of halves, so that every van has a quarter of its own.

    Places are cut along the longer side until there is one piece a van, sizes in proportion to the vans that remain.
    """
    pieces: list[NDArray[np.int64]] = []
    _cut(latitude, longitude * np.cos(np.radians(latitude.mean())), np.arange(len(latitude)), vans, pieces)
    return pieces


def _cut(
    north: NDArray[np.float64],
    east: NDArray[np.float64],
    places: NDArray[np.int64],
    vans: int,
    into: list[NDArray[np.int64]],
) -> None:
    if vans == 1:
        into.append(places)
        return
    side = north if np.ptp(north[places]) > np.ptp(east[places]) else east
    ranked = places[np.argsort(side[places], kind="stable")]
    half = vans // 2
    at = round(len(ranked) * half / vans)
    _cut(north, east, ranked[:at], half, into)
    _cut(north, east, ranked[at:], vans - half, into)


def order_stops(
    latitude: NDArray[np.float64], longitude: NDArray[np.float64], depot: tuple[float, float]
) -> NDArray[np.int64]:
    """Return N places in the order of a short round from the depot and back: nearest first, then 2-opt."""
    lats, lons = np.append(latitude, depot[0]), np.append(longitude, depot[1])
    away = distances_m(lats[:, None], lons[:, None], lats[None, :], lons[None, :])
    tour: NDArray[np.int64] = _short_round(away)
    return tour


@_compiled
def _short_round(away: NDArray[np.float64]) -> NDArray[np.int64]:
    count = away.shape[0] - 1
    tour = np.empty(count + 2, np.int64)
    tour[0] = tour[count + 1] = count
    left = np.ones(count, np.bool_)
    for place in range(1, count + 1):
        nearest, best = -1, np.inf
        for stop in range(count):
            if left[stop] and away[tour[place - 1], stop] < best:
                nearest, best = stop, away[tour[place - 1], stop]
        tour[place] = nearest
        left[nearest] = False
    improved = True
    while improved:
        improved = False
        for i in range(1, count):
            for j in range(i + 1, count + 1):
                gain = away[tour[i - 1], tour[i]] + away[tour[j], tour[j + 1]]
                gain -= away[tour[i - 1], tour[j]] + away[tour[i], tour[j + 1]]
                if gain > 1e-6:
                    tour[i : j + 1] = tour[i : j + 1][::-1].copy()
                    improved = True
    return tour[1 : count + 1]
