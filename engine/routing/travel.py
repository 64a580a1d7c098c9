"""Times and distances between numbered places: held as matrices, or computed from points of a plane."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["UNREACHABLE", "DenseTravel", "Places", "PlaneTravel", "Rounding", "SlicedTravel", "Travel", "Whole"]

UNREACHABLE = 2**31 - 1
"""Seconds and metres where there is no way; the largest that a matrix of 32 bits holds."""

Whole = NDArray[np.int64]
Places = NDArray[np.int64]
Rounding = Literal["nearest", "down", "up"]


class Travel(Protocol):
    """How one kind of vehicle gets from place to place. Not symmetric in general."""

    @property
    def size(self) -> int:
        """Return the number of places."""

    def seconds(self, origins: Places, destinations: Places) -> Whole:
        """Return the times from N origins to M destinations, N × M; `UNREACHABLE` where there is no way."""

    def metres(self, origins: Places, destinations: Places) -> Whole:
        """Return the distances from N origins to M destinations, N × M."""

    def legs(self, origins: Places, destinations: Places) -> tuple[Whole, Whole]:
        """Return the times and distances of N legs, from each origin to the destination at the same index."""

    def part(self, places: Places) -> "Travel":
        """Return the travel between some places, numbered in the order given."""


@dataclass(frozen=True, slots=True, eq=False)
class DenseTravel:
    """Two matrices P × P, of 32 or 64 bits."""

    durations: NDArray[np.integer]
    """Seconds from the row's place to the column's."""
    distances: NDArray[np.integer]
    """Metres; the same array where both are one measure."""

    @property
    def size(self) -> int:
        """Return the number of places."""
        return len(self.durations)

    def seconds(self, origins: Places, destinations: Places) -> Whole:
        """Return the times from N origins to M destinations, N × M."""
        return self.durations[np.ix_(origins, destinations)].astype(np.int64, copy=False)

    def metres(self, origins: Places, destinations: Places) -> Whole:
        """Return the distances from N origins to M destinations, N × M."""
        return self.distances[np.ix_(origins, destinations)].astype(np.int64, copy=False)

    def legs(self, origins: Places, destinations: Places) -> tuple[Whole, Whole]:
        """Return the times and distances of N legs."""
        durations = self.durations[origins, destinations].astype(np.int64, copy=False)
        if self.distances is self.durations:
            return durations, durations
        return durations, self.distances[origins, destinations].astype(np.int64, copy=False)

    def part(self, places: Places) -> "DenseTravel":
        """Return the travel between some places."""
        durations = self.durations[np.ix_(places, places)]
        if self.distances is self.durations:
            return DenseTravel(durations, durations)
        return DenseTravel(durations, self.distances[np.ix_(places, places)])


@dataclass(frozen=True, slots=True, eq=False)
class PlaneTravel:
    """The straight line between points of a plane, as time and as distance alike: what benchmark sets mean.

    Nothing but the points is held, so that tens of thousands of places cost nothing.
    """

    points: NDArray[np.float64]
    """P × 2."""
    scale: float = 1.0
    """What a length is multiplied by before it is made whole."""
    rounding: Rounding = "nearest"

    @property
    def size(self) -> int:
        """Return the number of places."""
        return len(self.points)

    def seconds(self, origins: Places, destinations: Places) -> Whole:
        """Return the lengths from N origins to M destinations, N × M."""
        start, end = self.points[origins], self.points[destinations]
        return self._whole(start[:, None, 0] - end[None, :, 0], start[:, None, 1] - end[None, :, 1])

    def metres(self, origins: Places, destinations: Places) -> Whole:
        """Return the lengths from N origins to M destinations, N × M."""
        return self.seconds(origins, destinations)

    def legs(self, origins: Places, destinations: Places) -> tuple[Whole, Whole]:
        """Return the lengths of N legs, twice."""
        way = self.points[origins] - self.points[destinations]
        lengths = self._whole(way[:, 0], way[:, 1])
        return lengths, lengths

    def part(self, places: Places) -> "PlaneTravel":
        """Return the travel between some places."""
        return PlaneTravel(self.points[places], self.scale, self.rounding)

    def _whole(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> Whole:
        # the root of a sum of squares, since that is exact where the length is whole, and hypot is not always
        lengths = np.sqrt(x * x + y * y) * self.scale
        if self.rounding == "nearest":  # TSPLIB's nint: halves go up
            return np.floor(lengths + 0.5).astype(np.int64)
        return (np.floor(lengths) if self.rounding == "down" else np.ceil(lengths)).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class SlicedTravel:
    """Travel whose times change over the day: a pair of matrices for each slice of it.

    As a `Travel` it takes the longest that each way takes at any time, so that a plan made with it holds at every time;
    `engine.routing.verifier` goes by the slices.
    """

    begins: tuple[int, ...]
    """First second of each slice, in order; the first holds before as well, the last ever after."""
    slices: tuple[DenseTravel, ...]

    @property
    def size(self) -> int:
        """Return the number of places."""
        return self.slices[0].size

    def seconds(self, origins: Places, destinations: Places) -> Whole:
        """Return the longest times from N origins to M destinations, N × M."""
        longest: Whole = np.max([one.seconds(origins, destinations) for one in self.slices], axis=0)
        return longest

    def metres(self, origins: Places, destinations: Places) -> Whole:
        """Return the longest distances from N origins to M destinations, N × M."""
        longest: Whole = np.max([one.metres(origins, destinations) for one in self.slices], axis=0)
        return longest

    def legs(self, origins: Places, destinations: Places) -> tuple[Whole, Whole]:
        """Return the longest times and distances of N legs."""
        durations, distances = zip(*(one.legs(origins, destinations) for one in self.slices), strict=True)
        return np.max(durations, axis=0), np.max(distances, axis=0)

    def part(self, places: Places) -> "SlicedTravel":
        """Return the travel between some places."""
        return SlicedTravel(self.begins, tuple(one.part(places) for one in self.slices))

    def legs_by_slice(self, origins: Places, destinations: Places) -> Whole:
        """Return the times of N legs in each of S slices, S × N."""
        return np.stack([one.legs(origins, destinations)[0] for one in self.slices])
