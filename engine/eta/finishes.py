"""Finished legs of all shards, in one order: a stream that each shard reads from some hours back.

So every shard knows the same residuals and margins, also one that starts anew, and nobody has to be the keeper.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis

from engine.eta.corrections import Finish

__all__ = ["FinishStream"]

log = structlog.get_logger(__name__)

_BACK_S = 24 * 3600.0  # the residual looks back six hours; margins gain from more
_KEPT = 50_000  # finishes, about 250 B each
_AT_ONCE = 1000
_WAIT_MS = 2000
_REMEMBERED = 20_000  # ids; a replay after a crash repeats seconds
_FIELD = b"f"

_decoder = msgspec.msgpack.Decoder(Finish)


class FinishStream:
    """The stream `<prefix>:eta:finishes`."""

    def __init__(self, redis: "Redis", prefix: str) -> None:
        self._redis: Any = redis  # its types are those of the blocking client
        self._key = f"{prefix}:eta:finishes"
        self._seen: set[str] = set()
        self._order: deque[str] = deque()

    async def add(self, finishes: Sequence[Finish]) -> None:
        """Put finishes at the end."""
        if finishes:
            pipeline = self._redis.pipeline(transaction=False)
            for finish in finishes:
                fields = {_FIELD: msgspec.msgpack.encode(finish)}
                pipeline.xadd(self._key, fields, maxlen=_KEPT, approximate=True)
            await pipeline.execute()

    async def follow(self, take: Callable[[Finish], None]) -> None:
        """Hand on each finish once, those of the last day first, for ever."""
        after: bytes | str = f"{round((time.time() - _BACK_S) * 1000)}-0"
        while True:
            found = await self._redis.xread({self._key: after}, count=_AT_ONCE, block=_WAIT_MS)
            for _, entries in found:
                for identifier, fields in entries:
                    after = identifier
                    self._hand_on(fields.get(_FIELD, b""), take)

    def _hand_on(self, data: bytes, take: Callable[[Finish], None]) -> None:
        try:
            finish = _decoder.decode(data)
        except msgspec.MsgspecError as error:
            log.error("finish.unreadable", error=str(error))  # noqa: TRY400  # the line says it
            return
        if finish.id in self._seen:
            return
        self._seen.add(finish.id)
        self._order.append(finish.id)
        if len(self._order) > _REMEMBERED:
            self._seen.discard(self._order.popleft())
        take(finish)
