"""Base times of drives on a road network, by free flow."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.roads.network import UNREACHABLE, RoadNetwork
from pipelines.drives import Ways

__all__ = ["road_ways"]


def road_ways(path: Path) -> Ways:
    """Return who knows the times of a file that `outrider roads build` made.

    Raises
    ------
    BadSettings
        If it can't be read.
    """
    network = RoadNetwork.load(path)

    def ways(
        origins: NDArray[np.float64], destination: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        found = network.matrix(origins, [destination])
        is_way = found.duration_s[:, 0] < UNREACHABLE
        duration_s = np.where(is_way, found.duration_s[:, 0], np.nan)
        return duration_s, np.where(is_way, found.distance_m[:, 0], np.nan)

    return ways
