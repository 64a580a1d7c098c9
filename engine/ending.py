"""Ending a task for certain."""

import asyncio
from typing import Any

__all__ = ["end_task"]

_AGAIN_S = 2.0  # a task that is tidying up gets so long before it is asked again


async def end_task(task: "asyncio.Task[Any]") -> None:
    """Cancel `task` and return when it is over.

    One `cancel` is not enough: redis-py loses a cancellation that comes while it connects (seen with 7.4), and the task
    goes on.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_AGAIN_S)
    if not task.cancelled():
        task.exception()  # taken note of, so that the loop does not complain that nobody looked
