"""Traffic learned from the fleet's own tracks: how much longer arcs take than the map says, now and at this hour.

Each step of a matched track says that some arcs took so many times their free-flow time. An arc's factor leans on what
is known about its class at this hour until enough was driven on it, then on its own usual value, and at last on what it
took in the last minutes: three estimates, each shrunk towards the one before by the seconds of driving behind it
(empirical Bayes).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.compiled import road_rule
from engine.roads.matching import MatchedTraces
from engine.roads.network import RoadNetwork
from engine.roads.profiles import ROAD_CLASSES

__all__ = ["BANDS", "TrafficLedger", "band_of"]

BANDS = 48
"""Hours of a working day, then of a day of the weekend."""

_HALF_LIFE_S = 1200.0  # of what counts as now
_USUAL_HALF_LIFE_S = 6 * 7 * 86_400.0  # of what is usual: roadworks end
_USUAL_FADES_S = 86_400.0  # it fades in steps, because all of it is touched
_SHARE_S = 30.0  # seconds of free-flow driving with which an arc speaks for its class
_USUAL_S = 600.0  # seconds of free-flow driving after which a class counts as much as what was held before
_ARC_S = 120.0
_NOW_S = 60.0
_LONGEST_STEP_S = 45.0  # a step that takes longer may hold a stop at a door, which is no traffic
_LEAST_STEP_S = 2.0  # of free-flow driving: shorter ones are noise
_SLOWEST, _FASTEST = 8.0, 0.5


def band_of(weekday: int, hour: int) -> int:
    """Return the band of an hour; Monday is 0."""
    return hour + (24 if weekday >= 5 else 0)


class TrafficLedger:
    """What was driven, by arc and hour; seconds as the map has them, and as they were.

    Parameters
    ----------
    network
        The roads.
    profile
        Of the vehicles that are learned from.
    """

    def __init__(self, network: RoadNetwork, profile: str = "car") -> None:
        arrays = network.arrays
        free_ms = arrays["arc_ms"][network.profiles.index(profile)]
        self._map = _Map(free_ms, arrays["arc_dm"])
        self._class = arrays["segment_class"][arrays["arc_segment"]].astype(np.int64)
        arcs = free_ms.size
        self._row = np.full(arcs, -1, np.int32)  # arcs that were ever driven have a row
        self._usual: NDArray[np.float32] = np.zeros((0, BANDS, 2), np.float32)
        self._now = np.zeros((arcs, 2))
        self._now_at_s = self._usual_at_s = 0.0

    def learn(self, matched: MatchedTraces, times_s: NDArray[np.float64], bands: NDArray[np.int64]) -> int:
        """Take up matched tracks, and return how many steps said something.

        Parameters
        ----------
        matched, times_s
            F fixes, and when they were, epoch seconds.
        bands
            F: the band of each.
        """
        track = _Track(matched.arc, matched.along_m, matched.path_start, matched.path_arcs, times_s)
        arcs, mapped_s, driven_s, fixes = _steps(track, self._map)
        if not arcs.size:
            return 0
        band = bands[fixes]
        self._take_rows(arcs)
        both = np.stack([mapped_s, driven_s], axis=1)
        newest = float(times_s[fixes].max())
        self._fade(max(newest, self._now_at_s))
        np.add.at(self._usual, (self._row[arcs], band), both.astype(np.float32))
        weight = 0.5 ** ((self._now_at_s - times_s[fixes]) / _HALF_LIFE_S)
        np.add.at(self._now, arcs, both * weight[:, None])
        return int(np.unique(fixes).size)

    @property
    def driven(self) -> NDArray[np.int64]:
        """Return the arcs that were ever driven."""
        return np.flatnonzero(self._row >= 0)

    def factors(self, at_s: float, band: int, prior: float = 1.0) -> NDArray[np.float64]:
        """Return what free-flow times are to be multiplied by at an instant, for every arc.

        Parameters
        ----------
        at_s
            Epoch seconds.
        band
            Of the instant.
        prior
            What holds while nothing is known.
        """
        driven = self.driven
        by_class, usual = self.usual(band, prior)
        factor = by_class[self._class]
        now = self._now[driven] * 0.5 ** (max(0.0, at_s - self._now_at_s) / _HALF_LIFE_S)
        factor[driven] = (_NOW_S * usual + now[:, 1]) / (_NOW_S + now[:, 0])
        return np.clip(factor, _FASTEST, _SLOWEST)

    def usual(self, band: int, prior: float = 1.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the usual factors of an hour: of each class of roads, and of each arc of `driven`."""
        driven = self.driven
        sums = self._usual[self._row[driven], band].astype(np.float64)
        by_class = self._by_class(driven, sums, prior)
        own = (_ARC_S * by_class[self._class[driven]] + sums[:, 1]) / (_ARC_S + sums[:, 0])
        return np.clip(by_class, _FASTEST, _SLOWEST), np.clip(own, _FASTEST, _SLOWEST)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was learned, to go on from with `resume`."""
        driven = self.driven
        return {
            "driven": driven,
            "usual": self._usual[self._row[driven]],
            "now": self._now[driven],
            "now_at_s": np.array(self._now_at_s),
            "usual_at_s": np.array(self._usual_at_s),
        }

    def resume(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `arrays` returned, of the same network."""
        driven = arrays["driven"]
        self._row[:] = -1
        self._row[driven] = np.arange(driven.size)
        self._usual = arrays["usual"].astype(np.float32)
        self._now[:] = 0.0
        self._now[driven] = arrays["now"]
        self._now_at_s, self._usual_at_s = float(arrays["now_at_s"]), float(arrays["usual_at_s"])

    def _by_class(self, driven: NDArray[np.int64], usual: NDArray[np.float64], prior: float) -> NDArray[np.float64]:
        """Return the factor of each class; an arc counts up to `_SHARE_S`, so that one jam does not slow a city."""
        counted = np.minimum(1.0, _SHARE_S / np.maximum(usual[:, 0], 1e-9))[:, None] * usual
        sums = np.stack([np.bincount(self._class[driven], part, len(ROAD_CLASSES)) for part in counted.T], axis=1)
        factor: NDArray[np.float64] = (_USUAL_S * prior + sums[:, 1]) / (_USUAL_S + sums[:, 0])
        return factor

    def _take_rows(self, arcs: NDArray[np.int32]) -> None:
        new = np.unique(arcs[self._row[arcs] < 0])
        first = len(self._usual)
        self._usual = np.concatenate([self._usual, np.zeros((new.size, BANDS, 2), np.float32)])
        self._row[new] = np.arange(first, first + new.size)

    def _fade(self, at_s: float) -> None:
        self._now *= 0.5 ** ((at_s - self._now_at_s) / _HALF_LIFE_S)
        self._now_at_s = at_s
        if at_s - self._usual_at_s >= _USUAL_FADES_S:
            self._usual *= np.float32(0.5 ** ((at_s - self._usual_at_s) / _USUAL_HALF_LIFE_S))
            self._usual_at_s = at_s


class _Map(NamedTuple):
    free_ms: NDArray[np.int32]
    arc_dm: NDArray[np.int32]


class _Track(NamedTuple):
    arc: NDArray[np.int32]
    along_m: NDArray[np.float64]
    path_start: NDArray[np.int32]
    path_arcs: NDArray[np.int32]
    times_s: NDArray[np.float64]


@road_rule
def _mapped_s(track: _Track, roads: _Map, fix: int, onward: int, place: int) -> float:
    """Return the free-flow seconds of the part of an arc that a step drives."""
    arc = track.path_arcs[place]
    length_m = max(roads.arc_dm[arc] / 10.0, 0.1)
    begin_m, end_m = 0.0, length_m
    if place == track.path_start[fix]:
        begin_m = min(length_m, track.along_m[fix])
    if place == track.path_start[fix + 1] - 1:
        end_m = min(length_m, track.along_m[onward])
    return max(0.0, end_m - begin_m) / length_m * roads.free_ms[arc] / 1000.0


@road_rule
def _steps(track: _Track, roads: _Map) -> tuple[Any, ...]:
    """Return for every arc of every step its seconds on the map, those driven, and the fix at which the step began."""
    most = track.path_arcs.size
    arcs, mapped_s, driven_s = np.empty(most, np.int32), np.empty(most), np.empty(most)
    fixes = np.empty(most, np.int64)
    count = 0
    for fix in range(track.arc.size - 1):
        first, last = track.path_start[fix], track.path_start[fix + 1]
        if first == last:
            continue
        onward = fix + 1
        while track.arc[onward] < 0:
            onward += 1
        elapsed_s, step_s = track.times_s[onward] - track.times_s[fix], 0.0
        for place in range(first, last):
            step_s += _mapped_s(track, roads, fix, onward, place)
        if elapsed_s <= 0 or elapsed_s > _LONGEST_STEP_S or step_s < _LEAST_STEP_S:
            continue
        factor = min(_SLOWEST, max(_FASTEST, elapsed_s / step_s))
        for place in range(first, last):
            part_s = _mapped_s(track, roads, fix, onward, place)
            arcs[count], mapped_s[count], driven_s[count] = track.path_arcs[place], part_s, part_s * factor
            fixes[count] = fix
            count += 1
    return arcs[:count], mapped_s[:count], driven_s[:count], fixes[:count]
