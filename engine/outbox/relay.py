"""The outbox relay: tells shards and dashboards what has been committed to MongoDB.

At-least-once: an event is marked only after Redis has taken its messages, so a crash in between tells it twice, and
every consumer ignores what it has seen. The sequencer of the feed hands events over in the order of their storing.
"""

import time
from collections import defaultdict
from collections.abc import Sequence

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.caching import Generations, generations_of
from engine.settings import Settings
from engine.telemetry.metrics import OUTBOX_RELAYED
from models.messages.log import EVENT_FIELD, stream_key
from models.store.connections import Database
from models.store.event_queue import EventQueue, QueuedEvent
from models.store.outbox import EVERYWHERE

__all__ = ["OutboxRelay"]

log = structlog.get_logger(__name__)

_LATE_AT_ONCE = 500
_AWAY_S = 1.0  # a Redis that did not answer is left alone for so long


class OutboxRelay:
    """Tells of events over the log and to live subscribers; what it can't tell yet is late, and never overtaken."""

    def __init__(self, database: Database, redis: "Redis", settings: Settings) -> None:
        self._queue = EventQueue(database)
        self._redis = redis
        self._prefix = settings.prefix
        self._generations = Generations(redis, settings.prefix)
        self._partitions = settings.log.partitions
        self._owes = True  # what a relay before this one has left
        self._away_until = 0.0

    async def tell(self, events: Sequence[QueuedEvent]) -> bool:
        """Tell of events, after those that are late; return whether it could be done."""
        if time.monotonic() < self._away_until:
            return False
        try:
            if self._owes:
                await self._catch_up()
            await self._send([event for event in events if event.messages is not None])
        except (RedisError, OSError, TimeoutError) as fault:
            self._owes, self._away_until = True, time.monotonic() + _AWAY_S
            log.warning("relay.away", error=str(fault))
            return False
        return True

    async def _catch_up(self) -> None:
        while late := await self._queue.late(_LATE_AT_ONCE):
            await self._send(late)
            await self._queue.told(late)
        self._owes = False

    async def _send(self, events: Sequence[QueuedEvent]) -> None:
        if not events:
            return
        told: defaultdict[str, list[object]] = defaultdict(list)
        renewed: set[str] = set()
        pipeline = self._redis.pipeline(transaction=False)
        for one in events:
            event = one.event
            told[event.tenant].append(event.announced())
            renewed.update(generations_of(event.type, event.tenant))
            for partition, message in one.messages or ():
                for target in range(self._partitions) if partition == EVERYWHERE else (partition,):
                    pipeline.xadd(stream_key(self._prefix, target), {EVENT_FIELD: message})
        self._generations.add_renewal(pipeline, renewed)
        for tenant, shown in told.items():
            pipeline.publish(f"{self._prefix}:live:{tenant}", b"E" + msgspec.msgpack.encode(shown))
        await pipeline.execute()
        OUTBOX_RELAYED.inc(len(events))
