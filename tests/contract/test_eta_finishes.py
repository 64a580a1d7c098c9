"""Finished legs through the real stream: every shard hears each once, also one that starts later."""

import asyncio
import contextlib
import time

from engine.ending import end_task
from engine.eta.corrections import Finish, ModelSaid
from engine.eta.finishes import FinishStream
from tests.stack import eventually


def a_finish(number):
    said = ModelSaid("one", (60.0, 90.0, 120.0), 0.1, (66.0, 99.0, 132.0))
    return Finish(f"fin_{number}", "ten_a", round(time.time() * 1000), 95.0, 41.15, -8.61, (said,))


@contextlib.asynccontextmanager
async def a_listener(redis, prefix):
    """Yield what a shard hears."""
    heard = []
    task = asyncio.create_task(FinishStream(redis, prefix).follow(heard.append))
    try:
        yield heard
    finally:
        await end_task(task)


async def test_every_shard_hears_each_finish_once_and_in_one_order(redis, prefix):
    writer = FinishStream(redis, prefix)
    finishes = [a_finish(number) for number in range(5)]
    async with a_listener(redis, prefix) as first:
        await writer.add(finishes[:3])
        await writer.add(finishes[:3])  # a replay after a crash
        await eventually(lambda: len(first) == 3)
        async with a_listener(redis, prefix) as second:
            await writer.add(finishes[3:])
            await eventually(lambda: len(first) == len(second) == 5)
            assert first == second == finishes


async def test_what_nobody_can_read_is_passed_over(redis, prefix):
    async with a_listener(redis, prefix) as heard:
        await redis.xadd(f"{prefix}:eta:finishes", {b"f": b"nonsense"})
        await FinishStream(redis, prefix).add([a_finish(1)])
        await eventually(lambda: [one.id for one in heard] == ["fin_1"])
