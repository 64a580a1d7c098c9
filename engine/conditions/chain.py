"""Weather and traffic of places, from whoever can tell."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from engine.conditions.answers import Cell, Condition, Flow, Known, Weather, cell_of
from engine.conditions.board import ConditionBoard, Met
from engine.conditions.sources import ConditionSource
from engine.providers.breaker import Breaker
from engine.providers.flow import FlowServer
from engine.providers.weather import OpenMeteoWeather
from engine.settings import TravelSettings

__all__ = ["Conditions", "conditions_of"]

_MOST_CELLS = 12  # of a question that somebody waits for


class Conditions:
    """Asks for weather and traffic.

    Parameters
    ----------
    weather, flow
        Who is asked; None for nobody.
    """

    def __init__(
        self, weather: ConditionSource[Weather] | None = None, flow: ConditionSource[Flow] | None = None
    ) -> None:
        self.weather, self.flow = weather, flow

    @property
    def are_asked(self) -> bool:
        """Tell whether there is anybody to ask."""
        return self.weather is not None or self.flow is not None

    async def met(self, places: Iterable[tuple[float, float]], most: int = _MOST_CELLS) -> Met:
        """Return the conditions around places (latitude, longitude), as far as anybody knows them.

        Of `most` cells of a kind, those with most places; of others nothing is known.
        """
        listed = list(places)
        weather = None if self.weather is None else await self.weather.of(_cells(Weather, listed, most))
        flow = None if self.flow is None else await self.flow.of(_cells(Flow, listed, most))
        board = ConditionBoard(_conditions(weather), _conditions(flow))
        return Met(
            board,
            None if weather is None else tuple(weather.values()),
            None if flow is None else tuple(flow.values()),
        )

    async def close(self) -> None:
        """Let go of connections."""
        for source in (self.weather, self.flow):
            if source is not None:
                await source.close()


def conditions_of(settings: TravelSettings, folder: Path, clock: Callable[[], float] = time.time) -> Conditions:
    """Return who is asked by these settings; what they said is kept in a folder that processes share.

    `clock` tells epoch seconds.
    """
    weather = flow = None
    if settings.weather_url is not None:
        weather = ConditionSource(
            OpenMeteoWeather(settings.weather_url, settings.conditions_timeout_s),
            _breaker("weather", settings),
            folder,
            fresh_s=settings.weather_fresh_s,
            kept_s=settings.weather_kept_s,
            clock=clock,
        )
    if settings.flow_url is not None:
        flow = ConditionSource(
            FlowServer(settings.flow_url, settings.conditions_timeout_s),
            _breaker("flow", settings),
            folder,
            fresh_s=settings.flow_fresh_s,
            kept_s=settings.flow_kept_s,
            clock=clock,
        )
    return Conditions(weather, flow)


def _breaker(name: str, settings: TravelSettings) -> Breaker:
    return Breaker(f"conditions:{name}", settings.failures, settings.recovery_s, settings.conditions_timeout_s + 0.5)


def _cells(kind: type[Condition], places: list[tuple[float, float]], most: int) -> list[Cell]:
    counted = Counter(cell_of(kind, *place) for place in places)
    return [cell for cell, _ in counted.most_common(most)]


def _conditions(known: dict[Cell, Known[Any]] | None) -> dict[Cell, Any]:
    return {} if known is None else {cell: one.condition for cell, one in known.items()}
