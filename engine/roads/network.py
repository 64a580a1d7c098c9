"""A road network in memory: snapping, matrices, legs. Synchronous and safe to share between threads.

Load it once a process; the arrays are mapped from the file, so processes of a node share them.
"""

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from cachetools import LRUCache, cached
from numpy.typing import ArrayLike, NDArray

from engine.roads.barriers import Barrier, barred_segments
from engine.roads.ends import Ends
from engine.roads.file import read_network
from engine.roads.hierarchy import CLOSED, Hierarchy, Shares
from engine.roads.legs import RoadLeg, trace_leg
from engine.roads.queries import Seeds, matrix_weights, pair_weights
from engine.roads.shares import shares_of
from engine.roads.snapping import Grid, Snaps, snap_points
from engine.roads.weights import RoadWeights, reweigh, weigh
from models.errors import InvalidInput

__all__ = ["SNAP_LIMIT_M", "UNREACHABLE", "RoadLeg", "RoadMatrix", "RoadNetwork"]

UNREACHABLE = np.int64(2**31 - 1)
"""Seconds and metres of a way that does not exist; no real way comes near it."""

SNAP_LIMIT_M = 500.0
"""Farther from every road a point counts as unreachable, metres."""

_MOST_BARRED_BYTES = 16 * 2**20  # of segments under barriers


@dataclass(frozen=True, slots=True)
class RoadMatrix:
    """Times and lengths of the fastest ways, origins × destinations; `UNREACHABLE` where there is none."""

    duration_s: NDArray[np.int64]
    distance_m: NDArray[np.int64]
    origins: Snaps
    destinations: Snaps


class RoadNetwork:
    """The roads of a region.

    Parameters
    ----------
    about
        What the file says about itself: `region`, `date`, `attribution`, `profiles`.
    arrays
        Of the graph, its hierarchy and its grid.
    """

    def __init__(self, about: Mapping[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        self.about, self.arrays = about, arrays
        self.profiles: tuple[str, ...] = tuple(about["profiles"])
        self.hierarchy = Hierarchy(*(arrays[f"hierarchy_{name}"] for name in Hierarchy._fields))
        self.grid = Grid(*(arrays[f"grid_{name}"] for name in Grid._fields))
        self._free: dict[str, RoadWeights] = {}
        self._open: dict[str, NDArray[np.bool_]] = {}
        self._making = threading.Lock()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Open the file of a road network; raises BadSettings as `read_network`."""
        return cls(*read_network(path))

    @property
    def date(self) -> str | None:
        """State of the map, `YYYY-MM-DD`."""
        found: str | None = self.about["date"]
        return found

    @property
    def mark(self) -> str:
        """What tells this network's arcs from another's, even of the same region."""
        return f"{self.about.get('region')} {self.about.get('built')} {self.arc_count}"

    @property
    def classes(self) -> NDArray[np.int64]:
        """Return the class of road of each arc."""
        return self.arrays["segment_class"][self.arrays["arc_segment"]].astype(np.int64)

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """South, west, north and east end of the roads, degrees."""
        lat, lon = self.arrays["point_lat"], self.arrays["point_lon"]
        return tuple(float(end) / 1e7 for end in (lat.min(), lon.min(), lat.max(), lon.max()))  # type: ignore[return-value]  # four

    @property
    def arc_count(self) -> int:
        """Number of directed pieces of road."""
        return int(self.arrays["arc_segment"].size)

    def free_flow(self, profile: str = "car") -> RoadWeights:
        """Return the roads as nothing but the map has them, made at the first call."""
        with self._making:
            if profile not in self._free:
                number = self._number(profile)
                arc_ms = self.arrays["arc_ms"][number]
                self._free[profile] = weigh(self.hierarchy, self.arrays, profile, number, arc_ms, self._threads)
            return self._free[profile]

    def weights(self, profile: str, factor: ArrayLike | None = None, closed: ArrayLike | None = None) -> RoadWeights:
        """Return a state of the roads.

        Parameters
        ----------
        profile
            Kind of vehicle.
        factor
            What free-flow times are multiplied by: a number, or one for each arc.
        closed
            Arcs that can't be driven: their numbers, or a mask over all.
        """
        number = self._number(profile)
        free_ms = self.arrays["arc_ms"][number]
        arc_ms = free_ms.copy()
        if factor is not None:
            slowed = np.rint(free_ms * np.asarray(factor, np.float64))
            arc_ms = np.where(free_ms > 0, np.clip(slowed, 1, 2**30), 0).astype(np.int32)
        if closed is not None:
            arc_ms[np.asarray(closed)] = 0
        return weigh(self.hierarchy, self.arrays, profile, number, arc_ms, self._threads)

    def around(self, weights: RoadWeights, barriers: Iterable[Barrier]) -> RoadWeights:
        """Return a state of the roads in which nothing goes through barriers, nor begins or ends in one."""
        barred = [self._barred(one) for one in barriers]
        arcs = self.arrays["segment_arcs"][np.unique(np.concatenate(barred))] if barred else np.zeros(0, np.int32)
        closed = self.closed(weights, arcs[arcs >= 0])
        is_passable = np.zeros(self.arrays["segment_m"].size, np.bool_)
        is_passable[self.arrays["arc_segment"][closed.arc_ms > 0]] = True
        return replace(closed, is_open=self._is_open(weights.profile) & is_passable)

    def closed(self, weights: RoadWeights, arcs: ArrayLike) -> RoadWeights:
        """Return a state of the roads with some arcs closed besides: numbers, or a mask over all."""
        arc_ms = weights.arc_ms.copy()
        arc_ms[np.asarray(arcs)] = 0
        return reweigh(self.hierarchy, self.arrays, weights, self._number(weights.profile), arc_ms)

    def snap(
        self,
        latitudes: ArrayLike,
        longitudes: ArrayLike,
        profile: str = "car",
        limit_m: float = SNAP_LIMIT_M,
        weights: RoadWeights | None = None,
    ) -> Snaps:
        """Return where points meet a road from which the vehicle can come and go; N degrees WGS 84 each.

        In a state of the roads (`weights`, which goes before `profile`) that is what its barriers leave open.
        """
        lat, lon = np.atleast_1d(np.asarray(latitudes, np.float64)), np.atleast_1d(np.asarray(longitudes, np.float64))
        is_open = None if weights is None else weights.is_open
        if is_open is None:
            is_open = self._is_open(profile if weights is None else weights.profile)
        return snap_points(self.grid, self.arrays, lat, lon, is_open, limit_m)

    def matrix(
        self,
        origins: ArrayLike,
        destinations: ArrayLike | None = None,
        profile: str = "car",
        weights: RoadWeights | None = None,
    ) -> RoadMatrix:
        """Return times and lengths between places.

        Parameters
        ----------
        origins, destinations
            N × 2 and M × 2 (latitude, longitude); the same places if `destinations` is left out.
        profile, weights
            Kind of vehicle, and the state of the roads, free flow if left out. `weights` goes before `profile`.
        """
        weights = weights or self.free_flow(profile)
        start = self._snapped(origins, weights)
        end = start if destinations is None else self._snapped(destinations, weights)
        packed = self.snapped_matrix(start, end, weights)
        reached = packed < CLOSED
        return RoadMatrix(
            np.where(reached, ((packed >> 32) + 500) // 1000, UNREACHABLE),
            np.where(reached, ((packed & 0xFFFFFFFF) + 5) // 10, UNREACHABLE),
            start,
            end,
        )

    def snapped_matrix(self, start: Snaps, end: Snaps, weights: RoadWeights) -> NDArray[np.int64]:
        """Return packed weights (`engine.roads.hierarchy.pack`) between snapped places, N × M."""
        ends = self.ends(weights)
        begin_at, finish_at = ends.leaving(start), ends.arriving(end)
        packed = matrix_weights(self.hierarchy, weights.metric, begin_at, finish_at, self._pool)
        rows, columns = np.nonzero(start.segment[:, None] == end.segment[None, :])
        if rows.size:
            self._correct(packed, rows, columns, start, end, ends, weights)
        return packed

    def snapped_ways(self, start: Snaps, end: Snaps, weights: RoadWeights) -> NDArray[np.int64]:
        """Return packed weights from each snapped place to the one beside it, N."""
        ends = self.ends(weights)
        packed: NDArray[np.int64] = np.full(start.segment.size, CLOSED, np.int64)
        is_same = start.segment == end.segment
        apart, same = np.flatnonzero(~is_same), np.flatnonzero(is_same & start.found)
        if apart.size:
            leaving, arriving = ends.leaving(start.part(apart)), ends.arriving(end.part(apart))
            packed[apart] = pair_weights(self.hierarchy, weights.metric, leaving, arriving)
        if same.size:
            start, end = start.part(same), end.part(same)
            around = pair_weights(self.hierarchy, weights.metric, ends.leaving_behind(start), ends.arriving(end))
            packed[same] = np.minimum(ends.along(start, end), around)
        return packed

    def arc_matrix(
        self, sources: NDArray[np.int32], targets: NDArray[np.int32], weights: RoadWeights
    ) -> NDArray[np.int64]:
        """Return packed weights from the ends of arcs to the ends of others, S × T; twins are arcs of their own."""
        begin_at, finish_at = (
            Seeds(np.arange(arcs.size + 1, dtype=np.int32), self.hierarchy.rank[arcs], np.zeros(arcs.size, np.int64))
            for arcs in (sources, targets)
        )
        return matrix_weights(self.hierarchy, weights.metric, begin_at, finish_at, self._pool)

    def leg(
        self,
        origin: tuple[float, float],
        destination: tuple[float, float],
        profile: str = "car",
        weights: RoadWeights | None = None,
    ) -> RoadLeg | None:
        """Return the fastest way between two places (latitude, longitude), or None if there is none."""
        weights = weights or self.free_flow(profile)
        places = self._snapped([origin, destination], weights)
        if not places.found.all():
            return None
        return trace_leg(self.hierarchy, self.arrays, self.ends(weights), places, weights)

    def ends(self, weights: RoadWeights) -> Ends:
        """Return how ways begin and end in the middle of arcs."""
        return Ends(self.hierarchy.rank, self.arrays, weights, self._number(weights.profile))

    def _snapped(self, places: ArrayLike, weights: RoadWeights) -> Snaps:
        at = np.asarray(places, np.float64).reshape(-1, 2)
        return self.snap(at[:, 0], at[:, 1], weights=weights)

    def _correct(
        self,
        packed: NDArray[np.int64],
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        start: Snaps,
        end: Snaps,
        ends: Ends,
        weights: RoadWeights,
    ) -> None:
        """Put right what begins and ends on one segment: along it, or once around from behind."""
        on_road = start.segment[rows] >= 0
        rows, columns = rows[on_road], columns[on_road]
        direct = ends.along(start.part(rows), end.part(columns))
        packed[rows, columns] = direct
        around = direct > 0
        if not around.any():
            return
        sources, row_of = np.unique(rows[around], return_inverse=True)
        targets, column_of = np.unique(columns[around], return_inverse=True)
        beyond = ends.leaving_behind(start.part(sources))
        loops = matrix_weights(self.hierarchy, weights.metric, beyond, ends.arriving(end.part(targets)), self._pool)
        packed[rows[around], columns[around]] = np.minimum(direct[around], loops[row_of, column_of])

    def _number(self, profile: str) -> int:
        if profile not in self.profiles:
            raise InvalidInput(f"there is no road profile {profile}", [("profile", "unknown")])
        return self.profiles.index(profile)

    def _is_open(self, profile: str) -> NDArray[np.bool_]:
        if profile not in self._open:
            is_open = np.zeros(self.arrays["segment_m"].size, np.bool_)
            usable = (self.arrays["arc_profiles"] >> self._number(profile)) & 1 == 1
            is_open[self.arrays["arc_segment"][usable]] = True
            self._open[profile] = is_open
        return self._open[profile]

    @cached_property
    def _barred(self) -> Callable[[Barrier], NDArray[np.int64]]:
        """Return what looks up the segments that a barrier closes, the same in any state of the roads."""
        kept: LRUCache[Any, NDArray[np.int64]] = LRUCache(_MOST_BARRED_BYTES, getsizeof=lambda found: found.nbytes)
        return cached(kept, lock=threading.Lock())(lambda one: barred_segments(one, self.arrays, self.grid))

    @cached_property
    def _threads(self) -> tuple[Shares, Executor]:
        return shares_of(self.hierarchy, os.cpu_count() or 1), self._pool

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="roads")
