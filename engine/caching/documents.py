"""What many requests read and hardly any changes, by group and tenant: in process, then Redis, then MongoDB.

What lies in Redis is what MongoDB has, behind the mark under which it was read; personal data is in neither group, and
secrets are sealed there as they are in MongoDB. Requests of one process that miss the same together read it once.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from weakref import WeakValueDictionary

import bson
import structlog
from bson.codec_options import CodecOptions
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.caching.generations import Generations, group_of
from engine.telemetry.metrics import CACHE_READS
from models.store.kept import KeptGroup

__all__ = ["DocumentCache"]

log = structlog.get_logger(__name__)

_LIFE_S = 10.0  # if a writer dies before it renews the mark and the relay stands still, others see it after this long
_LIFE_IN_REDIS_S = 30
_MOST_BYTES = 32 * 2**20  # as BSON, of all groups; as objects it is some times that
_WITHIN_S = 0.3
_OPTIONS: "CodecOptions[Mapping[str, Any]]" = CodecOptions(tz_aware=True)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Kept:
    """Something that was read, the mark under which it was, and when it is good no more (monotonic seconds)."""

    value: object
    mark: bytes
    until: float
    size: int
    """Bytes as BSON."""


class DocumentCache:
    """Keeps documents and pages of them (`models.store.kept.KeptDocuments`)."""

    def __init__(self, generations: Generations, redis: "Redis", prefix: str, *, most_bytes: int = _MOST_BYTES) -> None:
        self._generations = generations
        self._redis, self._prefix = redis, f"{prefix}:kept:"
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._size = 0
        self._reading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def get(
        self,
        group: KeptGroup,
        tenant: str,
        key: str,
        read: Callable[[], Awaitable[Mapping[str, Any]]],
        restored: Callable[[Mapping[str, Any]], _T],
    ) -> _T:
        """Return something as it was after this call began; what `read` raises goes on."""
        name = f"{group_of(group, tenant)}:{key}"
        mark = await self._generations.current(group_of(group, tenant))
        if mark is None:
            _count(group, "store")
            return restored(await read())
        if (found := self._good(name, mark)) is not None:
            _count(group, "process")
            return cast("_T", found.value)
        async with self._reading.setdefault(name, asyncio.Lock()):
            if (found := self._good(name, mark)) is not None:
                _count(group, "process")
                return cast("_T", found.value)
            stored = await self._stored_in_redis(name, mark)
            if stored is None:
                _count(group, "store")
                stored = bson.encode(await read())
                await self._put_in_redis(name, mark + stored)
            else:
                _count(group, "redis")
            value = restored(bson.decode(stored, _OPTIONS))
            self._keep(name, _Kept(value, mark, time.monotonic() + _LIFE_S, len(stored)))
            return value

    async def renew(self, group: KeptGroup, tenant: str) -> None:
        """Let every process read a tenant's group anew."""
        await self._generations.renew(group_of(group, tenant))

    def _good(self, name: str, mark: bytes) -> _Kept | None:
        kept = self._kept.get(name)
        if kept is None or kept.mark != mark or time.monotonic() >= kept.until:
            return None
        self._kept.move_to_end(name)
        return kept

    def _keep(self, name: str, kept: _Kept) -> None:
        """Keep something, and let what was not asked for longest go where it would be too much."""
        if (before := self._kept.pop(name, None)) is not None:
            self._size -= before.size
        self._kept[name] = kept
        self._size += kept.size
        while self._size > self._most_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.size

    async def _stored_in_redis(self, name: str, mark: bytes) -> bytes | None:
        """Return what was put into Redis under this mark."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                stored: bytes | None = await self._redis.get(self._prefix + name)
        except (RedisError, OSError, TimeoutError) as fault:
            log.debug("caching.unread", error=str(fault))
            return None
        return stored[len(mark) :] if stored is not None and stored.startswith(mark) else None

    async def _put_in_redis(self, name: str, marked: bytes) -> None:
        try:
            async with asyncio.timeout(_WITHIN_S):
                await self._redis.set(self._prefix + name, marked, ex=_LIFE_IN_REDIS_S)
        except (RedisError, OSError, TimeoutError) as fault:
            log.debug("caching.unkept", error=str(fault))


def _count(group: KeptGroup, level: str) -> None:
    CACHE_READS.labels(group, level).inc()
