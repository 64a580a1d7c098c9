"""Keeps shards alive and partitions shared out: the only part that knows all shards."""

import asyncio
import time
from typing import Any

import ray
import structlog
from ray.exceptions import RayActorError, RayError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.partitions.assignment import assign_partitions, grant_partitions
from engine.partitions.epochs import read_epochs
from engine.settings import Settings
from engine.shards.actor import ShardActor, shard_name

__all__ = ["ShardSupervisor"]

log = structlog.get_logger(__name__)

_START_WITHIN_S = 90.0  # a process of Ray's takes 2 s to come up, on a crowded machine half a minute
_STOP_WITHIN_S = 40.0
_NAME_FREE_WITHIN_S = 10.0


class ShardSupervisor:
    """Makes the shard actors, hears their heartbeats, and gives partitions to those that are well.

    Parameters
    ----------
    settings
        With the addresses of the stores filled in: the actors get the whole tree.
    """

    def __init__(self, settings: Settings, redis: "Redis") -> None:
        self._settings, self._redis = settings, redis
        self._actors: dict[int, Any] = {}
        self._heard: dict[int, float] = {}
        self._due: dict[int, float] = {}
        """By when a shard has to answer, else it is replaced: monotonic seconds."""
        self._status: dict[int, dict[str, Any]] = {}
        self._assignment: dict[int, int] = {}
        self._epochs: dict[int, int] = {}

    @property
    def status(self) -> dict[int, dict[str, Any]]:
        """Return what each shard said last."""
        return dict(self._status)

    async def start(self) -> None:
        """Make the actors and give out all partitions; return when they are held."""
        for index in range(self._settings.shards.count):
            await self._make(index)
        async with asyncio.timeout(_START_WITHIN_S):
            while sum(len(status["holding"]) for status in self._status.values()) < self._settings.log.partitions:
                await self._beat()
                await asyncio.sleep(0.05)

    async def run(self) -> None:
        """Beat for ever."""
        while True:
            await asyncio.sleep(self._settings.shards.heartbeat_s)
            await self._beat()

    async def stop(self, *, cluster_stays: bool = True) -> None:
        """Let every shard write everything down, then end the actors. May be called twice.

        Parameters
        ----------
        cluster_stays
            Whether somebody may want the actors' names again. A cluster of the host's own ends with it, or has ended
            already: who signals the whole process group, as `timeout` and systemd do, signals Ray's processes as well,
            and whatever asks them then waits a minute for nothing.
        """
        actors, self._actors = self._actors, {}
        stopping = [asyncio.wrap_future(actor.stop.remote().future()) for actor in actors.values()]
        _, late = await asyncio.wait(stopping, timeout=_STOP_WITHIN_S) if stopping else (set(), set())
        if late:
            log.warning("shards.slow_to_stop", shards=len(late))
        for index, actor in actors.items():
            await self._end(index, actor, wait_for_name=cluster_stays)

    async def _make(self, index: int) -> None:
        shard: Any = ShardActor  # the decorator's result, which has no type
        options = shard.options(
            name=shard_name(index), get_if_exists=True, lifetime="detached", scheduling_strategy="SPREAD"
        )
        self._actors[index] = await asyncio.to_thread(options.remote, index, self._settings)
        self._heard[index] = time.monotonic()
        self._due[index] = self._heard[index] + _START_WITHIN_S

    async def _beat(self) -> None:
        now = time.monotonic()
        timeout_s = self._settings.shards.heartbeat_timeout_s
        alive = [index for index in self._actors if now - self._heard[index] < timeout_s]
        self._assignment = assign_partitions(self._settings.log.partitions, alive, self._assignment)
        held = {index: self._status.get(index, {}).get("holding", []) for index in alive}
        grants = grant_partitions(self._assignment, held)
        epochs = await self._read_epochs()
        orders = {index: {p: epochs.get(p, 0) for p in grants.get(index, [])} for index in self._actors}
        await asyncio.gather(*(self._ask(index, order) for index, order in orders.items()))
        for index in [index for index in self._actors if time.monotonic() >= self._due[index]]:
            log.warning("shard.replaced", shard=index)
            await self._end(index, self._actors.pop(index))
            await self._make(index)

    async def _read_epochs(self) -> dict[int, int]:
        """Return the epochs as they are, or as they were: an order by an old one is void, not wrong."""
        try:
            self._epochs = await read_epochs(self._redis, self._settings.prefix)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("epochs.unknown", error=str(error))
        return self._epochs

    async def _ask(self, index: int, order: dict[int, int]) -> None:
        """Hear one shard. Bounded, because one that starts or hangs must not keep the others waiting."""
        try:
            async with asyncio.timeout(self._settings.shards.heartbeat_s * 3):
                status = await self._actors[index].heartbeat.remote(order)
        except (RayError, TimeoutError) as error:
            log.warning("shard.silent", shard=index, error=str(error).partition("\n")[0] or type(error).__name__)
            if isinstance(error, RayActorError) and self._status.pop(index, None) is not None:
                self._due[index] = time.monotonic() + _START_WITHIN_S  # its process ended; Ray makes another
            return
        self._status[index] = status
        self._heard[index] = time.monotonic()
        self._due[index] = self._heard[index] + self._settings.shards.heartbeat_timeout_s

    async def _end(self, index: int, actor: Any, *, wait_for_name: bool = True) -> None:
        """End an actor for good, and wait until its name can be given again."""
        self._status.pop(index, None)
        await asyncio.to_thread(ray.kill, actor, no_restart=True)
        limit = time.monotonic() + _NAME_FREE_WITHIN_S
        while wait_for_name and time.monotonic() < limit:
            try:
                await asyncio.to_thread(ray.get_actor, shard_name(index))
            except ValueError:
                return
            await asyncio.sleep(0.05)
