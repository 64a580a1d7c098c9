"""Roads with barriers in them: made once for each set of barriers, and kept while they are asked for."""

import threading
from collections import OrderedDict

from engine.roads.barriers import Barrier
from engine.roads.network import RoadNetwork
from engine.roads.weights import RoadWeights

__all__ = ["BarredRoads"]

_MOST = 6  # 17 MB each for a city


class BarredRoads:
    """States of the roads around barriers. Safe to share between threads."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[int, tuple[Barrier, ...]], tuple[RoadWeights, RoadWeights]] = OrderedDict()
        self._making = threading.Lock()

    def around(self, network: RoadNetwork, weights: RoadWeights, barriers: tuple[Barrier, ...]) -> RoadWeights:
        """Return a state of the roads in which nothing goes through barriers; as it is where there are none."""
        if not barriers:
            return weights
        key = (id(weights), barriers)
        with self._making:
            before, made = self._made.get(key, (None, None))
            if made is None or before is not weights:
                made = network.around(weights, barriers)
                self._made[key] = weights, made  # with what it was made of, so that nobody else gets its id
                while len(self._made) > _MOST:
                    self._made.popitem(last=False)
            self._made.move_to_end(key)
        return made
