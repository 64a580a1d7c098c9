"""Who is to blame when MongoDB's answer is late: it, or this process, which was held up."""

import asyncio
import threading
import time

from api.outages import OutageWatch

HELD_UP_S = 1.5
"""Longer than MongoDB may be silent, and than a request may take that does not wait for it."""


async def test_a_process_that_was_held_up_itself_breaks_nothing_off():
    answered, asked = threading.Event(), threading.Event()

    def ping():
        asked.set()
        answered.wait()

    watch = OutageWatch(ping)
    request = asyncio.ensure_future(asyncio.sleep(600.0))
    watch.enter(request)
    watching = asyncio.ensure_future(watch.run())
    while not asked.is_set():  # noqa: ASYNC110 - the ping is in a thread
        await asyncio.sleep(0.001)
    time.sleep(HELD_UP_S)  # noqa: ASYNC251 - that is the point
    answered.set()
    await asyncio.sleep(0.05)
    assert not request.done()
    watching.cancel()
    request.cancel()


async def test_a_mongodb_that_says_nothing_has_requests_broken_off():
    answered = threading.Event()
    watch = OutageWatch(answered.wait)
    request = asyncio.ensure_future(asyncio.sleep(600.0))
    watch.enter(request)
    watching = asyncio.ensure_future(watch.run())
    await asyncio.wait([request])
    assert watch.broke_off(request)
    answered.set()
    watching.cancel()
