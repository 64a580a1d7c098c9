"""Circuits of providers, known to all processes: who finds one down spares the others their own failures.

`purgatory` keeps circuits in a repository. This one keeps them in memory, as calls that run have to share them, and
tells Redis when one opens and closes. Failures are counted by each process for itself. Without Redis each process
knows what it has met itself.
"""

import asyncio

import structlog
from purgatory import AsyncInMemoryUnitOfWork
from purgatory.domain.model import ClosedState, Context, OpenedState
from purgatory.service._async.repository import AsyncInMemoryRepository
from redis.asyncio import Redis
from redis.exceptions import RedisError

__all__ = ["SharedCircuits"]

log = structlog.get_logger(__name__)

_WITHIN_S = 0.3
_LIFE_S = 600.0  # of an open circuit that nobody tries again
_OPENED, _CLOSED = OpenedState.name, ClosedState.name


class SharedCircuits:
    """Where the processes of an installation tell one another which providers are down.

    Parameters
    ----------
    redis
        Keeps when each circuit was opened.
    prefix
        First part of the keys.
    """

    def __init__(self, redis: "Redis", prefix: str) -> None:
        self._redis, self._prefix = redis, f"{prefix}:circuit:"

    def unit_of_work(self) -> AsyncInMemoryUnitOfWork:
        """Return what a factory of purgatory's keeps circuits in."""
        unit = AsyncInMemoryUnitOfWork()
        unit.contexts = _SharedRepository(self)
        return unit

    async def opened_at(self, name: str) -> float | None:
        """Return when a circuit was opened (epoch seconds), None if it is closed.

        Raises
        ------
        RedisError, OSError, TimeoutError
            If Redis does not say.
        """
        async with asyncio.timeout(_WITHIN_S):
            stored = await self._redis.get(self._prefix + name)
        return None if stored is None else float(stored)

    async def note(self, name: str, opened_at: float | None, ttl_s: float) -> None:
        """Tell the others that a circuit opened or, with None, closed; raises as `opened_at`."""
        async with asyncio.timeout(_WITHIN_S):
            if opened_at is None:
                await self._redis.delete(self._prefix + name)
            else:
                await self._redis.set(self._prefix + name, repr(opened_at), px=round(1000 * max(_LIFE_S, 10 * ttl_s)))


class _SharedRepository(AsyncInMemoryRepository):
    """Circuits in memory, brought in line with what the others know before each call."""

    def __init__(self, circuits: SharedCircuits) -> None:
        super().__init__()
        self._circuits = circuits

    async def get(self, name: str) -> Context | None:
        """Return a circuit as it is now."""
        context = await super().get(name)
        if context is not None:
            await self._align(context)
        return context

    async def register(self, context: Context) -> None:
        """Take a new circuit."""
        await super().register(context)
        await self._align(context)

    async def update_state(self, name: str, state: str, opened_at: float | None) -> None:
        """Tell the others; a probe under way is this process's own affair."""
        if state in (_OPENED, _CLOSED):
            try:
                await self._circuits.note(name, opened_at if state == _OPENED else None, self.breakers[name].ttl)
            except (RedisError, OSError, TimeoutError) as fault:
                log.warning("provider.circuit_unshared", provider=name, error=str(fault))

    async def _align(self, context: Context) -> None:
        if context.state not in (_OPENED, _CLOSED):
            return
        try:
            opened_at = await self._circuits.opened_at(context.name)
        except (RedisError, OSError, TimeoutError, ValueError) as fault:
            log.debug("provider.circuit_unread", provider=context.name, error=str(fault))
            return
        if opened_at is None and context.state == _OPENED:
            context.set_state(ClosedState())
        elif opened_at is not None and context.opened_at != opened_at:
            opened = OpenedState(context.name)
            opened.opened_at = opened_at
            context.set_state(opened)
        context.messages.clear()  # it is no news to anybody
