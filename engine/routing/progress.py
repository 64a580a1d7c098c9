"""How far a search is: which of its plans are noted, and the bell that tells watchers to look again."""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.shards.publish import live_channel
from models.documents.job import JobProgress

__all__ = ["JOB_BELL", "Bell", "Curve", "bell_of"]

JOB_BELL = b"J"
"""First byte of a message on a tenant's live channel that names a job whose progress has changed."""

_MOST_POINTS = 400
"""Of one search: enough for a smooth line, and few enough to be sent whole."""
_SHORTEST_S = 0.25

Bell = Callable[[str, str], Awaitable[None]]
"""Tells a tenant's watchers that a job has changed: tenant, job."""


@dataclass(slots=True)
class Curve:
    """The best cost over time, thinned as it is drawn: long searches note points further apart.

    Parameters
    ----------
    seconds
        How long the search may take.
    before_s
        How long it has been under way already, where another process began it.
    """

    seconds: float
    before_s: float = 0.0
    _last: JobProgress | None = None

    def point(self, elapsed_s: float, cost: float, unserved: int, routes: int) -> JobProgress | None:
        """Return the next point of the curve; None if it says nothing new or follows too soon."""
        point = JobProgress(elapsed_s=round(self.before_s + elapsed_s, 1), cost=cost, unserved=unserved, routes=routes)
        if self._last is not None:
            if (point.cost, point.unserved) == (self._last.cost, self._last.unserved):
                return None
            if point.elapsed_s - self._last.elapsed_s < max(_SHORTEST_S, self.seconds / _MOST_POINTS):
                return None
        self._last = point
        return point


def bell_of(redis: "Redis", prefix: str) -> Bell:
    """Return a bell that rings on the tenants' live channels; who misses it sees the job's end all the same."""

    async def ring(tenant: str, job: str) -> None:
        with contextlib.suppress(RedisError, OSError):
            await redis.publish(live_channel(prefix, tenant), JOB_BELL + job.encode())

    return ring
