"""By how much the hour, the traffic and the weather lengthen ways. Pure.

What the fleet itself met says the traffic of the roads, and the weather of this hour with it; else a traffic server
says that of the next hour, and the hour of the week what is usual; the weather multiplies all other hours.
"""

import datetime
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.conditions.answers import Flow, Known, Weather
from engine.conditions.board import ConditionBoard, Met
from engine.travel.answers import Journey
from models.documents.job import ConditionTold
from models.eta.weather import weather_factor

__all__ = ["Slowing", "slowing_of"]

_HOUR_S = 3600.0


class Slowing(NamedTuple):
    """What driving times are multiplied by."""

    around: NDArray[np.float64]
    """Of ways that begin or end at each of N places."""
    told: tuple[ConditionTold, ...]
    """Who said so."""

    @property
    def between(self) -> NDArray[np.float64]:
        """Return the factors of all ways, N × N: the mean of both ends'."""
        return np.asarray((self.around[:, None] + self.around[None, :]) / 2)


def slowing_of(
    met: Met,
    places: NDArray[np.float64],
    journey: Journey,
    usual: Sequence[float],
    traffic: datetime.datetime | None,
) -> Slowing:
    """Return by how much ways take longer than on free roads in dry weather.

    Parameters
    ----------
    met
        What is known of the places.
    places
        N × 2 (latitude, longitude).
    journey
        Who drives, and when the first vehicle sets out.
    usual
        What each hour from then on usually does to driving times; 1 throughout where the times hold that already.
    traffic
        Of when the traffic is that the times hold; None where they hold none.
    """
    by_bike, begin_s = journey.profile == "bike", journey.at.timestamp()
    flow = None if by_bike or traffic is not None else met.flow
    weathered = _weathered(met.board, places, begin_s, len(usual), by_bike)
    if traffic is not None:
        begins_s = begin_s + _HOUR_S * np.arange(len(usual))
        weathered[begins_s < traffic.timestamp() + _HOUR_S] = 1.0  # what the fleet met just now, it met in this weather
    hours = np.tile(np.asarray(usual, np.float64)[:, None], (1, len(places)))
    flowing: NDArray[np.float64] = np.full(len(places), np.nan)
    if flow and abs(begin_s - min(one.condition.said_s for one in flow)) < _HOUR_S:
        flowing = met.board.flow_at(places[:, 0], places[:, 1])
        hours[0] = np.where(np.isfinite(flowing), flowing, hours[0])
        weathered[0] = np.where(np.isfinite(flowing), 1.0, weathered[0])  # it flows so in this weather
    told = []
    if met.weather is not None:
        told.append(_told(Weather.KIND, met.weather, float(weathered.mean())))
    if flow is not None:
        is_used = np.isfinite(flowing).any()
        told.append(_told(Flow.KIND, flow if is_used else (), float(np.nanmean(flowing)) if is_used else 1.0))
    return Slowing((hours * weathered).mean(axis=0), tuple(told))


def _weathered(
    board: ConditionBoard, places: NDArray[np.float64], begin_s: float, hours: int, by_bike: bool
) -> NDArray[np.float64]:
    """Return what the weather of each hour does at each place, hours × N."""
    rows = np.tile(places, (hours, 1))
    moments_s = np.repeat(begin_s + _HOUR_S * np.arange(hours), len(places))
    weather = board.weather_at(rows[:, 0], rows[:, 1], moments_s)
    return weather_factor(*weather, by_bike).reshape(hours, len(places))


def _told(kind: str, known: Sequence[Known[Any]], factor: float) -> ConditionTold:
    """Return who said something, or that nobody did; the oldest word counts."""
    if not known:
        return ConditionTold.model_validate({"kind": kind, "provider": "none", "factor": 1.0})
    oldest = min(one.condition.said_s for one in known)
    return ConditionTold.model_validate(
        {
            "kind": kind,
            "provider": known[0].provider,
            "source": "cache" if any(one.source == "cache" for one in known) else "provider",
            "as_of": datetime.datetime.fromtimestamp(oldest, datetime.UTC),
            "factor": round(factor, 3),
        }
    )
