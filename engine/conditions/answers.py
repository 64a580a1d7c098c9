"""What is asked about conditions, and what is answered. Pure."""

import math
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, Protocol, TypeVar

import msgspec

__all__ = ["Cell", "Condition", "ConditionProvider", "ConditionT", "Flow", "Known", "Weather", "cell_of", "middle_of"]

Cell = tuple[int, int]
"""A square of a grid in degrees: south and west edge, in sides."""

_HOUR_S = 3600


class Condition(msgspec.Struct, frozen=True):
    """What somebody said of a cell. Kept as JSON."""

    KIND: ClassVar[str] = ""
    SIDE_DEG: ClassVar[float] = 1.0
    """Side of the cells that it is asked for."""

    said_s: float
    """When, epoch seconds."""


class Weather(Condition, frozen=True):
    """Weather by the hour. Of hours that are missing, and of None, nothing is known."""

    KIND: ClassVar[str] = "weather"
    SIDE_DEG: ClassVar[float] = 0.1  # 11 km: no finer than models of weather

    begins_s: int
    """Of the first hour, epoch seconds."""
    rain_mm_h: tuple[float | None, ...]
    """Rain or melted snow."""
    temperature_c: tuple[float | None, ...]
    wind_mps: tuple[float | None, ...]

    def hour(self, at_s: float) -> tuple[float, float, float]:
        """Return rain, temperature and wind at an instant; NaN where unknown."""
        place = math.floor((at_s - self.begins_s) / _HOUR_S)
        if not 0 <= place < len(self.rain_mm_h):
            return math.nan, math.nan, math.nan
        found = self.rain_mm_h[place], self.temperature_c[place], self.wind_mps[place]
        rain, temperature, wind = (math.nan if value is None else value for value in found)
        return rain, temperature, wind


class Flow(Condition, frozen=True):
    """How traffic flows now."""

    KIND: ClassVar[str] = "traffic"
    SIDE_DEG: ClassVar[float] = 0.04  # 4 km: a part of a city

    ratio: float | None
    """Travel time now ÷ on a free road; None where nobody knows."""


ConditionT = TypeVar("ConditionT", bound=Condition)


@dataclass(frozen=True, slots=True)
class Known(Generic[ConditionT]):
    """What is known of a cell."""

    condition: ConditionT
    provider: str
    """Who said so."""
    source: Literal["provider", "cache"]
    """`cache`: what the provider said before; it was away."""


class ConditionProvider(Protocol[ConditionT]):
    """Knows what it is like somewhere."""

    name: str
    answers: type[ConditionT]

    async def ask(self, latitude: float, longitude: float) -> ConditionT:
        """Return what it is like around a place; raises ProviderDown if it can't tell at the moment."""

    async def close(self) -> None:
        """Let go of connections. May be called twice."""


def cell_of(kind: type[Condition], latitude: float, longitude: float) -> Cell:
    """Return the cell of a place."""
    return math.floor(latitude / kind.SIDE_DEG), math.floor(longitude / kind.SIDE_DEG)


def middle_of(kind: type[Condition], cell: Cell) -> tuple[float, float]:
    """Return the middle of a cell, degrees."""
    south, west = cell
    return round((south + 0.5) * kind.SIDE_DEG, 4), round((west + 0.5) * kind.SIDE_DEG, 4)
