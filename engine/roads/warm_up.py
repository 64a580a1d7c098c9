"""Makes the road network of the demo's region and compiles the rules of roads: `python -m engine.roads.warm_up`.

Set-up runs it. Without the network, travel times are asked of the next provider.
"""

import hashlib
import os
from pathlib import Path

import numpy as np

from engine.roads import PORTO
from engine.roads.build import build_network
from engine.roads.file import read_network
from engine.roads.matching import RoadMatcher
from engine.roads.network import RoadNetwork
from engine.roads.pinned import Journeys, PinnedWays
from engine.roads.traffic import TrafficLedger
from models.errors import BadSettings

__all__ = ["BUILT", "is_built"]

BUILT = Path(__file__).parent / "built" / "porto.roads"
"""Where it is put."""

_MAKERS = ("extract", "file", "graph", "hierarchy", "profiles", "snapping", "turns", "twins", "build")
_NICENESS = 10  # whoever is at work goes first


def is_built() -> bool:
    """Tell whether the network is there, made by the rules as they are."""
    try:
        return bool(read_network(BUILT)[0].get("makers") == _makers())
    except BadSettings:
        return False


def _makers() -> str:
    """Return a digest of what makes a network."""
    here = Path(__file__).parent
    sources = b"".join((here / f"{name}.py").read_bytes() for name in _MAKERS)
    return hashlib.blake2b(sources, digest_size=8).hexdigest()


def main() -> None:
    """Make the network unless it is there, and ask it once."""
    if not is_built():
        build_network(PORTO, BUILT, about={"makers": _makers()})
    network = RoadNetwork.load(BUILT)
    places = [(41.1496, -8.6109), (41.1621, -8.5830), (41.1496, -8.6111)]
    network.matrix(places)
    lat, lon = np.transpose(places)
    snaps = network.snap(lat, lon)
    network.snapped_ways(snaps, snaps, network.free_flow())
    journeys = Journeys(np.arange(2), is_to_pinned=True)
    PinnedWays(network).ways((lat[:2], lon[:2]), (lat[1:], lon[1:]), network.free_flow(), journeys)
    network.closed(network.free_flow(), [0])
    if (way := network.leg(places[0], places[1])) is not None:  # and somebody who drives it
        matched = RoadMatcher(network).match(way.latitudes, way.longitudes, way.seconds)
        TrafficLedger(network).learn(matched, way.seconds, np.zeros(way.seconds.size, np.int64))


if __name__ == "__main__":
    os.nice(_NICENESS)
    main()
