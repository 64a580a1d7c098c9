"""Driving one leg: when a van is where, given the way, the traffic and the driver."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.fleet.traffic import Traffic

__all__ = ["Drive", "Way", "Ways", "drive", "walk"]

_PIECE_S = 90.0  # free-flow time over which traffic counts as the same
_SIGNAL_EVERY_M = 900.0  # a light that is red
_LONGEST_RED_S = 50.0
_PULL_OUT_S = 22.0
_PARK_S = 12.0
_PARK_M = 15.0  # the last metres, at a crawl
_LUCK_SIGMA = 0.05
_WALK_MPS = 1.2


@dataclass(frozen=True, slots=True)
class Way:
    """The fastest way between two places at free flow, as P points."""

    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    seconds: NDArray[np.float64]
    """Free-flow time from the beginning to each point."""
    metres: NDArray[np.float64]
    """Distance from the beginning to each point."""


class Ways(Protocol):
    """Finds ways: a road network."""

    def way(self, origin: tuple[float, float], destination: tuple[float, float]) -> Way:
        """Return the way between two places, latitude and longitude in degrees."""
        ...


@dataclass(frozen=True, slots=True)
class Drive:
    """One leg as it was driven."""

    way: Way
    at_s: NDArray[np.float64]
    """When the van was at each of the way's points, seconds from the first midnight."""

    @property
    def arrival_s(self) -> float:
        """When it stood at the end."""
        return float(self.at_s[-1])


def drive(rng: np.random.Generator, way: Way, departs_s: float, traffic: Traffic, pace: float) -> Drive:
    """Drive a way.

    Parameters
    ----------
    rng
        Chance: lights, pulling out, finding where to park.
    way, departs_s
        Which way, and when the driver closes the door, seconds from the first midnight.
    traffic
        The city that day.
    pace
        How many times the others' time this driver takes.
    """
    kerb_m = max(0.0, float(way.metres[-1]) - _PARK_M)
    way = _with_point(way, kerb_m)
    points = len(way.seconds)
    at_s: NDArray[np.float64] = np.empty(points)
    at_s[0] = departs_s + rng.gamma(2.0, _PULL_OUT_S / 2.0)
    luck = pace * rng.lognormal(0.0, _LUCK_SIGMA)
    begin = 0
    while begin < points - 1:
        until = way.seconds[begin] + _PIECE_S
        end = min(max(int(np.searchsorted(way.seconds, until)), begin + 1), points - 1)
        middle = (begin + end) // 2
        place = float(way.latitude[middle]), float(way.longitude[middle])
        factor = traffic.factor(*place, float(at_s[begin])) * luck
        at_s[begin + 1 : end + 1] = at_s[begin] + (way.seconds[begin + 1 : end + 1] - way.seconds[begin]) * factor
        begin = end
    lights = rng.poisson(way.metres[-1] / _SIGNAL_EVERY_M)
    lights_m, red_s = rng.uniform(0.0, kerb_m, lights), rng.uniform(0.0, _LONGEST_RED_S, lights)
    way, at_s = _held_up(way, at_s, np.sort(lights_m), red_s)
    crawled = np.clip((way.metres - kerb_m) / max(way.metres[-1] - kerb_m, 1e-9), 0.0, 1.0)
    crawled[-1] = 1.0
    return Drive(way, at_s + crawled * rng.gamma(1.5, _PARK_S / 1.5))


def _held_up(
    way: Way, at_s: NDArray[np.float64], places_m: NDArray[np.float64], waits_s: NDArray[np.float64]
) -> tuple[Way, NDArray[np.float64]]:
    """Return a way and its times with the van standing at some places, in rising order, so long each."""
    metres = np.concatenate([way.metres, places_m, places_m])
    order = np.argsort(metres, kind="stable")  # of the two points of a light, the one when it goes on comes second
    waited_s = np.concatenate([np.zeros(len(way.metres) + len(places_m)), waits_s])[order]
    columns = (way.latitude, way.longitude, way.seconds, at_s)
    lat, lon, seconds, times = (
        np.concatenate([column, *[np.interp(places_m, way.metres, column)] * 2])[order] for column in columns
    )
    return Way(lat, lon, seconds, metres[order]), times + np.cumsum(waited_s)


def _with_point(way: Way, along_m: float) -> Way:
    """Return a way with a point at a distance from its beginning: where pulling in begins."""
    place = int(np.searchsorted(way.metres, along_m, side="right"))
    if place == len(way.metres):
        return way
    columns = (way.latitude, way.longitude, way.seconds, way.metres)
    return Way(*(np.insert(column, place, np.interp(along_m, way.metres, column)) for column in columns))


def walk(way: Way, departs_s: float, metres: float) -> Drive:
    """Go on foot to a door so many metres away, while the van stays where it is.

    The way is what a road network says of it; of its points the first alone counts.
    """
    here = np.zeros(len(way.seconds))
    stays = Way(here + way.latitude[0], here + way.longitude[0], way.seconds, way.metres)
    share = np.linspace(0.0, 1.0, len(way.seconds), dtype=np.float64)
    return Drive(stays, departs_s + share * (metres / _WALK_MPS + 1.0))
