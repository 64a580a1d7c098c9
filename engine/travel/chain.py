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
from engine.roads.barriers import Barrier, holding, holding_up
from engine.roads.warm_up import BUILT
from engine.routing.ways import Known, KnownWays
from engine.settings import TravelSettings
from engine.traffic.weigher import TrafficFile, TrafficWeigher
from engine.travel.answers import UNREACHABLE, OutOfRegion, Place, TravelLeg, TravelMatrix, TravelProvider
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
_SLOT_S = 900  # instants that count as the same to the cache


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

    async def matrix(
        self,
        profile: VehicleProfile,
        places: ArrayLike,
        at: datetime.datetime,
        lasts: datetime.timedelta = datetime.timedelta(),
        barriers: tuple[Barrier, ...] = (),
    ) -> TravelMatrix:
        """Return times and lengths between N × 2 places (latitude, longitude); somebody always answers.

        Times are those of one who sets out at `at`, or in the mean of the while that it `lasts`, and drives around
        those of the barriers that hold in that while.
        """
        found = await self._asked(profile, places, at, lasts, _held(barriers, profile, at, lasts))
        pace = self._pace(profile, found.provider)
        usual = self._usual(pace, at, lasts, found.traffic)
        if not self._conditions.are_asked:
            return found if pace is FREE_PACE else as_driven(found, pace, float(np.mean(usual)))
        points = np.asarray(places, np.float64).reshape(-1, 2)
        slowing = await self._slowing(profile, points, at, usual, found.provider, found.traffic)
        return replace(as_driven(found, pace, slowing.between), conditions=slowing.told)

    async def _asked(
        self,
        profile: VehicleProfile,
        places: ArrayLike,
        at: datetime.datetime,
        lasts: datetime.timedelta,
        barriers: tuple[Barrier, ...],
    ) -> TravelMatrix:
        points = np.ascontiguousarray(places, np.float64).reshape(-1, 2)
        for provider, breaker in self._providers:
            key = (provider.name, _key(profile, points, at, lasts, barriers))
            try:
                async with breaker:
                    found = await provider.matrix(profile, points, at, lasts, barriers)
            except OutOfRegion:
                continue
            except ProviderDown as fault:
                log.warning("travel.provider_failed", provider=provider.name, error=str(fault))
                if (kept := self._recalled(key)) is not None:
                    return kept
                continue
            self._keep(key, found)
            return found
        return await self._last.matrix(profile, points, at, lasts)

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
            matrix = await self.matrix(profile, known, at, _WORKING_DAY, barriers)
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

    async def leg(
        self,
        profile: VehicleProfile,
        origin: Place,
        destination: Place,
        at: datetime.datetime,
        lasts: datetime.timedelta = datetime.timedelta(),
        barriers: tuple[Barrier, ...] = (),
    ) -> TravelLeg:
        """Return the way between two places; where no provider has one, the straight line.

        It goes around barriers that hold while the whole of which it is a part `lasts`.
        """
        held = _held(barriers, profile, at, lasts)
        for provider, breaker in self._providers:
            try:
                async with breaker:
                    found = await provider.leg(profile, origin, destination, at, held)
            except OutOfRegion:
                continue
            except ProviderDown as fault:
                log.warning("travel.provider_failed", provider=provider.name, error=str(fault))
                continue
            if found is not None:
                return await self._driven(found, profile, at)
            break
        return await self._driven(await self._last.leg(profile, origin, destination, at), profile, at)

    async def _driven(self, leg: TravelLeg, profile: VehicleProfile, at: datetime.datetime) -> TravelLeg:
        pace = self._pace(profile, leg.provider)
        if leg.distance_m == 0 or (pace is FREE_PACE and not self._conditions.are_asked):
            return leg
        usual = self._usual(pace, at, datetime.timedelta(), leg.traffic)
        ends = np.array([leg.origin, leg.destination])
        slowing = await self._slowing(profile, ends, at, usual, leg.provider, leg.traffic)
        return replace(leg, duration_s=pace.fixed_s + float(slowing.around.mean()) * leg.duration_s)

    def _pace(self, profile: VehicleProfile, provider: str) -> RoadPace:
        return FREE_PACE if self._paces is None or provider == self._last.name else self._paces[profile]

    def _usual(
        self, pace: RoadPace, at: datetime.datetime, lasts: datetime.timedelta, traffic: datetime.datetime | None
    ) -> list[float]:
        """Return what hours usually do to driving times; nothing to those that hold traffic."""
        return (FREE_PACE if traffic else pace).hourly(at, lasts, self._zone)

    async def _slowing(
        self,
        profile: VehicleProfile,
        places: NDArray[np.float64],
        at: datetime.datetime,
        usual: Sequence[float],
        provider: str,
        traffic: datetime.datetime | None,
    ) -> Slowing:
        met = await self._conditions.met([(lat, lon) for lat, lon in places.tolist()])
        if provider == self._last.name:  # the pace of the great circle is that of usual traffic
            met = replace(met, flow=None)
        return slowing_of(met, places, profile, at, usual, traffic)

    async def path(
        self,
        profile: VehicleProfile,
        places: Sequence[Place],
        at: datetime.datetime,
        lasts: datetime.timedelta = datetime.timedelta(),
        barriers: tuple[Barrier, ...] = (),
    ) -> list[TravelLeg]:
        """Return the legs of a route from place to place, which `lasts` so long."""
        legs = (self.leg(profile, *ends, at, lasts, barriers) for ends in itertools.pairwise(places))
        return await asyncio.gather(*legs)

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


def _held(
    barriers: tuple[Barrier, ...], profile: VehicleProfile, at: datetime.datetime, lasts: datetime.timedelta
) -> tuple[Barrier, ...]:
    return holding_up(holding(barriers, at.timestamp(), (at + lasts).timestamp()), profile)


def _shut_off(is_way: NDArray[np.bool_]) -> list[int]:
    """Return the places to which, or from which, no way leads at all, though others are reached."""
    others = is_way & ~np.eye(len(is_way), dtype=np.bool_)
    alone = ~(others.any(axis=0) & others.any(axis=1))
    return [] if alone.all() else np.flatnonzero(alone).tolist()


def _key(
    profile: str,
    places: NDArray[np.float64],
    at: datetime.datetime,
    lasts: datetime.timedelta,
    barriers: tuple[Barrier, ...],
) -> bytes:
    slot = int(at.timestamp()) // _SLOT_S % (7 * 86_400 // _SLOT_S)
    asked = f"{profile} {slot} {lasts.total_seconds()} {barriers}"
    return hashlib.blake2b(np.round(places, 5).tobytes() + asked.encode(), digest_size=16).digest()
