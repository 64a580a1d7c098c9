"""Base times: how long and far ways are before any model speaks. Pure.

Roads know best; where they have no way, the great circle with a usual pace answers. Each answer says which of both it
is, because a model is right only about the kind of base time that it was trained on.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.roads.barred import BarredRoads
from engine.roads.barriers import Barrier, holding_up
from engine.roads.hierarchy import CLOSED
from engine.roads.network import RoadNetwork
from engine.roads.pinned import Journeys, PinnedWays
from engine.roads.weights import RoadWeights
from models.eta.base_time import BASES, PACES
from models.geo import distances_m

__all__ = [
    "BASES",
    "GREAT_CIRCLE",
    "NOWHERE_CLOSED",
    "PROFILES",
    "ROADS",
    "BaseTimes",
    "Bases",
    "Ends",
    "GreatCircles",
    "RoadBases",
]

PROFILES: tuple[str, ...] = tuple(PACES)
"""Vehicle profiles; shards keep a profile as its place here."""

GREAT_CIRCLE, ROADS = range(len(BASES))
"""Places in `BASES`."""

NOWHERE_CLOSED: Mapping[tuple[Barrier, ...], NDArray[np.bool_]] = MappingProxyType({})
"""Nothing that any way has to go around."""

_SAME_PLACE_M = 30.0  # two addresses of one house
_DETOUR = np.array([PACES[name].detour for name in PROFILES])
_FIXED_S = np.array([PACES[name].fixed_s for name in PROFILES])
_SPEED_MPS = np.array([PACES[name].speed_mps for name in PROFILES])


class Ends(NamedTuple):
    """Where N ways begin and end, degrees, and who takes them."""

    from_lat: NDArray[np.float64]
    from_lon: NDArray[np.float64]
    to_lat: NDArray[np.float64]
    to_lon: NDArray[np.float64]
    profile: NDArray[np.uint8]
    """Places in `PROFILES`."""

    @classmethod
    def of(cls, legs: Mapping[str, ArrayLike], profile: NDArray[np.uint8]) -> "Ends":
        """Return those of legs, columns as in `models.eta.schema`."""
        columns = {name: np.asarray(legs[name], np.float64) for name in cls._fields[:-1]}
        return cls(**columns, profile=profile)


class Bases(NamedTuple):
    """Base times of N ways."""

    metres: NDArray[np.float64]
    seconds: NDArray[np.float64]
    source: NDArray[np.uint8]
    """Places in `BASES`."""
    traffic: NDArray[np.float64]
    """Time of the fastest way in the traffic of now ÷ on free roads; NaN where nobody knows or has asked."""


class BaseTimes(Protocol):
    """Says how long and far ways are without a model."""

    traffic_at_s: float | None
    """Of when the traffic is that it knows, epoch seconds."""

    def between(
        self,
        ends: Ends,
        *,
        traffic_of: NDArray[np.bool_] | None = None,
        barriers: Mapping[tuple[Barrier, ...], NDArray[np.bool_]] = NOWHERE_CLOSED,
        journeys: Journeys | None = None,
    ) -> Bases:
        """Return the base of each way, and of some of them what the traffic makes of it.

        `barriers` says which ways go around which; in the traffic column too. `journeys` says who asks again and again,
        which is answered faster and not otherwise.
        """


class GreatCircles:
    """The way of the crow with a detour and a pace."""

    traffic_at_s: float | None = None

    def between(
        self,
        ends: Ends,
        *,
        traffic_of: NDArray[np.bool_] | None = None,
        barriers: Mapping[tuple[Barrier, ...], NDArray[np.bool_]] = NOWHERE_CLOSED,
        journeys: Journeys | None = None,
    ) -> Bases:
        """Return metres and seconds as `models.eta.base_time` says; what is nearer than a house takes no time."""
        away_m = distances_m(ends.from_lat, ends.from_lon, ends.to_lat, ends.to_lon)
        seconds = np.where(away_m < _SAME_PLACE_M, 0.0, _FIXED_S[ends.profile] + away_m / _SPEED_MPS[ends.profile])
        source, traffic = np.full(len(away_m), GREAT_CIRCLE, np.uint8), np.full(len(away_m), np.nan)
        return Bases(away_m * _DETOUR[ends.profile], seconds, source, traffic)


class RoadBases:
    """Ways on a network of roads when they are free; the great circle where it has none.

    Parameters
    ----------
    network
        Of the region.
    traffic
        The roads as they are now, by profile; a profile without counts as unknown.
    traffic_at_s
        Of when that is, epoch seconds.
    barred
        Where roads around barriers are kept from one state to the next.
    pinned
        Where ways of those who ask again and again are.
    """

    def __init__(
        self,
        network: RoadNetwork,
        traffic: Mapping[str, RoadWeights] | None = None,
        traffic_at_s: float | None = None,
        barred: BarredRoads | None = None,
        pinned: PinnedWays | None = None,
    ) -> None:
        self.network, self.traffic_at_s = network, traffic_at_s
        self._barred, self._pinned = barred or BarredRoads(), pinned or PinnedWays(network)
        self._straight, self._traffic = GreatCircles(), traffic or {}
        # a profile that the map does not know has no roads
        self._names = {number: name for number, name in enumerate(PROFILES) if name in network.profiles}

    def in_traffic(self, traffic: Mapping[str, RoadWeights], at_s: float | None) -> "RoadBases":
        """Return the same with other traffic; what is known of ways on free roads goes on."""
        return RoadBases(self.network, traffic, at_s, self._barred, self._pinned)

    def between(
        self,
        ends: Ends,
        *,
        traffic_of: NDArray[np.bool_] | None = None,
        barriers: Mapping[tuple[Barrier, ...], NDArray[np.bool_]] = NOWHERE_CLOSED,
        journeys: Journeys | None = None,
    ) -> Bases:
        """Return metres and free-flow seconds on the roads; what is nearer than a house takes no time."""
        found = self._straight.between(ends)
        is_free = np.ones(len(found.seconds), np.bool_)
        for these, ways in barriers.items():
            is_free &= ~ways
            self._fill(found, ends, ways, traffic_of, these, journeys)
        self._fill(found, ends, is_free, traffic_of, (), journeys)
        return found

    def _fill(
        self,
        found: Bases,
        ends: Ends,
        ways: NDArray[np.bool_],
        traffic_of: NDArray[np.bool_] | None,
        barriers: tuple[Barrier, ...],
        journeys: Journeys | None,
    ) -> None:
        """Put in what some ways are on the roads, around barriers."""
        for number, name in self._names.items():
            rows = np.flatnonzero((ends.profile == number) & (found.seconds > 0) & ways)
            if not rows.size:
                continue
            mine = holding_up(barriers, name)
            free = self._barred.around(self.network, self.network.free_flow(name), mine)
            begin, finish = (ends.from_lat[rows], ends.from_lon[rows]), (ends.to_lat[rows], ends.to_lon[rows])
            start, end, packed = self._pinned.ways(
                begin, finish, free, None if journeys is None else journeys.part(rows)
            )
            known = np.flatnonzero(packed < CLOSED)
            rows, free_ms = rows[known], packed[known] >> 32
            found.metres[rows] = (packed[known] & 0xFFFFFFFF) / 10
            found.seconds[rows] = np.maximum(free_ms / 1000, 1.0)
            found.source[rows] = ROADS
            if traffic_of is None or name not in self._traffic:
                continue
            asked = np.flatnonzero(traffic_of[rows] & (free_ms > 0))
            start, end = start.part(known[asked]), end.part(known[asked])
            slowed = self._barred.around(self.network, self._traffic[name], mine)
            now = self.network.snapped_ways(start, end, slowed)
            found.traffic[rows[asked]] = np.where(now < CLOSED, (now >> 32) / free_ms[asked], np.nan)
