"""Times and lengths that plans are made with. Pure: what providers said is handed in (`engine.travel`).

Solvers and schedules ask the same object, so that a plan which a solver found good is judged by the same legs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.documents.job import TravelTold
from models.eta.base_time import PACES, Leg, base_leg, base_matrices

__all__ = ["GREAT_CIRCLE", "Known", "KnownWays", "Ways"]

Place = tuple[float, float]
Matrices = tuple[NDArray[np.float64], NDArray[np.float64]]


class Ways(Protocol):
    """Knows how far it is, for a kind of vehicle."""

    @property
    def told(self) -> Sequence[TravelTold]:
        """Return who said so, if anybody was asked."""

    def leg(self, profile: str, origin: Place, destination: Place) -> Leg:
        """Return the leg between two places (latitude, longitude)."""

    def matrices(self, profile: str, places: NDArray[np.float64]) -> Matrices:
        """Return metres and seconds between N × 2 places, N × N each."""


class _GreatCircle:
    told: Sequence[TravelTold] = ()

    def leg(self, profile: str, origin: Place, destination: Place) -> Leg:
        return base_leg(*origin, *destination, PACES[profile])

    def matrices(self, profile: str, places: NDArray[np.float64]) -> Matrices:
        return base_matrices(places[:, 0], places[:, 1], PACES[profile])


GREAT_CIRCLE: Ways = _GreatCircle()
"""Straight lines with a usual pace."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the ways of one kind of vehicle between N places."""

    number: Mapping[Place, int]
    """Row and column of each place."""
    distance_m: NDArray[np.float64]
    duration_s: NDArray[np.float64]
    """NaN where there is no way."""


@dataclass(frozen=True, slots=True)
class KnownWays:
    """Ways between places that were asked about before; of others, and where there is none, the great circle."""

    by_profile: Mapping[str, Known]
    off_road: frozenset[Place] = frozenset()
    """Places of the region that are too far from every road."""
    told: tuple[TravelTold, ...] = ()
    """Who said so."""

    def leg(self, profile: str, origin: Place, destination: Place) -> Leg:
        """Return the leg between two places."""
        known = self.by_profile.get(profile)
        if known is not None and origin in known.number and destination in known.number:
            cell = known.number[origin], known.number[destination]
            if np.isfinite(known.duration_s[cell]):
                return Leg(float(known.distance_m[cell]), float(known.duration_s[cell]))
        return GREAT_CIRCLE.leg(profile, origin, destination)

    def matrices(self, profile: str, places: NDArray[np.float64]) -> Matrices:
        """Return metres and seconds between places."""
        distance_m, duration_s = (matrix.copy() for matrix in GREAT_CIRCLE.matrices(profile, places))
        known = self.by_profile.get(profile)
        if known is None:
            return distance_m, duration_s
        numbers = np.array([known.number.get((row[0], row[1]), -1) for row in places.tolist()])
        cells = np.ix_(numbers, numbers)
        is_known = (numbers >= 0)[:, None] & (numbers >= 0)[None, :] & np.isfinite(known.duration_s[cells])
        return (
            np.where(is_known, known.distance_m[cells], distance_m),
            np.where(is_known, known.duration_s[cells], duration_s),
        )
