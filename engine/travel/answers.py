"""What is asked about travel, and what is answered."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.roads.barriers import Barrier, holding, holding_up
from engine.roads.network import UNREACHABLE
from models.documents.job import ConditionTold, TravelTold
from models.documents.vehicle import VehicleProfile

__all__ = ["UNREACHABLE", "Journey", "OutOfRegion", "Place", "Source", "TravelLeg", "TravelMatrix", "TravelProvider"]

Place = tuple[float, float]
"""Latitude and longitude, degrees WGS 84."""

Source = Literal["provider", "cache"]
"""Whether an answer was made now, or kept from before because its provider is away."""


class OutOfRegion(Exception):
    """Raised inside when places lie outside a provider's map: the next provider is asked, and this one is well."""


@dataclass(frozen=True, slots=True)
class Journey:
    """Who drives, when, and around what."""

    profile: VehicleProfile
    at: datetime.datetime
    """When the first way begins."""
    lasts: datetime.timedelta = datetime.timedelta()
    """How long all of it takes: times are the mean of that while, or those of the instant."""
    barriers: tuple[Barrier, ...] = ()
    """What is closed, at any time and to anybody."""

    def held_up(self) -> "Journey":
        """Return it with those of the barriers alone that hold this vehicle up in that while."""
        held = holding(self.barriers, self.at.timestamp(), (self.at + self.lasts).timestamp())
        return replace(self, barriers=holding_up(held, self.profile))


@dataclass(frozen=True, slots=True)
class TravelMatrix:
    """Times and lengths between N places, row to column; `UNREACHABLE` where there is no way."""

    duration_s: NDArray[np.int64]
    distance_m: NDArray[np.int64]
    provider: str
    """Who says so: `roads`, `osrm`, `valhalla`, `great_circle`."""
    date: str | None
    """State of its map, `YYYY-MM-DD`, where it is known."""
    source: Source = "provider"
    off_road: tuple[int, ...] = ()
    """Places that are too far from every road."""
    traffic: datetime.datetime | None = None
    """Of when the traffic is that its times are of; None where they are of free roads."""
    closures: int = 0
    """How many closures the ways go around."""
    conditions: tuple[ConditionTold, ...] = ()
    """Who said what weather and traffic its times hold besides."""

    def kept(self) -> "TravelMatrix":
        """Return it as one that comes from the cache."""
        return replace(self, source="cache")

    def told(self, profile: VehicleProfile) -> TravelTold:
        """Return who said it, for whoever asks."""
        return TravelTold(
            profile=profile,
            provider=self.provider,
            source=self.source,
            map_date=self.date,
            traffic_as_of=self.traffic,
            conditions=self.conditions,
            closures=self.closures,
        )


@dataclass(frozen=True, slots=True)
class TravelLeg:
    """The way between two places, with its line on the map."""

    origin: Place
    destination: Place
    duration_s: float
    distance_m: float
    line: Sequence[Place]
    """Both ends included."""
    provider: str
    date: str | None
    traffic: datetime.datetime | None = None


class TravelProvider(Protocol):
    """Knows the way."""

    name: str

    async def matrix(self, places: NDArray[np.float64], journey: Journey) -> TravelMatrix:
        """Return times and lengths between N × 2 places (latitude, longitude), around all barriers if it can.

        Raises
        ------
        OutOfRegion
            If places are outside its map.
        ProviderDown
            If it can't tell at the moment.
        """

    async def leg(self, origin: Place, destination: Place, journey: Journey) -> TravelLeg | None:
        """Return the way between two places, None if there is none; raises as `matrix`."""

    async def close(self) -> None:
        """Let go of connections and threads. May be called twice."""
