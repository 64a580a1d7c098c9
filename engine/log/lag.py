"""When the door has to say no: the shards lag, or the log fills the server's memory."""

import asyncio

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.ending import end_task
from engine.log.watermark import Watermark
from engine.settings import LogSettings
from models.errors import EngineSaturated

__all__ = ["LagGuard"]

log = structlog.get_logger(__name__)

_POLL_S = 1.0
_RETRY_AFTER_S = 2.0


class LagGuard:
    """Refuses new pings while the engine is behind.

    Parameters
    ----------
    redis
        The server that holds the log.
    settings
        The limits.
    watermark
        Knows how old the oldest unprocessed commit is.
    """

    def __init__(self, redis: "Redis", settings: LogSettings, watermark: Watermark) -> None:
        self._redis = redis
        self._settings = settings
        self._watermark = watermark
        self._task: asyncio.Task[None] | None = None
        self._refusal: str | None = None
        self.used_bytes = 0
        """Memory that the log's server used when last asked."""

    async def start(self) -> None:
        """Start watching."""
        self._task = asyncio.get_running_loop().create_task(self._watch(), name="log-lag")

    async def stop(self) -> None:
        """Stop watching. May be called twice."""
        if self._task is not None:
            await end_task(self._task)
            self._task = None

    def check(self) -> None:
        """Raise while the engine is behind.

        Raises
        ------
        EngineSaturated
            With the seconds after which to try again.
        """
        if self._refusal is not None or self._watermark.lag_s() > self._settings.lag_limit_s:
            raise EngineSaturated(self._refusal or "the engine is behind the ingest log", _RETRY_AFTER_S)

    async def measure(self) -> None:
        """Ask the server for its memory and compare it with the limit."""
        memory = await self._redis.info("memory")
        self.used_bytes = int(memory["used_memory"])
        full = self.used_bytes > self._settings.bytes_limit_mib * 2**20
        self._refusal = "the ingest log is full" if full else None

    async def _watch(self) -> None:
        while True:
            try:
                await self.measure()
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("memory.unknown", error=str(error))
            await asyncio.sleep(_POLL_S)
