"""Solving on Ray: the portfolio in a task of its own, its best plan so far in Redis, so that its loss costs seconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import ray
import structlog
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from engine.routing.inline import InlineRunner
from engine.routing.portfolio import Effort, Portfolio
from engine.routing.problem import Problem, Solution
from engine.routing.ray_runner import LOSSES, RayRunner
from engine.settings import Settings
from models.errors import BadSettings

__all__ = ["RaySolver"]

log = structlog.get_logger(__name__)

_LOOK_S = 0.25  # how often the best so far is looked at, and whether anybody wants the search to end
_KEEP_S = 3600
_SHORTEST_S = 0.3
_MOST_LOSSES = 3  # of one problem: a solver that goes on dying is a fault of the problem or ours
_SMALL_S = 3.0  # a search that is shorter would be over before other processes have begun


@ray.remote(num_cpus=0, max_retries=0)
def _solve(problem: Problem, seconds: float, start: Solution | None, url: str, key: str) -> bytes | None:
    redis = SyncRedis.from_url(url)

    def report(solution: Solution) -> None:
        redis.set(key, msgspec.msgpack.encode(solution), ex=_KEEP_S)

    runner = InlineRunner() if seconds <= _SMALL_S else RayRunner(url, key)
    portfolio = Portfolio(problem, runner, Effort(seconds), report=report)
    found = portfolio.solve(None if start is None else start.routes)
    return None if found is None else msgspec.msgpack.encode(found)


class RaySolver:
    """Solves problems anywhere in the cluster, with all of its processors."""

    def __init__(self, settings: Settings, redis: "Redis") -> None:
        if settings.redis_url is None:
            raise BadSettings("a solver needs the address of Redis")
        self._redis = redis
        self._url = settings.redis_url.get_secret_value()
        self._prefix = settings.prefix

    async def solve(
        self, name: str, problem: Problem, seconds: float, watch: Callable[[Solution | None], Awaitable[bool]]
    ) -> Solution | None:
        """Return the best solution found in `seconds`.

        Parameters
        ----------
        name
            Of the problem: whoever solves it again goes on from the best that was found under this name.
        problem, seconds
            What to solve, and for how long.
        watch
            Told the best so far, if there is one, four times a second; when it returns False, the search ends.
        """
        key = f"{self._prefix}:solver:{name}"
        until, losses = time.monotonic() + seconds, 0
        while True:
            best = await self._best(key)
            if (left_s := until - time.monotonic()) < _SHORTEST_S:
                return best
            running: Any = _solve.remote(problem, left_s, best, self._url, key)
            try:
                return await self._watched(running, key, watch) or await self._best(key)
            except LOSSES as error:  # another goes on from the best so far
                losses += 1
                log.warning("solver.lost", job=name, losses=losses, error=str(error))
                if losses > _MOST_LOSSES:
                    raise

    async def _watched(
        self, running: Any, key: str, watch: Callable[[Solution | None], Awaitable[bool]]
    ) -> Solution | None:
        """Return what a search finds; None if it was stopped or found nothing better than is known."""
        answering = asyncio.ensure_future(_answer(running))
        try:
            while not (await asyncio.wait([answering], timeout=_LOOK_S))[0]:
                if not await watch(await self._best(key)):
                    return None
            data = await answering
            return None if data is None else msgspec.msgpack.decode(data, type=Solution)
        finally:
            if not answering.done():
                answering.cancel()
                ray.cancel(running, force=True)

    async def _best(self, key: str) -> Solution | None:
        data = await self._redis.get(key)
        return None if data is None else msgspec.msgpack.decode(data, type=Solution)


async def _answer(running: Any) -> bytes | None:
    found: bytes | None = await running
    return found
