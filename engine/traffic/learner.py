"""From fixes of a fleet to a state of traffic: matched to the roads, taken into the ledger. For threads."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import structlog
from numpy.typing import NDArray

from engine.roads.matching import RoadMatcher
from engine.roads.network import RoadNetwork
from engine.roads.states import TrafficState, read_arrays, write_arrays
from engine.roads.traffic import BANDS, TrafficLedger, band_of
from engine.traffic.tracks import RecentTracks
from engine.travel.pace import ROAD_PACES
from models.documents.vehicle import VehicleProfile
from models.errors import BadSettings

__all__ = ["Learned", "TrafficLearner"]

log = structlog.get_logger(__name__)

_PROFILE: VehicleProfile = "van"
_KEPT = frozenset({"driven", "usual", "now", "now_at_s", "usual_at_s", "newest_s", "until_s"})


@dataclass(frozen=True, slots=True)
class Learned:
    """What a look taught."""

    fixes: int
    matched: int
    steps: int


class TrafficLearner:
    """Learns from one region's drives.

    Parameters
    ----------
    network
        The roads.
    zone
        By whose clocks hours are counted.
    """

    def __init__(self, network: RoadNetwork, zone: ZoneInfo) -> None:
        self._network, self._zone = network, zone
        self._matcher, self._ledger = RoadMatcher(network, _PROFILE), TrafficLedger(network, _PROFILE)
        self._tracks = RecentTracks()
        self._newest_s = 0.0
        self.until_s = 0.0
        """Up to when history has been learned from, epoch seconds; 0 = not at all."""
        hours = ROAD_PACES[_PROFILE].hours
        # the usual shape of a city's day, until the fleet says otherwise: a Wednesday, then a Saturday
        self._priors = [hours[2 * 24 + hour] for hour in range(24)] + [hours[5 * 24 + hour] for hour in range(24)]

    @property
    def arcs(self) -> int:
        """Return how many arcs were ever driven."""
        return int(self._ledger.driven.size)

    def take(self, stored: NDArray[np.void], now_s: float) -> Learned:
        """Learn from new fixes (`STORED`, any order): all that came up to `now_s`, epoch seconds."""
        self.until_s = now_s  # at once: what fails is not tried again
        lat, lon, seconds, starts = self._tracks.take(stored, now_s)
        if lat.size < 2:
            return Learned(int(stored.size), 0, 0)
        matched = self._matcher.match(lat, lon, seconds, starts)
        steps = self._ledger.learn(matched, seconds, self._bands(seconds))
        if steps:
            self._newest_s = max(self._newest_s, float(seconds[matched.arc >= 0].max()))
        return Learned(int(stored.size), int((matched.arc >= 0).sum()), steps)

    def state(self) -> TrafficState:
        """Return the traffic of the newest fix."""
        usual = [self._ledger.usual(band, prior) for band, prior in enumerate(self._priors)]
        [band] = self._bands(np.array([self._newest_s])).tolist()
        return TrafficState(
            network=self._network.mark,
            at_s=self._newest_s,
            driven=self._ledger.driven,
            by_class=np.stack([by_class for by_class, _ in usual]).astype(np.float32),
            usual=np.stack([own for _, own in usual]).astype(np.float32),
            now=self._ledger.factors(self._newest_s, band, self._priors[band]).astype(np.float32),
        )

    def save(self, path: Path) -> None:
        """Write down what was learned, for the next start."""
        arrays = {
            **self._ledger.arrays(),
            "network": np.array(self._network.mark),
            "newest_s": np.array(self._newest_s),
            "until_s": np.array(self.until_s),
        }
        write_arrays(path, arrays)

    def resume(self, path: Path) -> None:
        """Go on from what was written down of this network; of another, or damaged, it begins anew."""
        if not path.is_file():
            return
        try:
            found = read_arrays(path)
            self._check(found)
        except BadSettings as fault:
            log.warning("traffic.begun_anew", error=str(fault))
            return
        self._ledger.resume(found)
        self._newest_s, self.until_s = float(found["newest_s"]), float(found["until_s"])

    def _check(self, found: Mapping[str, NDArray[np.generic]]) -> None:
        if str(found.get("network")) != self._network.mark:
            raise BadSettings("what was learned is of another road network")
        if missing := _KEPT - found.keys():
            raise BadSettings(f"what was learned lacks {', '.join(sorted(missing))}")
        driven, usual = found["driven"], found["usual"]
        if usual.shape != (driven.size, BANDS, 2) or found["now"].shape != (driven.size, 2):
            raise BadSettings("what was learned is of another release")

    def _bands(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the band of each instant, asked once for each quarter of an hour."""
        quarters, back = np.unique((seconds // 900).astype(np.int64), return_inverse=True)
        local = [datetime.datetime.fromtimestamp(int(quarter) * 900, self._zone) for quarter in quarters]
        return np.array([band_of(one.weekday(), one.hour) for one in local], np.int64)[back]
