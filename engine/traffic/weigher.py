"""The state of the roads at an instant, as the embedded network is asked for it: free flow, or traffic where known."""

import datetime
import threading
import time
from collections import OrderedDict
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from engine.roads.network import RoadNetwork
from engine.roads.states import TrafficState, mark_of, read_state
from engine.roads.traffic import band_of
from engine.roads.weights import RoadWeights
from engine.travel.answers import Journey
from engine.travel.embedded import Weighed
from models.documents.vehicle import VehicleProfile
from models.errors import BadSettings

__all__ = ["UNTOUCHED", "TrafficFile", "TrafficWeigher", "bands_of"]

log = structlog.get_logger(__name__)

_LOOK_S = 2.0
_MOST_WEIGHTS = 6  # plans' and legs', of three profiles in traffic; 17 MB each for a city
_SLOT_S = 900

UNTOUCHED: frozenset[VehicleProfile] = frozenset({"bike"})
"""Who passes by the jam: nothing is learned from them, and nothing is slower for them."""


class TrafficFile:
    """Follows a file of traffic. Safe to share between threads.

    Parameters
    ----------
    path
        File of `engine.roads.states`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark = (0, 0)
        self._looked_at = -_LOOK_S
        self._state: TrafficState | None = None
        self._looking = threading.Lock()

    def state(self, network: RoadNetwork) -> TrafficState | None:
        """Return the newest state of a network; None while there is none. One that is damaged changes nothing."""
        with self._looking:
            if time.monotonic() - self._looked_at >= _LOOK_S:
                self._look()
                self._looked_at = time.monotonic()
            state = self._state
        if state is None or state.network != network.mark or state.now.size != network.arc_count:
            return None
        return state

    def _look(self) -> None:
        mark = mark_of(self._path)
        if mark == self._mark:
            return
        self._mark = mark
        if mark == (0, 0):
            self._state = None
            return
        try:
            self._state = read_state(self._path)
        except BadSettings as fault:
            log.warning("traffic.refused", error=str(fault))


class TrafficWeigher:
    """Says what state the roads are in.

    Parameters
    ----------
    traffic
        The state of traffic.
    zone
        By whose clocks its hours are counted.
    """

    def __init__(self, traffic: TrafficFile, zone: ZoneInfo) -> None:
        self._traffic, self._zone = traffic, zone
        self._made: OrderedDict[tuple[float, str, int, float], RoadWeights] = OrderedDict()
        self._making = threading.Lock()

    def __call__(self, network: RoadNetwork, journey: Journey) -> Weighed:
        """Return the roads for one who drives at an instant, or in the mean of the while that the journey lasts."""
        profile, at, lasts = journey.profile, journey.at, journey.lasts
        state = None if profile in UNTOUCHED else self._traffic.state(network)
        if state is None:
            return Weighed(network.free_flow(profile), None)
        key = (state.at_s, profile, int(at.timestamp()) // _SLOT_S, lasts.total_seconds())
        with self._making:
            weights = self._made.get(key)
            if weights is None:
                factors = state.factors(network.classes, bands_of(at, lasts, self._zone), at.timestamp())
                weights = network.weights(profile, factors)
                self._made[key] = weights
                while len(self._made) > _MOST_WEIGHTS:
                    self._made.popitem(last=False)
            self._made.move_to_end(key)
        return Weighed(weights, datetime.datetime.fromtimestamp(state.at_s, datetime.UTC))


def bands_of(at: datetime.datetime, lasts: datetime.timedelta, zone: ZoneInfo) -> dict[int, float]:
    """Return how much of a while is in each band of hours, the one that it begins in first; in sum 1."""
    count = max(1, round(lasts.total_seconds() / 3600))
    found: dict[int, float] = {}
    for hour in range(count):
        local = (at + datetime.timedelta(hours=hour)).astimezone(zone)
        band = band_of(local.weekday(), local.hour)
        found[band] = found.get(band, 0.0) + 1 / count
    return found
