"""The outbox relay: tells shards and dashboards what has been committed to MongoDB.

At-least-once: an errand is marked only after Redis has taken its messages, so a crash in between tells it twice, and
every consumer ignores what it has seen. One relay of all hosts works at a time, by a lease in MongoDB.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Sequence

import msgspec
from redis.asyncio import Redis

from engine.caching import Generations, generations_of
from engine.leased import Leased
from engine.settings import Settings
from engine.telemetry.metrics import OUTBOX_RELAYED
from models.messages.log import EVENT_FIELD, stream_key
from models.store.connections import Database
from models.store.outbox import EVERYWHERE, Errand, OutboxRepository

__all__ = ["OutboxRelay"]

_BATCH = 500
_GATHER_S = 0.02  # what is committed within a blink goes together, in one round trip to each store
_SWEEP_S = 5.0  # finds what a change stream missed; normally nothing


class _Typed(msgspec.Struct):
    """The type of an event, without the rest."""

    type: str


_TYPED = msgspec.msgpack.Decoder(_Typed)


class OutboxRelay(Leased):
    """Runs errands from the outbox to the log and to live subscribers."""

    def __init__(self, database: Database, redis: "Redis", settings: Settings) -> None:
        self._outbox = OutboxRepository(database)
        self._redis = redis
        self._prefix = settings.prefix
        self._generations = Generations(redis, settings.prefix)
        self._partitions = settings.log.partitions
        self._bell = asyncio.Event()
        super().__init__(
            database, "outbox-relay", {"outbox-listen": self._listen, "outbox-drain": self._drain_for_ever}
        )

    async def _listen(self) -> None:
        async for _ in self._outbox.arrivals():
            self._bell.set()

    async def _drain_for_ever(self) -> None:
        while True:
            self._bell.clear()
            while errands := await self._outbox.waiting(_BATCH):
                await self._relay(errands)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SWEEP_S):
                    await self._bell.wait()
            await asyncio.sleep(_GATHER_S)

    async def _relay(self, errands: Sequence[Errand]) -> None:
        told: defaultdict[str, list[msgspec.Raw]] = defaultdict(list)
        renewed: set[str] = set()
        pipeline = self._redis.pipeline(transaction=False)
        for errand in errands:
            told[errand.tenant].append(msgspec.Raw(errand.event))
            renewed.update(generations_of(_TYPED.decode(errand.event).type, errand.tenant))
            for partition, message in errand.messages:
                for target in range(self._partitions) if partition == EVERYWHERE else (partition,):
                    pipeline.xadd(stream_key(self._prefix, target), {EVENT_FIELD: message})
        self._generations.add_renewal(pipeline, renewed)
        for tenant, events in told.items():
            pipeline.publish(f"{self._prefix}:live:{tenant}", b"E" + msgspec.msgpack.encode(events))
        await pipeline.execute()
        await self._outbox.done(errands)
        OUTBOX_RELAYED.inc(len(errands))
