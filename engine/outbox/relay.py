"""The outbox relay: tells shards and dashboards what has been committed to MongoDB.

At-least-once: an errand is marked only after Redis has taken its messages, so a crash in between tells it twice, and
every consumer ignores what it has seen. One relay of all hosts works at a time, by a lease in MongoDB.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Sequence

import msgspec
import structlog
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.ending import end_task
from engine.settings import Settings
from engine.telemetry.metrics import OUTBOX_RELAYED
from models.ids import new_id
from models.messages.log import EVENT_FIELD, stream_key
from models.store.connections import Database
from models.store.leases import Lease
from models.store.outbox import EVERYWHERE, Errand, OutboxRepository

__all__ = ["OutboxRelay"]

log = structlog.get_logger(__name__)

_BATCH = 500
_LEASE_S = 10.0
_RENEW_S = 3.0
_SWEEP_S = 5.0  # finds what a change stream missed; normally nothing
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0


class OutboxRelay:
    """Runs errands from the outbox to the log and to live subscribers."""

    def __init__(self, database: Database, redis: "Redis", settings: Settings) -> None:
        self._outbox = OutboxRepository(database)
        self._redis = redis
        self._prefix = settings.prefix
        self._partitions = settings.log.partitions
        self._lease = Lease(database, "outbox-relay", new_id("rly"), _LEASE_S)
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin relaying in the background."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self.run(), name="outbox-relay")

    async def stop(self) -> None:
        """Stop and hand the lease back. May be called twice."""
        if self._task is not None:
            await end_task(self._task)
            self._task = None
        with contextlib.suppress(PyMongoError):
            await self._lease.release()

    async def run(self) -> None:
        """Relay until cancelled, also through outages of either store."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                if await self._lease.acquire():
                    pause_s = _FIRST_PAUSE_S
                    await self._serve()
                await asyncio.sleep(_RENEW_S)  # another host relays; see again later whether it still does
            except* (PyMongoError, RedisError, OSError) as faults:
                log.warning("outbox.relay_interrupted", error=str(faults.exceptions[0]), retry_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _serve(self) -> None:
        """Relay while the lease is ours."""
        async with asyncio.TaskGroup() as group:
            helpers = [
                group.create_task(self._listen(), name="outbox-listen"),
                group.create_task(self._drain_for_ever(), name="outbox-drain"),
            ]
            ours = True
            while ours:
                await asyncio.sleep(_RENEW_S)
                ours = await self._lease.acquire()
            for helper in helpers:
                helper.cancel()

    async def _listen(self) -> None:
        async for _ in self._outbox.arrivals():
            self._work.set()

    async def _drain_for_ever(self) -> None:
        while True:
            self._work.clear()
            while errands := await self._outbox.waiting(_BATCH):
                await self._relay(errands)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SWEEP_S):
                    await self._work.wait()

    async def _relay(self, errands: Sequence[Errand]) -> None:
        told: defaultdict[str, list[msgspec.Raw]] = defaultdict(list)
        pipeline = self._redis.pipeline(transaction=False)
        for errand in errands:
            told[errand.tenant].append(msgspec.Raw(errand.event))
            for partition, message in errand.messages:
                for target in range(self._partitions) if partition == EVERYWHERE else (partition,):
                    pipeline.xadd(stream_key(self._prefix, target), {EVENT_FIELD: message})
        for tenant, events in told.items():
            pipeline.publish(f"{self._prefix}:live:{tenant}", b"E" + msgspec.msgpack.encode(events))
        await pipeline.execute()
        await self._outbox.done(errands)
        OUTBOX_RELAYED.inc(len(errands))
