"""Tenants with their settings, which many requests read and hardly any changes: in process, then Redis, then MongoDB.

What lies in Redis is a tenant as MongoDB has it, behind the mark under which it was read; there is no personal data in
it. Requests of one process that miss the same tenant together read it once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

import bson
import structlog
from bson.codec_options import CodecOptions
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.caching.generations import Generations
from engine.telemetry.metrics import CACHE_READS
from models.documents.tenant import Tenant

__all__ = ["TenantCache"]

log = structlog.get_logger(__name__)

_LIFE_S = 10.0  # if a writer dies before it renews the mark and the relay stands still, others see it after this long
_LIFE_IN_REDIS_S = 30
_ENTRIES = 20_000
_WITHIN_S = 0.3
_OPTIONS: "CodecOptions[dict[str, object]]" = CodecOptions(tz_aware=True)
_PROCESS, _REDIS, _STORE = (CACHE_READS.labels("tenant", level) for level in ("process", "redis", "store"))


@dataclass(frozen=True, slots=True)
class _Kept:
    """A tenant, the mark under which it was read, and when it is good no more (monotonic seconds)."""

    tenant: Tenant
    mark: bytes
    until: float


class TenantCache:
    """Keeps tenants (`models.store.placement.KeptTenants`)."""

    def __init__(self, generations: Generations, redis: "Redis", prefix: str) -> None:
        self._generations = generations
        self._redis, self._prefix = redis, f"{prefix}:kept:tenant:"
        self._kept: dict[str, _Kept] = {}
        self._reading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def get(self, tenant: str, read: Callable[[], Awaitable[Tenant]]) -> Tenant:
        """Return a tenant as it was after this call began; what `read` raises goes on."""
        mark = await self._generations.current(tenant)
        if mark is None:
            _STORE.inc()
            return await read()
        if (found := self._good(tenant, mark)) is not None:
            _PROCESS.inc()
            return found
        async with self._reading.setdefault(tenant, asyncio.Lock()):
            if (found := self._good(tenant, mark)) is not None:
                _PROCESS.inc()
                return found
            found = await self._read(tenant, mark, read)
            if len(self._kept) >= _ENTRIES:
                self._kept.clear()
            self._kept[tenant] = _Kept(found, mark, time.monotonic() + _LIFE_S)
            return found

    async def renew(self, tenant: str) -> None:
        """Let every process read a tenant anew."""
        await self._generations.renew(tenant)

    def _good(self, tenant: str, mark: bytes) -> Tenant | None:
        kept = self._kept.get(tenant)
        return kept.tenant if kept is not None and kept.mark == mark and time.monotonic() < kept.until else None

    async def _read(self, tenant: str, mark: bytes, read: Callable[[], Awaitable[Tenant]]) -> Tenant:
        """Return a tenant from Redis if it was put there under this mark, else from MongoDB."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                stored = await self._redis.get(self._prefix + tenant)
            if stored is not None and stored.startswith(mark):
                _REDIS.inc()
                return Tenant.restored(bson.decode(stored[len(mark) :], _OPTIONS))
        except (RedisError, OSError, TimeoutError) as fault:
            log.debug("caching.unread", error=str(fault))
        _STORE.inc()
        found = await read()
        try:
            async with asyncio.timeout(_WITHIN_S):
                await self._redis.set(self._prefix + tenant, mark + bson.encode(found.stored()), ex=_LIFE_IN_REDIS_S)
        except (RedisError, OSError, TimeoutError) as fault:
            log.debug("caching.unkept", error=str(fault))
        return found
