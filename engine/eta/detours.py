"""Whom a street concerns that is closed, or open again: their legs are predicted anew at once, a share each moment.

Pure. Nobody keeps the streets of a way, but how long it is: one of so many metres leads through a closure only if the
crow's way from its begin to the closure and on to its end is no longer. Once a closure is gone a way through it may be
quicker and yet longer than the detour, so that more are asked; what is missed is predicted with the others, minutes
later.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.eta.bases import PROFILES, Ends
from engine.roads.barriers import Barrier, holding, holding_up
from models.geo import distances_m

__all__ = ["Change", "Detours", "concerned"]

_LEGS_A_MOMENT = 2000  # legs predicted anew for this in a second: some 0.2 s on roads
_ASIDE_M = 200.0  # from a door to its street, at both ends
_LONGER = 1.5  # a quicker way may be so much longer


class Change(NamedTuple):
    """What has been closed and opened since the last look."""

    closed: tuple[Barrier, ...]
    opened: tuple[Barrier, ...]


class Detours:
    """Follows which closures hold, and who waits for being estimated anew."""

    def __init__(self) -> None:
        self._held: dict[int, frozenset[Barrier]] = {}
        self._waiting: dict[int, int] = {}

    def changes(self, closures: Mapping[int, tuple[Barrier, ...]], at_s: float) -> dict[int, Change]:
        """Return what is another since the last time, by tenant; closures begin and end by the clock, too."""
        if not closures and not self._held:
            return {}
        held = {tenant: frozenset(holding(barriers, at_s, at_s)) for tenant, barriers in closures.items()}
        before, self._held = self._held, {tenant: barriers for tenant, barriers in held.items() if barriers}
        none: frozenset[Barrier] = frozenset()
        pairs = {one: (before.get(one, none), self._held.get(one, none)) for one in before | self._held}
        return {
            tenant: Change(tuple(now - then), tuple(then - now)) for tenant, (then, now) in pairs.items() if now != then
        }

    def wait(self, drivers: Iterable[int], legs: Iterable[int]) -> None:
        """Let drivers with so many legs each wait for their turn."""
        self._waiting.update(zip(drivers, legs, strict=True))

    def turn(self) -> list[int]:
        """Return the drivers whose turn it is: as many as a moment has time for, and one at least."""
        left, chosen = _LEGS_A_MOMENT, list[int]()
        for driver, legs in self._waiting.items():
            left -= legs
            if left < 0 and chosen:
                break
            chosen.append(driver)
        for driver in chosen:
            del self._waiting[driver]
        return chosen


def concerned(ends: Ends, metres: NDArray[np.float64], change: Change) -> NDArray[np.bool_]:
    """Tell which of N ways may lead through what was closed, or through what is open again.

    Parameters
    ----------
    ends
        Of the ways.
    metres
        How long they are so far.
    """
    found = np.zeros(len(metres), np.bool_)
    for barriers, longest_m in ((change.closed, metres), (change.opened, _LONGER * metres)):
        for number, profile in enumerate(PROFILES):
            mine = ends.profile == number
            for barrier in holding_up(barriers, profile) if mine.any() else ():
                found |= mine & (_around_m(ends, barrier) <= longest_m + _ASIDE_M)
    return found


def _around_m(ends: Ends, barrier: Barrier) -> NDArray[np.float64]:
    """Return the least length of ways through a barrier: the crow's, to a circle around it."""
    points = np.array(barrier.points)
    lat, lon = (points.min(axis=0) + points.max(axis=0)) / 2
    far_m = distances_m(points[:, 0], points[:, 1], lat, lon).max() + barrier.half_width_m
    there = distances_m(ends.from_lat, ends.from_lon, lat, lon)
    back = distances_m(ends.to_lat, ends.to_lon, lat, lon)
    return np.asarray(np.maximum(there - far_m, 0.0) + np.maximum(back - far_m, 0.0))
