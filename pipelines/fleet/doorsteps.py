"""Where parcels go and how long handing one over takes.

A building has its own habits (stairs, a porter, nowhere to park), and the same addresses are served again and again,
some far more often than others; that is what a model of service times can learn.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.geo import METRES_PER_DEGREE, distances_m

__all__ = ["KINDS", "Doorsteps"]

KINDS = ("house", "flat", "shop", "office")
_SHARES = (0.35, 0.40, 0.15, 0.10)
_MEDIAN_S = np.array([75.0, 135.0, 160.0, 210.0])
_HABIT_SIGMA = 0.35
_VISIT_SIGMA = 0.30
_PER_KG = 0.012
_ABSENT, _ABSENT_S = 0.03, 45.0
_POPULARITY = 1.05  # exponent of Zipf's law over addresses


@dataclass(frozen=True, slots=True)
class Doorsteps:
    """A addresses of a city."""

    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    kind: NDArray[np.int8]
    """Place in `KINDS`."""
    habit: NDArray[np.float64]
    """How many times its kind's usual time it takes."""
    parking_m: NDArray[np.float64]
    """How far from the door a van stands, metres."""
    weight: NDArray[np.float64]
    """Share of all orders, sums to 1."""

    @classmethod
    def simulate(cls, rng: np.random.Generator, latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> Self:
        """Draw the habits of addresses at given places, degrees."""
        count = len(latitude)
        popularity = 1.0 / np.arange(1, count + 1) ** (_POPULARITY / 2)
        rng.shuffle(popularity)
        return cls(
            latitude=latitude,
            longitude=longitude,
            kind=rng.choice(len(KINDS), count, p=_SHARES).astype(np.int8),
            habit=rng.lognormal(0.0, _HABIT_SIGMA, count),
            parking_m=np.minimum(rng.gamma(2.0, 5.0, count), 25.0),
            weight=popularity / popularity.sum(),
        )

    def serve_s(self, rng: np.random.Generator, address: int, weight_kg: float, pace: float) -> tuple[float, bool]:
        """Return the seconds of one visit and whether somebody was there."""
        if rng.random() < _ABSENT:
            return float(_ABSENT_S * rng.lognormal(0.0, 0.3)), False
        usual = _MEDIAN_S[self.kind[address]] * self.habit[address] * pace * (1.0 + _PER_KG * weight_kg)
        return float(usual * rng.lognormal(0.0, _VISIT_SIGMA)), True

    def parked(self, rng: np.random.Generator, address: int) -> tuple[float, float]:
        """Return where a van stands during one visit, latitude and longitude in degrees."""
        away_m, bearing = self.parking_m[address] * rng.uniform(0.5, 1.2), rng.uniform(0.0, 2 * np.pi)
        north, east = away_m * np.cos(bearing) / METRES_PER_DEGREE, away_m * np.sin(bearing) / METRES_PER_DEGREE
        latitude, longitude = float(self.latitude[address]), float(self.longitude[address])
        return latitude + float(north), longitude + float(east / np.cos(np.radians(latitude)))

    def nearest(self, latitude: float, longitude: float) -> int:
        """Return the number of the address nearest to a point, degrees."""
        return int(np.argmin(distances_m(self.latitude, self.longitude, latitude, longitude)))
