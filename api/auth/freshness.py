"""Whether what a process keeps of users and keys is still so: a count of changes in Redis, which all processes share.

Whoever changes a user or a key raises the count before the answer goes out, and whoever reads asks for it after the
question came in; so a change is seen by every process's next request. Requests that come together share one question,
as long as it was put after each of them came.
"""

import asyncio
import time

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

__all__ = ["Freshness"]

log = structlog.get_logger(__name__)

_WITHIN_S = 0.3
_AWAY_S = 1.0  # a Redis that did not answer is left alone for so long


class Freshness:
    """The count of changes.

    Parameters
    ----------
    redis
        Keeps it.
    prefix
        Of its key.
    """

    def __init__(self, redis: "Redis", prefix: str) -> None:
        self._redis, self._key = redis, f"{prefix}:identities"
        self._asking = asyncio.Lock()
        self._begun = self._answered = 0
        self._count: int | None = None
        self._away_until = 0.0

    async def count(self) -> int | None:
        """Return the count as it was after this call began; None while Redis is away, when nothing kept is good."""
        came = self._begun
        async with self._asking:
            if self._answered > came:  # somebody's question was put after we came
                return self._count
            self._begun += 1
            question = self._begun
            self._count = await self._ask()
            self._answered = question
            return self._count

    async def raise_count(self) -> None:
        """Let every process read anew. While Redis is away all of them do so anyway."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                await self._redis.incr(self._key)
        except (RedisError, OSError, TimeoutError) as fault:
            log.warning("identities.unshared", error=str(fault))

    async def _ask(self) -> int | None:
        if time.monotonic() < self._away_until:
            return None
        try:
            async with asyncio.timeout(_WITHIN_S):
                return int(await self._redis.get(self._key) or 0)
        except (RedisError, OSError, TimeoutError) as fault:
            self._away_until = time.monotonic() + _AWAY_S
            log.warning("identities.unshared", error=str(fault))
            return None
