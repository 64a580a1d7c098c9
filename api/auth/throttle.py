"""How often somebody may try to sign in, sign up or ask for a mail: per address, and per e-mail address.

Every try counts before the password is looked at, so that many at once are no way round; a good one clears the count of
its e-mail address. Whether there is such a user makes no difference. While Redis is away,
each process counts by itself.
"""

import asyncio
import hashlib
from typing import Final

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.settings import LimitSettings
from models.errors import RateLimited

__all__ = ["Throttle"]

log = structlog.get_logger(__name__)

_WINDOW_MINUTES: Final = 15
_WITHIN_S = 0.5  # a Redis that hangs must not hold up who signs in


class Throttle:
    """Counts tries over a sliding window of a quarter of an hour.

    Parameters
    ----------
    settings
        How many.
    redis, prefix
        Where all processes count together, and the first part of the keys.
    """

    def __init__(self, settings: LimitSettings, redis: "Redis", prefix: str) -> None:
        self._per_email = RateLimitItemPerMinute(settings.sign_ins_per_email, _WINDOW_MINUTES)
        self._mails = RateLimitItemPerMinute(settings.mails_per_email, _WINDOW_MINUTES)
        self._per_address = RateLimitItemPerMinute(settings.sign_ins_per_address, _WINDOW_MINUTES)
        shared = RedisStorage(
            "async+redis://",  # the pool knows where
            implementation="redispy",
            key_prefix=f"{prefix}:throttle",
            connection_pool=redis.connection_pool,  # type: ignore[arg-type]  # its stub lists plain values alone
        )
        self._shared = SlidingWindowCounterRateLimiter(shared)
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def take(self, address: str) -> None:
        """Count a try of whatever kind from a network address.

        Raises
        ------
        RateLimited
            If there were too many.
        """
        await self._hit(self._per_address, "address", address)

    async def take_sign_in(self, address: str, email: str) -> None:
        """Count a try to sign in with an e-mail address; raises as `take`."""
        await self.take(address)
        await self._hit(self._per_email, "sign-in", _hidden(email))

    async def take_mail(self, address: str, email: str) -> None:
        """Count a mail that is asked for; raises as `take`."""
        await self.take(address)
        await self._hit(self._mails, "mail", _hidden(email))

    async def clear_sign_ins(self, email: str) -> None:
        """Forget the tries to sign in with an e-mail address, after a good one."""
        key = "sign-in", _hidden(email)
        try:
            async with asyncio.timeout(_WITHIN_S):
                await self._shared.clear(self._per_email, *key)
        except (RedisError, OSError, TimeoutError) as fault:
            log.warning("throttle.unshared", error=str(fault))
        await self._own.clear(self._per_email, *key)

    async def _hit(self, item: RateLimitItem, *key: str) -> None:
        limiter = self._shared
        try:
            async with asyncio.timeout(_WITHIN_S):
                good = await limiter.hit(item, *key)
        except (RedisError, OSError, TimeoutError) as fault:
            log.warning("throttle.unshared", error=str(fault))
            limiter = self._own
            good = await limiter.hit(item, *key)
        if not good:
            raise RateLimited("too many tries; wait a while", item.get_expiry() / item.amount)


def _hidden(email: str) -> str:
    """Return an e-mail address as it may stand in Redis."""
    return hashlib.sha256(email.lower().encode()).hexdigest()[:32]
