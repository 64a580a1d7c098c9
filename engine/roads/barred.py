"""Roads with barriers in them: made once for each set of barriers, and kept by what is different in them.

To make one anew takes some twenty milliseconds for a city, to copy one and put the differences in takes two.
"""

import contextlib
import threading
import weakref

from cachetools import LRUCache

from engine.roads.barriers import Barrier
from engine.roads.network import RoadNetwork
from engine.roads.weights import Differences, RoadWeights

__all__ = ["BarredRoads"]

_MOST_WHOLE = 6  # those asked for last; 17 MB each for a city
_MOST_BYTES = 64 * 2**20  # of differences: some 500 companies with some streets closed

_Key = tuple[weakref.ReferenceType[RoadWeights], tuple[Barrier, ...]]


class BarredRoads:
    """States of the roads around barriers. Safe to share between threads."""

    def __init__(self) -> None:
        self._whole: LRUCache[_Key, RoadWeights] = LRUCache(_MOST_WHOLE)
        self._differences: LRUCache[_Key, Differences] = LRUCache(_MOST_BYTES, getsizeof=lambda one: one.nbytes)
        self._making = threading.Lock()

    def around(self, network: RoadNetwork, weights: RoadWeights, barriers: tuple[Barrier, ...]) -> RoadWeights:
        """Return a state of the roads in which nothing goes through barriers; as it is where there are none."""
        if not barriers:
            return weights
        key = weakref.ref(weights), barriers  # nobody holds on to the traffic of an hour ago
        with self._making:
            whole = self._whole.get(key)
            if whole is None:
                known = self._differences.get(key)
                whole = self._made(network, weights, barriers, key) if known is None else known.on(weights)
                self._whole[key] = whole
        return whole

    def _made(
        self, network: RoadNetwork, weights: RoadWeights, barriers: tuple[Barrier, ...], key: _Key
    ) -> RoadWeights:
        whole = network.around(weights, barriers)
        with contextlib.suppress(ValueError):  # too much to be kept
            self._differences[key] = whole.differences(weights)
        return whole
