"""Who says how long legs take: the protocol of models, and the answer that needs none. Pure."""

import hashlib
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.eta.base_time import PACES
from models.eta.history import PaceHistory
from models.eta.spread import Spread
from models.geo import distances_m

__all__ = ["COLD_START", "PROFILES", "BaseTimes", "ColdStart", "GreatCircles", "Legs", "Predictor", "digest_of"]

Legs = Mapping[str, ArrayLike]
"""Columns of N legs by name, as `models.eta.schema` lists them."""

PROFILES: tuple[str, ...] = tuple(PACES)
"""Vehicle profiles; shards keep a profile as its place here."""

COLD_START = "cold-start"
"""Version of the estimate that needs no model."""

_LOW, _HIGH = 0.65, 1.6  # four of five real trips lie between these shares of their base time


class Predictor(Protocol):
    """Says how long legs take."""

    version: str
    """Under which its answers are remembered."""
    spread: Spread
    """How the spreads of its legs join along a route."""
    history: PaceHistory | None
    """What it knew of finished legs when it was made; None if it reads no history."""
    history_until_ms: int
    """When the newest of them had ended, epoch milliseconds."""

    def predict(self, legs: Legs) -> NDArray[np.float64]:
        """Return one in ten, middle and nine in ten of the seconds that each leg takes, N × 3, sorted."""

    def explain(self, legs: Legs, shift: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """Return what makes legs longer or shorter than their base times: minutes by reason, N each.

        `shift` is the log ratio that what just happened adds, N values.
        """

    def base_s(self, legs: Legs) -> NDArray[np.float64]:
        """Return the base time of each leg as the model reads it, seconds."""

    def service_s(self, tenant: str, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the usual seconds at a tenant's stops, length N; 0 where nothing is known."""


def digest_of(version: str) -> int:
    """Return 64 bits that stand for a model's version in packed records."""
    return int.from_bytes(hashlib.blake2b(version.encode(), digest_size=8).digest(), "little")


class ColdStart:
    """Base times and a range that is wide and honest."""

    version = COLD_START
    spread = Spread()
    history: PaceHistory | None = None
    history_until_ms = 0

    def predict(self, legs: Legs) -> NDArray[np.float64]:
        """Return base times with the range in which four of five real trips lie."""
        base_s = np.asarray(legs["base_s"], np.float64)
        return np.asarray(base_s[:, None] * np.array([_LOW, 1.0, _HIGH]))

    def explain(self, legs: Legs, shift: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """Return what just happened alone: base times are all there is beside it."""
        return {"today": np.asarray(legs["base_s"], np.float64) * np.expm1(shift) / 60}

    def base_s(self, legs: Legs) -> NDArray[np.float64]:
        """Return the base times as they are given."""
        return np.asarray(legs["base_s"], np.float64)

    def service_s(self, tenant: str, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return nothing: no stop has been seen."""
        return np.zeros(len(lat))


class BaseTimes(Protocol):
    """Says how long and far ways are without a model: a road network, or something simpler."""

    def between(
        self,
        from_lat: NDArray[np.float64],
        from_lon: NDArray[np.float64],
        to_lat: NDArray[np.float64],
        to_lon: NDArray[np.float64],
        profile: NDArray[np.uint8],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return metres and seconds of each way, length N; `profile` are places in `PROFILES`."""


class GreatCircles:
    """The way of the crow with a detour and a pace."""

    def between(
        self,
        from_lat: NDArray[np.float64],
        from_lon: NDArray[np.float64],
        to_lat: NDArray[np.float64],
        to_lon: NDArray[np.float64],
        profile: NDArray[np.uint8],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return metres and seconds as `models.eta.base_time` says; what is nearer than a house takes no time."""
        away_m = distances_m(from_lat, from_lon, to_lat, to_lon)
        seconds = np.where(away_m < _SAME_PLACE_M, 0.0, _FIXED_S[profile] + away_m / _SPEED_MPS[profile])
        return away_m * _DETOUR[profile], seconds


_SAME_PLACE_M = 30.0
_DETOUR = np.array([PACES[name].detour for name in PROFILES])
_FIXED_S = np.array([PACES[name].fixed_s for name in PROFILES])
_SPEED_MPS = np.array([PACES[name].speed_mps for name in PROFILES])
