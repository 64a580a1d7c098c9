"""Questions to shards from any process: over the direct line, else through Ray, and who owns which partition."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import ray
import structlog
from ray.exceptions import RayError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.settings import Settings
from engine.shards.actor import shard_name
from engine.shards.line import ShardLine, lines_key
from engine.supervisor import Supervisor

__all__ = ["ShardDirectory"]

log = structlog.get_logger(__name__)

_ANSWER_WITHIN_S = 1.0
_LOOK_S = 0.5  # between two looks at owners and lines; at once when a shard does not answer


class ShardDirectory:
    """Finds shards and asks them.

    Parameters
    ----------
    redis
        Knows owners and lines.
    settings
        The whole tree: `prefix` and `shards` are used.
    """

    def __init__(self, redis: "Redis", settings: Settings) -> None:
        self._redis, self._settings = redis, settings
        self._handles: dict[int, Any] = {}
        self._lines: dict[int, ShardLine] = {}
        self._addresses: dict[int, str] = {}
        self._connecting = asyncio.Lock()
        self._owners: dict[int, int] = {}
        self._outdated = asyncio.Event()
        self._supervisor = Supervisor("shard-directory")
        self._supervisor.run("look", self._look_for_ever)

    async def start(self) -> None:
        """Look who owns what, and go on looking; nobody who asks has to wait for Redis, which waits for its disk."""
        await self._try_to_look()
        await self._supervisor.start()

    async def stop(self) -> None:
        """Stop looking, and hang up. May be called twice."""
        await self._supervisor.stop()
        for line in self._lines.values():
            line.close()

    async def owners_of(self, partitions: Iterable[int]) -> Mapping[int, int]:
        """Return partition to shard, as it was half a second ago at the longest; older while Redis is away."""
        if not self._owners.keys() >= set(partitions):  # nobody had it yet when we looked
            await self._try_to_look()
        return self._owners

    async def ask_owner(self, partition: int, method: str, *arguments: Any) -> Any:
        """Ask the shard that owns a partition; None when it is away. Methods: `engine.shards.answers`."""
        shard = (await self.owners_of([partition])).get(partition)
        return None if shard is None else await self.ask(shard, method, *arguments)

    async def ask_all(self, method: str, *arguments: Any) -> list[tuple[int, Any]]:
        """Ask every shard and return (shard, answer) of those that answered."""
        shards = range(self._settings.shards.count)
        answers = await asyncio.gather(*(self.ask(shard, method, *arguments) for shard in shards))
        return [(shard, answer) for shard, answer in zip(shards, answers, strict=True) if answer is not None]

    async def ask(self, shard: int, method: str, *arguments: Any) -> Any:
        """Ask a shard; None when it does not answer within a second."""
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                if (line := await self._line(shard)) is not None:
                    try:
                        return await line.ask(method, *arguments)
                    except ConnectionError:
                        self._outdated.set()  # it died or moved; Ray knows which
                handle = self._handles.get(shard) or await self._handle(shard)
                return await handle.answer.remote(method, arguments)
        except (RayError, ValueError, TimeoutError) as error:
            self._handles.pop(shard, None)
            self._outdated.set()
            log.warning("shard.unanswered", shard=shard, method=method, error=str(error).partition("\n")[0])
            return None

    async def _look_for_ever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._outdated.wait()
            self._outdated.clear()
            if not await self._try_to_look():
                await asyncio.sleep(_LOOK_S)

    async def _try_to_look(self) -> bool:
        try:
            await self._look()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("owners.unknown", error=str(error))
            return False
        return True

    async def _look(self) -> None:
        prefix = self._settings.prefix
        pipeline: Any = self._redis.pipeline(transaction=False)  # its types are those of the blocking client
        owners, lines = await pipeline.hgetall(f"{prefix}:owners").hgetall(lines_key(prefix)).execute()
        self._owners = {int(partition): int(shard) for partition, shard in owners.items()}
        self._addresses = {int(shard): address.decode() for shard, address in lines.items()}

    async def _line(self, shard: int) -> ShardLine | None:
        """Return the line to a shard; None where there is none to be had just now."""
        line = self._lines.get(shard)
        if line is not None and not line.is_lost:
            return line
        async with self._connecting:
            line = self._lines.get(shard)
            if line is not None and not line.is_lost:
                return line
            # taken out: one that leads nowhere is tried again after the next look, not by each who asks meanwhile
            address = self._addresses.pop(shard, None)
            if address is None:
                return None
            try:
                self._lines[shard] = await ShardLine.connect(address)
            except OSError:
                return None
            return self._lines[shard]

    async def _handle(self, shard: int) -> Any:
        if not ray.is_initialized():
            raise ValueError("this process has not joined a cluster")  # Ray would start one of its own
        handle = await asyncio.to_thread(ray.get_actor, shard_name(shard))
        self._handles[shard] = handle
        return handle
