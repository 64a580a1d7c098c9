"""The embedded road network as a provider: loaded once a process, asked in threads so that the loop goes on."""

import asyncio
import datetime
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray

from engine.roads.barred import BarredRoads
from engine.roads.network import RoadNetwork
from engine.roads.waiting import RETRY_S
from engine.roads.weights import RoadWeights
from engine.travel.answers import Journey, OutOfRegion, Place, TravelLeg, TravelMatrix
from models.errors import BadSettings, ProviderDown

__all__ = ["EmbeddedRoads", "Weighed", "Weigher", "free_flow"]

log = structlog.get_logger(__name__)


class Weighed(NamedTuple):
    """A state of the roads."""

    weights: RoadWeights
    traffic: datetime.datetime | None
    """Of when its traffic is; None where the roads are free."""


Weigher = Callable[[RoadNetwork, Journey], Weighed]
"""Says what state the roads are in for a journey; barriers are put in afterwards."""

_THREADS = 2  # a matrix takes threads of its own; these hold what waits for it


def free_flow(network: RoadNetwork, journey: Journey) -> Weighed:
    """Return the roads as the map has them, at any time the same."""
    return Weighed(network.free_flow(journey.profile), None)


class EmbeddedRoads:
    """Roads of one region.

    Parameters
    ----------
    path
        File of `outrider roads build`.
    weigher
        Says what state the roads are in.
    """

    name = "roads"

    def __init__(self, path: Path, weigher: Weigher = free_flow) -> None:
        self._path, self._weigher = path, weigher
        self._network: RoadNetwork | None = None
        self._barred = BarredRoads()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="travel")

    async def matrix(self, places: NDArray[np.float64], journey: Journey) -> TravelMatrix:
        """Return times and lengths on the roads; places in the region that no road is near are `off_road`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._matrix, places, journey)

    async def leg(self, origin: Place, destination: Place, journey: Journey) -> TravelLeg | None:
        """Return the way on the roads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._leg, origin, destination, journey)

    async def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matrix(self, places: NDArray[np.float64], journey: Journey) -> TravelMatrix:
        network = self._in_region(places)
        state = self._weigher(network, journey)
        found = network.matrix(places, weights=self._barred.around(network, state.weights, journey.barriers))
        off_road = tuple(np.flatnonzero(~found.origins.found).tolist())
        return TravelMatrix(
            found.duration_s,
            found.distance_m,
            self.name,
            network.date,
            off_road=off_road,
            traffic=state.traffic,
            closures=len(journey.barriers),
        )

    def _leg(self, origin: Place, destination: Place, journey: Journey) -> TravelLeg | None:
        network = self._in_region(np.array([origin, destination]))
        state = self._weigher(network, journey)
        weights = self._barred.around(network, state.weights, journey.barriers)
        found = network.leg(origin, destination, weights=weights)
        if found is None:
            return None
        line = list(zip(found.latitudes.tolist(), found.longitudes.tolist(), strict=True))
        whole = found.duration_s, found.distance_m
        return TravelLeg(origin, destination, *whole, line, self.name, network.date, state.traffic)

    def _in_region(self, places: NDArray[np.float64]) -> RoadNetwork:
        network = self._network or self._loaded()
        south, west, north, east = network.box
        lat, lon = places[:, 0], places[:, 1]
        if not ((lat >= south) & (lat <= north) & (lon >= west) & (lon <= east)).all():
            raise OutOfRegion
        return network

    def _loaded(self) -> RoadNetwork:
        try:
            network = RoadNetwork.load(self._path)
        except BadSettings as fault:
            raise ProviderDown(str(fault), RETRY_S) from fault
        log.info("roads.loaded", path=str(self._path), date=network.date, arcs=network.arc_count)
        self._network = network
        return network
