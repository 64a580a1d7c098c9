"""What is known of the conditions of some cells at a time, for places and moments in arrays. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.conditions.answers import Cell, Flow, Known, Weather, cell_of

__all__ = ["ConditionBoard", "Met"]


@dataclass(frozen=True, slots=True)
class ConditionBoard:
    """Conditions by cell."""

    weather: Mapping[Cell, Weather] = field(default_factory=dict)
    flow: Mapping[Cell, Flow] = field(default_factory=dict)

    def weather_at(
        self, latitudes: NDArray[np.float64], longitudes: NDArray[np.float64], moments_s: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return rain (mm/h), temperature (°C) and wind (m/s) at N places and moments; NaN where unknown."""
        found = np.full((3, len(latitudes)), np.nan)
        if self.weather:
            hours: dict[tuple[Cell, int], tuple[float, float, float]] = {}
            places = zip(latitudes.tolist(), longitudes.tolist(), moments_s.tolist(), strict=True)
            for row, (latitude, longitude, at_s) in enumerate(places):
                cell = cell_of(Weather, latitude, longitude)
                key = cell, int(at_s // 3600)
                if key not in hours:
                    known = self.weather.get(cell)
                    hours[key] = (np.nan, np.nan, np.nan) if known is None else known.hour(at_s)
                found[:, row] = hours[key]
        return found[0], found[1], found[2]

    def flow_at(self, latitudes: NDArray[np.float64], longitudes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return travel time in the traffic of now ÷ on free roads around N places; NaN where unknown."""
        found = np.full(len(latitudes), np.nan)
        if self.flow:
            for row, place in enumerate(zip(latitudes.tolist(), longitudes.tolist(), strict=True)):
                known = self.flow.get(cell_of(Flow, *place))
                if known is not None and known.ratio is not None:
                    found[row] = known.ratio
        return found


@dataclass(frozen=True, slots=True)
class Met:
    """What was found out of some places."""

    board: ConditionBoard
    weather: tuple[Known[Weather], ...] | None
    """Of each cell that somebody knows; None where nobody is to be asked."""
    flow: tuple[Known[Flow], ...] | None
