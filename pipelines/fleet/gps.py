"""What a phone in the van would have sent: noise that drifts, jumps, silence, and fixes that come late or twice."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.geo import METRES_PER_DEGREE, distances_m
from models.messages.fixes import DEGREE, FIX, UNKNOWN_BATTERY, UNKNOWN_SEQUENCE

__all__ = ["Phone", "Track", "record"]

_STANDS_MPS = 0.7  # a receiver gives no course below this


@dataclass(frozen=True, slots=True)
class Phone:
    """How well a phone sees the sky and the network."""

    every_s: float = 5.0
    drift_m: float = 5.0
    """Standard deviation of the error that stays for half a minute."""
    drift_s: float = 30.0
    jitter_m: float = 1.5
    """Of the error that is new with each fix."""
    speed_mps: float = 0.3
    """Standard deviation of the error of speeds, which receivers know by Doppler shift, not from places."""
    course_deg: float = 5.0
    """The same of courses, degrees."""
    jumps: float = 0.001
    """Share of fixes that lie somewhere else, and say that they are less sure."""
    silences_a_day: float = 2.0
    """Drop-outs of half a minute to three minutes: nothing is recorded."""
    dead_zones_a_day: float = 1.0
    """Five minutes without a network: recorded, and sent afterwards."""
    repeats: float = 0.003
    """Share of fixes that are sent twice."""


@dataclass(frozen=True, slots=True)
class Track:
    """Fixes of one van on one day, in the order in which they were sent."""

    fixes: NDArray[np.void]
    """`FIX` records; the driver is left 0, times are epoch milliseconds."""
    sent_ms: NDArray[np.int64]
    """When each was sent, rising."""

    def told_ms(self, at_ms: int) -> int:
        """Return when the phone could tell of something that happened at an instant: once its last fix could go out."""
        before = self.fixes["time"] <= at_ms
        return max(at_ms, int(self.sent_ms[before].max(initial=at_ms)))


def record(
    rng: np.random.Generator,
    at_s: NDArray[np.float64],
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    phone: Phone,
    epoch_ms: int,
) -> Track:
    """Record a day.

    Parameters
    ----------
    at_s, latitude, longitude
        Where the van was when: P points in rising order, between which it went straight.
    epoch_ms
        The epoch milliseconds of second 0.
    """
    seconds = np.arange(at_s[0], at_s[-1], phone.every_s) + rng.uniform(0.0, phone.every_s)
    seconds = seconds[~_within(rng, seconds, phone.silences_a_day, 30.0, 180.0)]
    lat, lon = np.interp(seconds, at_s, latitude), np.interp(seconds, at_s, longitude)
    jumps = rng.random(len(seconds)) < phone.jumps
    spread = np.where(jumps, 150.0, 0.0)
    north, east = (_drift(rng, seconds, phone) + rng.normal(0.0, 1.0, len(seconds)) * spread for _ in range(2))
    fixes: NDArray[np.void] = np.zeros(len(seconds), FIX)
    fixes["time"] = epoch_ms + np.rint(seconds * 1000.0).astype(np.int64)
    fixes["lat"] = np.rint((lat + north / METRES_PER_DEGREE) * DEGREE)
    fixes["lon"] = np.rint((lon + east / (METRES_PER_DEGREE * np.cos(np.radians(lat)))) * DEGREE)
    fixes["speed"], fixes["heading"] = _motion(rng, (at_s, latitude, longitude), seconds, phone)
    fixes["altitude"] = np.nan
    fixes["accuracy"] = np.where(jumps, rng.uniform(30.0, 90.0, len(seconds)), rng.uniform(4.0, 14.0, len(seconds)))
    fixes["seq"], fixes["battery"] = UNKNOWN_SEQUENCE, UNKNOWN_BATTERY
    sent = fixes["time"] + _held_back(rng, seconds, phone)
    again = np.flatnonzero(rng.random(len(seconds)) < phone.repeats)
    fixes = np.concatenate([fixes, fixes[again]])
    sent = np.concatenate([sent, sent[again] + 2_000])
    order = np.argsort(sent, kind="stable")
    return Track(fixes[order], sent[order])


def _motion(
    rng: np.random.Generator,
    path: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    seconds: NDArray[np.float64],
    phone: Phone,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return speeds, m/s, and courses, degrees from north, as a receiver tells them; who stands has no course (NaN)."""
    times, latitude, longitude = path
    lat, lon, lat_after, lon_after = (
        np.interp(seconds + after, times, axis) for after in (-0.5, 0.5) for axis in (latitude, longitude)
    )
    north, east = np.radians(lat_after - lat), np.radians(lon_after - lon) * np.cos(np.radians(lat))
    speed = distances_m(lat, lon, lat_after, lon_after) + rng.normal(0.0, phone.speed_mps, len(seconds))
    course = np.degrees(np.arctan2(east, north)) + rng.normal(0.0, phone.course_deg, len(seconds))
    return np.maximum(speed, 0.0), np.where(speed < _STANDS_MPS, np.nan, course % 360.0)


def _drift(rng: np.random.Generator, seconds: NDArray[np.float64], phone: Phone) -> NDArray[np.float64]:
    keep = np.exp(-phone.every_s / phone.drift_s)
    pushes = rng.normal(0.0, phone.drift_m * np.sqrt(1.0 - keep**2), len(seconds))
    error, errors = rng.normal(0.0, phone.drift_m), np.empty(len(seconds))
    for place, push in enumerate(pushes):
        error = error * keep + push
        errors[place] = error
    return errors + rng.normal(0.0, phone.jitter_m, len(seconds))


def _spans(
    rng: np.random.Generator, seconds: NDArray[np.float64], count: float, shortest_s: float, longest_s: float
) -> Sequence[tuple[float, float]]:
    begins = rng.uniform(seconds[0], seconds[-1], rng.poisson(count))
    return [(begin, begin + rng.uniform(shortest_s, longest_s)) for begin in begins]


def _within(
    rng: np.random.Generator, seconds: NDArray[np.float64], count: float, shortest_s: float, longest_s: float
) -> NDArray[np.bool_]:
    inside = np.zeros(len(seconds), np.bool_)
    for begin, end in _spans(rng, seconds, count, shortest_s, longest_s):
        inside |= (seconds >= begin) & (seconds < end)
    return inside


def _held_back(rng: np.random.Generator, seconds: NDArray[np.float64], phone: Phone) -> NDArray[np.int64]:
    """Return how long each fix waited in the phone for a network, milliseconds."""
    held = np.zeros(len(seconds))
    for begin, end in _spans(rng, seconds, phone.dead_zones_a_day, 120.0, 300.0):
        inside = (seconds >= begin) & (seconds < end)
        held[inside] = np.maximum(held[inside], end - seconds[inside])
    return np.rint(held * 1000.0).astype(np.int64)
