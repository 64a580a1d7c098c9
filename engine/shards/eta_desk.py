"""What a shard needs for its estimates beside the pings: models, roads and traffic, finished legs, time zones."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from zoneinfo import ZoneInfo

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.conditions.chain import conditions_of
from engine.eta.conditions import ConditionWatch
from engine.eta.estimator import Estimator
from engine.eta.finishes import FinishStream
from engine.eta.refresh import Pacing
from engine.eta.risk import RiskRule
from engine.eta.roads import RoadWatch
from engine.eta.swap import ModelWatch
from engine.eta.zones import TenantZones
from engine.roads.warm_up import BUILT
from engine.settings import Settings
from engine.shards.effects import Effects
from engine.shards.estimates import ShardEstimates
from engine.shards.memory import ShardMemory
from engine.traffic.weigher import TrafficFile, TrafficWeigher
from models.eta.registry import Registry
from models.store.connections import Database

__all__ = ["EtaDesk"]

log = structlog.get_logger(__name__)

_RETRY_S = 0.25


class EtaDesk:
    """The estimates of a shard, with the loops that keep what they rest on current."""

    def __init__(self, index: int, settings: Settings, database: Database, redis: "Redis", memory: ShardMemory) -> None:
        self._index, self._settings, self._memory = index, settings, memory
        self._zones = TenantZones(database)
        self.estimates = ShardEstimates(memory, Estimator(memory.tenant_of, self._zones.of, memory.driver_of))
        self.finishes = FinishStream(redis, settings.prefix)
        """Finished legs of all shards."""
        memory.etas.pacing = Pacing(fresh_s=settings.eta.fresh_s, told_s=settings.eta.told_s)
        memory.etas.risk = RiskRule(raised=settings.eta.late_risk, imminent_s=settings.eta.imminent_s)

    def loops(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Return what has to run beside the pings, by name."""
        models = ModelWatch(Registry(self._settings.models), self.estimates.estimator)
        found: dict[str, Callable[[], Awaitable[None]]] = {"finishes": self._follow_finishes, "models": models.run}
        settings = self._settings
        conditions = conditions_of(settings.travel, settings.traffic_file.parent / "conditions")
        if conditions.are_asked:
            found["conditions"] = ConditionWatch(conditions, self._memory.etas).run
        if settings.eta.roads:
            found["roads"] = self._road_watch().run
        return found

    async def pass_to(self, upto: Mapping[int, int]) -> Iterable[Effects]:
        """Estimate arrivals at the moments of log time before which everything has been applied."""
        await self._zones.learn(self._memory.tenants)
        return await self.estimates.pass_to(upto)

    def note_tenant_changed(self, tenant: str) -> None:
        """Ask for a tenant's time zone again."""
        self._zones.forget(tenant)

    async def _follow_finishes(self) -> None:
        """Learn from the finished legs of all shards."""
        while True:
            try:
                await self.finishes.follow(self.estimates.learn)
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("finishes.interrupted", shard=self._index, error=str(error))
                await asyncio.sleep(_RETRY_S)

    def _road_watch(self) -> RoadWatch:
        travel = self._settings.travel
        file = TrafficFile(self._settings.traffic_file)
        traffic = TrafficWeigher(file, ZoneInfo(travel.time_zone)) if travel.traffic else None
        return RoadWatch(travel.network or BUILT, self._memory.etas, traffic)
