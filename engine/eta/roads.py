"""Roads and traffic for a shard's base times: loaded beside the pings, and put in place at once."""

import asyncio
import datetime
import time
from datetime import UTC
from pathlib import Path

import numpy as np
import structlog

from engine.eta.bases import PROFILES, Ends, RoadBases
from engine.eta.live import LiveEtas
from engine.roads.network import RoadNetwork
from engine.roads.waiting import awaited_network
from engine.traffic.weigher import TrafficWeigher
from engine.travel.answers import Journey
from engine.travel.embedded import Weighed
from models.documents.vehicle import VehicleProfile

__all__ = ["RoadWatch"]

log = structlog.get_logger(__name__)

_FOLLOW_S = 5.0
_USUAL: VehicleProfile = "van"
_DRIVEN: tuple[VehicleProfile, ...] = ("van", "car", "truck")  # bikes pass by the jam


class RoadWatch:
    """Gives live estimates the roads of a file, and the traffic on them.

    Parameters
    ----------
    path
        File of `outrider roads build`.
    etas
        Whose base times become those of the roads.
    traffic
        What the roads take now; None for free roads alone.
    """

    def __init__(self, path: Path, etas: LiveEtas, traffic: TrafficWeigher | None = None) -> None:
        self._path, self._etas, self._traffic = path, etas, traffic

    async def run(self) -> None:
        """Wait until the file can be read, then follow the traffic; until then the great circle says base times."""
        began = time.monotonic()
        base = await asyncio.to_thread(_asked_once, await awaited_network(self._path))
        self._etas.base = base
        log.info("roads.taken", path=str(self._path), duration_ms=round((time.monotonic() - began) * 1000))
        known: datetime.datetime | None = None
        while self._traffic is not None:
            found = await asyncio.to_thread(_weighed, base.network, self._traffic)
            at = None if found is None else found[_USUAL].traffic
            if found is not None or known is not None:
                weights = {} if found is None else {str(name): one.weights for name, one in found.items()}
                self._etas.base = base.in_traffic(weights, None if at is None else at.timestamp())
            if at != known:
                log.debug("traffic.taken", at=None if at is None else at.isoformat())
            known = at
            await asyncio.sleep(_FOLLOW_S)


def _weighed(network: RoadNetwork, traffic: TrafficWeigher) -> dict[VehicleProfile, Weighed] | None:
    """Return the roads in the traffic of now, by profile; None while nobody knows it."""
    now = datetime.datetime.now(tz=UTC)
    found = {name: traffic(network, Journey(name, now)) for name in _DRIVEN if name in network.profiles}
    return found if found and all(one.traffic is not None for one in found.values()) else None


def _asked_once(network: RoadNetwork) -> RoadBases:
    """Return the base times of roads, asked once: what the first question would wait for is behind it then."""
    base = RoadBases(network)
    south, west, north, east = network.box
    corners = {"from_lat": [south], "from_lon": [west], "to_lat": [north], "to_lon": [east]}
    base.between(Ends.of(corners, np.array([PROFILES.index(_USUAL)], np.uint8)))
    return base
