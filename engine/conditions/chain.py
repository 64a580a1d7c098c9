"""Weather and traffic of places, from whoever can tell."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from engine.conditions.answers import Cell, ConditionProvider, ConditionT, Flow, Known, Weather, cell_of
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
        weather, flow = await asyncio.gather(_known(self.weather, listed, most), _known(self.flow, listed, most))
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

    def source(provider: ConditionProvider[ConditionT], fresh_s: float, kept_s: float) -> ConditionSource[ConditionT]:
        breaker = Breaker(
            f"conditions:{provider.name}", settings.failures, settings.recovery_s, settings.conditions_timeout_s + 0.5
        )
        return ConditionSource(provider, breaker, folder, fresh_s=fresh_s, kept_s=kept_s, clock=clock)

    weather = flow = None
    if settings.weather_url is not None:
        asked = OpenMeteoWeather(settings.weather_url, settings.conditions_timeout_s)
        weather = source(asked, settings.weather_fresh_s, settings.weather_kept_s)
    if settings.flow_url is not None:
        server = FlowServer(settings.flow_url, settings.conditions_timeout_s)
        flow = source(server, settings.flow_fresh_s, settings.flow_kept_s)
    return Conditions(weather, flow)


async def _known(
    source: ConditionSource[ConditionT] | None, places: list[tuple[float, float]], most: int
) -> dict[Cell, Known[ConditionT]] | None:
    """Return what is known of the `most` cells with most places; None where nobody is to be asked."""
    if source is None:
        return None
    counted = Counter(cell_of(source.kind, *place) for place in places)
    return await source.of([cell for cell, _ in counted.most_common(most)])


def _conditions(known: dict[Cell, Known[Any]] | None) -> dict[Cell, Any]:
    return {} if known is None else {cell: one.condition for cell, one in known.items()}
