"""What a road network says of recorded drives: base times by free flow, and the traffic that the drives themselves met.

Traffic is learned as the engine learns it from its fleet (`engine.traffic.learner`): from all fixes that were there
before a moment, whoever sent them, and from none that came later.
"""

import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.eta.bases import PROFILES, Ends, RoadBases
from engine.roads.network import UNREACHABLE, RoadNetwork
from engine.roads.weights import RoadWeights
from engine.traffic.learner import TrafficLearner
from engine.traffic.weigher import bands_of
from models.messages.fixes import DEGREE, STORED, Outcome
from pipelines.drives import Drives
from pipelines.trips import Trips

__all__ = ["RoadsDriven"]

_LOOK_S = 300  # a fifth as often as the engine looks: each look puts new weights on the roads
_PROFILE = "car"


class RoadsDriven:
    """The roads that drives were on.

    Parameters
    ----------
    path
        Of a file that `outrider roads build` made.
    drives
        All that tell of traffic.
    zone
        By whose clocks the hours of traffic are counted.

    Raises
    ------
    BadSettings
        If the file can't be read.
    """

    def __init__(self, path: Path, drives: Drives, zone: str) -> None:
        self._network, self._zone = RoadNetwork.load(path), ZoneInfo(zone or "UTC")
        self._fixes = _stored(drives)

    def ways(
        self, origins: NDArray[np.float64], destination: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return free-flow seconds and metres from N places to one (`pipelines.drives.Ways`)."""
        found = self._network.matrix(origins, [destination])
        is_way = found.duration_s[:, 0] < UNREACHABLE
        duration_s = np.where(is_way, found.duration_s[:, 0], np.nan)
        return duration_s, np.where(is_way, found.distance_m[:, 0], np.nan)

    def in_traffic(self, *parts: Trips) -> list[Trips]:
        """Return legs with the `traffic_ratio` that was known at the last look before the moment of each."""
        learner, bases = TrafficLearner(self._network, self._zone), RoadBases(self._network)
        came, asked = self._fixes["time"] // 1000 // _LOOK_S + 1, [_looks(part) for part in parts]
        ratios, taken = [np.full(len(part), np.nan) for part in parts], 0
        for look in np.unique(np.concatenate([came, *asked])).tolist():
            until = int(np.searchsorted(came, look, side="right"))
            learner.take(self._fixes[taken:until], look * _LOOK_S)
            taken, rows = until, [np.flatnonzero(looks == look) for looks in asked]
            if not (learner.arcs and any(map(len, rows))):
                continue
            now = bases.in_traffic({_PROFILE: self._weights(learner, look * _LOOK_S)}, look * _LOOK_S)
            for part, ratio, mine in zip(parts, ratios, rows, strict=True):
                ends = Ends.of(part.take(mine).legs, np.full(mine.size, PROFILES.index(_PROFILE), np.uint8))
                ratio[mine] = now.between(ends, traffic_of=np.ones(mine.size, bool)).traffic
        return [
            Trips({**part.legs, "traffic_ratio": ratio}, part.split, part.refused)
            for part, ratio in zip(parts, ratios, strict=True)
        ]

    def _weights(self, learner: TrafficLearner, at_s: int) -> RoadWeights:
        bands = bands_of(datetime.datetime.fromtimestamp(at_s, datetime.UTC), datetime.timedelta(), self._zone)
        return self._network.weights(_PROFILE, learner.state().factors(self._network.classes, bands, at_s))


def _looks(legs: Trips) -> NDArray[np.int64]:
    """Return which look was the last before the moment of each leg."""
    return np.asarray(legs.legs["moment_ms"] // 1000 // _LOOK_S)


def _stored(drives: Drives) -> NDArray[np.void]:
    """Return the fixes of all drives as history has them, in the order of time, each drive with a number of its own."""
    fixes = np.zeros(sum(map(len, drives.time_ms)), STORED)
    fixes["time"], places = np.concatenate(drives.time_ms), np.concatenate(drives.places)
    fixes["lat"], fixes["lon"] = np.rint(places * DEGREE).astype(np.int32).T
    fixes["driver"] = np.repeat(np.arange(len(drives)), [len(times) for times in drives.time_ms])
    fixes["outcome"] = Outcome.LIVE
    return fixes[np.argsort(fixes["time"], kind="stable")]
