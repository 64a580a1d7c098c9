"""Changed drivers on their way to the gateways: `LIVE` records of watched tenants, at most once an interval."""

import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis

from engine.shards.drivers import ABSENT
from engine.shards.memory import ShardMemory

__all__ = ["Publisher", "live_channel", "pack_estimates", "pack_events", "pack_live"]

_LENGTH = struct.Struct("<H")


def live_channel(prefix: str, tenant: str) -> str:
    """Return the channel of a tenant's live messages."""
    return f"{prefix}:live:{tenant}"


def pack_live(shard: int, boot: str, n: int, records: NDArray[np.void]) -> bytes:
    """Return a live message: which shard, in which life, the how-manieth, and its `LIVE` records."""
    header = msgspec.msgpack.encode({"shard": shard, "boot": boot, "n": n})
    return b"L" + _LENGTH.pack(len(header)) + header + records.tobytes()


def pack_events(events: Sequence[Mapping[str, Any]]) -> bytes:
    """Return an event message."""
    return b"E" + msgspec.msgpack.encode(events)


def pack_estimates(estimates: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a message of arrival estimates, as `engine.eta.telling.answer_of` makes them."""
    return b"T" + msgspec.msgpack.encode(estimates)


class Publisher:
    """Publishes for the tenants that somebody watches."""

    def __init__(self, redis: "Redis", prefix: str, shard: int, boot: str, memory: ShardMemory) -> None:
        self._redis, self.prefix, self._memory = redis, prefix, memory
        self.shard, self.boot = shard, boot
        self._until: dict[str, float] = {}
        self._n: dict[str, int] = {}
        self._changed: list[NDArray[np.uint32]] = []

    def watch(self, tenant: str, ttl_s: float) -> int:
        """Publish a tenant for `ttl_s` from now on and return the number of its last message."""
        self._until[tenant] = time.monotonic() + ttl_s
        return self._n.setdefault(tenant, 0)

    def is_watched(self, tenant: str) -> bool:
        """Tell whether somebody watches a tenant."""
        return tenant in self._until

    def note(self, rows: NDArray[np.int32]) -> None:
        """Remember that drivers changed."""
        if self._until and rows.size:
            self._changed.append(self._memory.state.drivers.records["number"][rows])

    def take(self) -> list[tuple[str, bytes]]:
        """Return the messages that are due: (channel, message). Lapsed watches end here."""
        now = time.monotonic()
        self._until = {tenant: until for tenant, until in self._until.items() if until > now}
        changed, self._changed = self._changed, []
        if not changed or not self._until:
            return []
        drivers = self._memory.state.drivers
        rows = drivers.rows(np.unique(np.concatenate(changed)))
        rows = rows[rows != ABSENT]
        tenants = drivers.records["tenant"][rows]
        messages = []
        for tenant in self._until:
            mine = rows[tenants == self._memory.tenant_index(tenant)]
            if mine.size:
                self._n[tenant] += 1
                message = pack_live(self.shard, self.boot, self._n[tenant], drivers.live(mine))
                messages.append((live_channel(self.prefix, tenant), message))
        return messages

    async def send(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Publish messages in one round trip."""
        pipeline = self._redis.pipeline(transaction=False)
        for channel, message in messages:
            pipeline.publish(channel, message)
        await pipeline.execute()
