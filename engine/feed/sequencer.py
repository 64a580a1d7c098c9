"""The sequencer: tells of events that were stored, and numbers them in the order of their storing.

While events come, it looks for them every blink: one look finds what was stored meanwhile, and where many come a
blink is longer. When none has come for a while it sleeps on a change stream, which only rings: what there is to do is
read from the index of events that wait, so no resume token can go stale.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from engine.telemetry.metrics import FEED_NUMBERED
from models.store.connections import Database
from models.store.event_queue import EventQueue, Numbered, QueuedEvent

__all__ = ["Herald", "blink_s", "sequenced"]

_AT_ONCE = 1000
_BLINK_S = 0.05  # what is stored within it goes together: many times fewer transactions when much happens
_LONG_BLINK_S = 0.15  # of a busy installation, whose processors have better things to do than many small transactions
_BUSY_PER_S = 120.0  # events
_QUIET_S = 1.0
_SWEEP_S = 5.0  # finds what a change stream missed; normally nothing


class Herald(Protocol):
    """Tells the rest of the engine of events."""

    async def tell(self, events: Sequence[QueuedEvent]) -> bool:
        """Tell of events in their order, and of what could not be told before; return whether it could be done."""


async def sequenced(database: Database, herald: Herald | None) -> AsyncGenerator[Numbered]:
    """Yield events in batches as they get their numbers, for ever."""
    queue = EventQueue(database)
    last_seen = looked_at = time.monotonic()
    while True:
        since, looked_at = looked_at, time.monotonic()
        batch = await queue.waiting(_AT_ONCE)
        told = herald is not None and await herald.tell(batch)
        if batch:
            yield await queue.number(batch, told=told)
            FEED_NUMBERED.inc(len(batch))
            last_seen = time.monotonic()
        elif time.monotonic() - last_seen > _QUIET_S:
            await queue.await_arrival(_SWEEP_S)
            last_seen = time.monotonic()
        await asyncio.sleep(blink_s(len(batch), looked_at - since))


def blink_s(events: int, within_s: float) -> float:
    """Return how long events may gather after so many came within some seconds: a little longer where many come."""
    return _LONG_BLINK_S if events > _BUSY_PER_S * max(within_s, _BLINK_S) else _BLINK_S
