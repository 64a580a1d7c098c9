"""Who is to blame when MongoDB's answer is late: it, or this process, which was held up."""

import asyncio
import threading
import time

from api.outages import OutageWatch

HELD_UP_S = 1.5
"""Longer than MongoDB may be silent, and than a request may take that does not wait for it."""


async def test_a_process_that_was_held_up_itself_breaks_nothing_off():
    answered, asked = threading.Event(), threading.Semaphore(0)

    def ping():
        asked.release()
        answered.wait()

    watch = OutageWatch(ping)
    request = asyncio.ensure_future(asyncio.Event().wait())
    watch.enter(request)
    watching = asyncio.ensure_future(watch.run())
    await asyncio.to_thread(asked.acquire)
    time.sleep(HELD_UP_S)  # noqa: ASYNC251 - that is the point
    for _ in range(5):  # turns of the loop in which the watch sees how late it is
        await asyncio.sleep(0)
    answered.set()
    await asyncio.to_thread(asked.acquire)  # it asks again once it has taken the answer
    assert not request.done()
    watching.cancel()
    request.cancel()


async def test_a_mongodb_that_says_nothing_has_requests_broken_off():
    answered = threading.Event()
    watch = OutageWatch(answered.wait)
    request = asyncio.ensure_future(asyncio.Event().wait())
    watch.enter(request)
    watching = asyncio.ensure_future(watch.run())
    try:
        await asyncio.wait([request])
    finally:
        answered.set()  # else its thread would keep the tests from ending
    assert watch.broke_off(request)
    watching.cancel()
