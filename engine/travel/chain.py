"""Who is asked for times and lengths: the providers in order, each behind a breaker, then what one said before.

An answer names who gave it. The great circle comes last and always answers, so a plan is never held up by a map.
"""

import asyncio
import datetime
import functools
import hashlib
import itertools
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import structlog
from numpy.typing import ArrayLike, NDArray

from engine.conditions.chain import Conditions, conditions_of
from engine.providers.breaker import Breaker
from engine.providers.osrm import OsrmTravel
from engine.providers.valhalla import ValhallaTravel
from engine.roads.barriers import Barrier
from engine.roads.warm_up import BUILT
from engine.routing.ways import Known, KnownWays
from engine.settings import TravelSettings
from engine.traffic.weigher import TrafficFile, TrafficWeigher
from engine.travel.answers import UNREACHABLE, Journey, OutOfRegion, Place, TravelLeg, TravelMatrix, TravelProvider
from engine.travel.embedded import EmbeddedRoads, Weigher, free_flow
from engine.travel.great_circle import GreatCircle
from engine.travel.pace import FREE_PACE, ROAD_PACES, RoadPace, as_driven
from engine.travel.slowing import Slowing, slowing_of
from models.documents.vehicle import VehicleProfile
from models.errors import ProviderDown

__all__ = ["Travel", "providers_of", "travel_of"]

log = structlog.get_logger(__name__)

_KEPT_CELLS = 4_000_000  # of all matrices that are kept: 64 MB
_LONGEST_KEPT_S = 24 * 3600.0
_WORKING_DAY = datetime.timedelta(hours=8)  # of which a plan takes the mean pace
_SLOT_S = 900  # instants that count as the same to the cache …
_WEEK_S = 7 * 86_400  # … and the same ones of other weeks


def providers_of(settings: TravelSettings, weigher: Weigher = free_flow) -> list[TravelProvider]:
    """Return the providers that settings ask for, in their order; the great circle is not among them."""
    made: dict[str, TravelProvider] = {}
    made["roads"] = EmbeddedRoads(settings.network or BUILT, weigher)
    if settings.osrm_url is not None:
        made["osrm"] = OsrmTravel(settings.osrm_url, settings.timeout_s)
    if settings.valhalla_url is not None:
        made["valhalla"] = ValhallaTravel(settings.valhalla_url, settings.timeout_s)
    return [made[name] for name in settings.order if name in made]


@functools.lru_cache(maxsize=4)
def travel_of(settings: TravelSettings, traffic: Path) -> "Travel":
    """Return the one that this process has for these settings and a file of traffic: a network is loaded once."""
    weigher = TrafficWeigher(TrafficFile(traffic), ZoneInfo(settings.time_zone)) if settings.traffic else free_flow
    return Travel(providers_of(settings, weigher), settings, conditions_of(settings, traffic.parent / "conditions"))


class Travel:
    """Asks providers.

    Parameters
    ----------
    providers
        In the order in which they are asked; the great circle is added.
    settings
        When a provider is left alone.
    conditions
        Who is asked for weather and traffic besides; nobody where it is left out.
    """

    def __init__(
        self, providers: Sequence[TravelProvider], settings: TravelSettings, conditions: Conditions | None = None
    ) -> None:
        self._conditions = conditions or Conditions()
        self._providers = [(one, _breaker(one.name, settings)) for one in providers]
        self._last = GreatCircle()
        self._paces = ROAD_PACES if settings.learned_pace else None
        self._zone = ZoneInfo(settings.time_zone)
        self._kept: OrderedDict[tuple[str, bytes], tuple[float, TravelMatrix]] = OrderedDict()

    async def matrix(self, places: ArrayLike, journey: Journey) -> TravelMatrix:
        """Return times and lengths between N × 2 places (latitude, longitude); somebody always answers.

        Times are those of one who sets out at the journey's beginning, or in the mean of the while that it lasts, and
        drives around those of its barriers that hold in that while.
        """
        points = np.ascontiguousarray(places, np.float64).reshape(-1, 2)
        found = await self._asked(points, journey.held_up())
        pace = self._pace(journey, found)
        usual = self._usual(pace, journey, found)
        if not self._conditions.are_asked:
            return found if pace is FREE_PACE else as_driven(found, pace, float(np.mean(usual)))
        slowing = await self._slowing(points, journey, usual, found)
        return replace(as_driven(found, pace, slowing.between), conditions=slowing.told)

    async def _asked(self, points: NDArray[np.float64], journey: Journey) -> TravelMatrix:
        for provider, breaker in self._providers:
            key = (provider.name, _key(points, journey))
            try:
                async with breaker:
                    found = await provider.matrix(points, journey)
            except OutOfRegion:
                continue
            except ProviderDown as fault:
                log.warning("travel.provider_failed", provider=provider.name, error=str(fault))
                if (kept := self._recalled(key)) is not None:
                    return kept
                continue
            self._keep(key, found)
            return found
        return await self._last.matrix(points, journey)

    async def ways(
        self,
        profiles: Iterable[VehicleProfile],
        places: Iterable[Place],
        at: datetime.datetime,
        barriers: tuple[Barrier, ...] = (),
    ) -> KnownWays:
        """Return what plans between these places are made with."""
        known = list(dict.fromkeys(places))
        if not known:
            return KnownWays({})
        number = {place: row for row, place in enumerate(known)}
        found: dict[str, Known] = {}
        off_road: set[Place] = set()
        told = []
        for profile in sorted(set(profiles)):
            matrix = await self.matrix(known, Journey(profile, at, _WORKING_DAY, barriers))
            is_way = matrix.duration_s < UNREACHABLE
            distance_m, duration_s = (
                np.where(is_way, cells, np.nan) for cells in (matrix.distance_m, matrix.duration_s)
            )
            found[profile] = Known(number, distance_m, duration_s)
            off_road |= {known[row] for row in matrix.off_road}
            if matrix.closures:
                off_road |= {known[row] for row in _shut_off(is_way)}
            told.append(matrix.told(profile))
        return KnownWays(found, frozenset(off_road), tuple(told))

    async def leg(self, origin: Place, destination: Place, journey: Journey) -> TravelLeg:
        """Return the way between two places; where no provider has one, the straight line.

        Its time is that of the journey's beginning; it goes around barriers that hold in the whole of it.
        """
        at_once = replace(journey.held_up(), lasts=datetime.timedelta())
        for provider, breaker in self._providers:
            try:
                async with breaker:
                    found = await provider.leg(origin, destination, at_once)
            except OutOfRegion:
                continue
            except ProviderDown as fault:
                log.warning("travel.provider_failed", provider=provider.name, error=str(fault))
                continue
            if found is not None:
                return await self._driven(found, at_once)
            break
        return await self._driven(await self._last.leg(origin, destination, at_once), at_once)

    async def _driven(self, leg: TravelLeg, journey: Journey) -> TravelLeg:
        pace = self._pace(journey, leg)
        if leg.distance_m == 0 or (pace is FREE_PACE and not self._conditions.are_asked):
            return leg
        usual = self._usual(pace, journey, leg)
        slowing = await self._slowing(np.array([leg.origin, leg.destination]), journey, usual, leg)
        return replace(leg, duration_s=pace.fixed_s + float(slowing.around.mean()) * leg.duration_s)

    def _pace(self, journey: Journey, found: TravelMatrix | TravelLeg) -> RoadPace:
        return FREE_PACE if self._paces is None or found.provider == self._last.name else self._paces[journey.profile]

    def _usual(self, pace: RoadPace, journey: Journey, found: TravelMatrix | TravelLeg) -> list[float]:
        """Return what hours usually do to driving times; nothing to those that hold traffic."""
        return (FREE_PACE if found.traffic else pace).hourly(journey.at, journey.lasts, self._zone)

    async def _slowing(
        self,
        places: NDArray[np.float64],
        journey: Journey,
        usual: Sequence[float],
        found: TravelMatrix | TravelLeg,
    ) -> Slowing:
        met = await self._conditions.met([(lat, lon) for lat, lon in places.tolist()])
        if found.provider == self._last.name:  # the pace of the great circle is that of usual traffic
            met = replace(met, flow=None)
        return slowing_of(met, places, journey, usual, found.traffic)

    async def path(self, places: Sequence[Place], journey: Journey) -> list[TravelLeg]:
        """Return the legs of a route from place to place."""
        return await asyncio.gather(*(self.leg(*ends, journey) for ends in itertools.pairwise(places)))

    async def close(self) -> None:
        """Let go of what the providers hold."""
        await self._conditions.close()
        for provider, _ in self._providers:
            await provider.close()

    def _keep(self, key: tuple[str, bytes], found: TravelMatrix) -> None:
        self._kept[key] = (time.monotonic(), found)
        self._kept.move_to_end(key)
        while sum(matrix.duration_s.size for _, matrix in self._kept.values()) > _KEPT_CELLS:
            self._kept.popitem(last=False)

    def _recalled(self, key: tuple[str, bytes]) -> TravelMatrix | None:
        made_at, found = self._kept.get(key, (0.0, None))
        if found is None or time.monotonic() - made_at > _LONGEST_KEPT_S:
            return None
        return found.kept()


def _breaker(name: str, settings: TravelSettings) -> Breaker:
    return Breaker(
        f"travel:{name}", settings.failures, settings.recovery_s, settings.timeout_s + 1.0, answers=(OutOfRegion,)
    )


def _shut_off(is_way: NDArray[np.bool_]) -> list[int]:
    """Return the places to which, or from which, no way leads at all, though others are reached."""
    others = is_way & ~np.eye(len(is_way), dtype=np.bool_)
    alone = ~(others.any(axis=0) & others.any(axis=1))
    return [] if alone.all() else np.flatnonzero(alone).tolist()


def _key(places: NDArray[np.float64], journey: Journey) -> bytes:
    """Return what is asked, give or take a quarter of an hour and some weeks."""
    slot = datetime.datetime.fromtimestamp(journey.at.timestamp() // _SLOT_S * _SLOT_S % _WEEK_S, datetime.UTC)
    asked = repr(replace(journey, at=slot))
    return hashlib.blake2b(np.round(places, 5).tobytes() + asked.encode(), digest_size=16).digest()
