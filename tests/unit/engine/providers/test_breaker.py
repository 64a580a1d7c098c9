"""The circuit breaker: when it opens, whom it lets probe, what it counts."""

import asyncio
import contextlib

import pytest
from prometheus_client import REGISTRY

from engine.providers.breaker import Breaker
from models.errors import NotFound, ProviderDown
from tests.stack import eventually

LONG_S, SHORT_S = 60.0, 0.03


def a_breaker(name, *, failures=2, recovery_s=LONG_S, timeout_s=5.0, answers=(), circuits=None):
    return Breaker(name, failures, recovery_s, timeout_s, answers, circuits)


async def fails():
    raise OSError("down")


async def works():
    return "done"


async def failing(breaker, times):
    for _ in range(times):
        with pytest.raises(OSError):
            await breaker.call(fails)


def circuit_of(name):
    return REGISTRY.get_sample_value("outrider_provider_circuit", {"provider": name})


async def recovered(breaker):
    """Call until the circuit lets a call through."""

    async def once():
        with contextlib.suppress(ProviderDown):
            return await breaker.call(works)

    return await eventually(once)


async def test_it_opens_after_failures_in_a_row_and_says_when_to_come_back():
    breaker = a_breaker("opens")
    await failing(breaker, 2)
    with pytest.raises(ProviderDown) as refused:
        await breaker.call(works)
    assert LONG_S - 5 < refused.value.retry_after_s <= LONG_S
    assert circuit_of("opens") == 2


async def test_a_success_between_failures_keeps_it_closed():
    breaker = a_breaker("mixed")
    for _ in range(3):
        await failing(breaker, 1)
        assert await breaker.call(works) == "done"


async def test_a_slow_call_is_cut_off_and_counts_as_a_failure():
    breaker = a_breaker("slow", failures=1, timeout_s=0.02)
    with pytest.raises(ProviderDown, match="longer than"):
        await breaker.call(asyncio.Event().wait)
    with pytest.raises(ProviderDown, match="at the moment"):
        await breaker.call(works)


async def test_an_answer_that_says_no_is_not_a_failure():
    breaker = a_breaker("says-no", failures=1, answers=(NotFound,))

    async def says_no():
        raise NotFound("address", "x")

    for _ in range(3):
        with pytest.raises(NotFound):
            await breaker.call(says_no)
    assert await breaker.call(works) == "done"


async def test_it_closes_after_a_probe_that_works():
    breaker = a_breaker("recovers", failures=1, recovery_s=SHORT_S)
    await failing(breaker, 1)
    assert await recovered(breaker) == "done"
    assert circuit_of("recovers") == 0


async def test_one_probe_alone_tries_while_the_others_are_refused():
    breaker = a_breaker("half-open", failures=1, recovery_s=SHORT_S)
    await failing(breaker, 1)
    answered, begun = asyncio.Event(), 0

    async def probe():
        nonlocal begun
        begun += 1
        await answered.wait()
        return "done"

    async def knock():
        with contextlib.suppress(ProviderDown):
            return await breaker.call(probe)

    async with asyncio.TaskGroup() as group:

        async def knocked():
            group.create_task(knock())
            await asyncio.sleep(0)
            return begun

        await eventually(knocked)
        crowd = [group.create_task(knock()) for _ in range(20)]
        await asyncio.wait(crowd)
        assert begun == 1
        answered.set()
    assert await breaker.call(works) == "done"


async def test_a_probe_that_fails_opens_it_again_and_lets_go_of_the_probe():
    breaker = a_breaker("again", failures=3, recovery_s=SHORT_S)
    await failing(breaker, 3)

    async def probed():
        try:
            await breaker.call(fails)
        except OSError:
            return True
        except ProviderDown:
            return False

    await eventually(probed)
    with pytest.raises(ProviderDown):
        await breaker.call(works)
    assert await recovered(breaker) == "done"


async def test_a_cancelled_probe_does_not_close_it():
    breaker = a_breaker("cancelled", failures=1, recovery_s=SHORT_S)
    await failing(breaker, 1)
    begun = asyncio.Event()

    async def hangs():
        begun.set()
        await asyncio.Event().wait()

    async def probing():
        task = asyncio.create_task(breaker.call(hangs))
        await asyncio.wait([task], timeout=0.01)
        if task.done():
            assert isinstance(task.exception(), ProviderDown)
        return None if task.done() else task

    task = await eventually(probing)
    assert begun.is_set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProviderDown):
        await breaker.call(works)
    assert await recovered(breaker) == "done"


async def test_a_call_begun_before_it_opened_does_not_close_it():
    breaker = a_breaker("late", failures=1)
    answered = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(breaker.call(answered.wait))
        await asyncio.sleep(0)
        await failing(breaker, 1)
        answered.set()
    with pytest.raises(ProviderDown):
        await breaker.call(works)


async def test_calls_side_by_side_end_each_with_their_own_result():
    breaker = a_breaker("side-by-side", failures=100)

    async def answer(number):
        async with breaker:
            await asyncio.sleep(0)
            if number % 3 == 0:
                raise OSError("down")
            return number

    results = await asyncio.gather(*(answer(number) for number in range(30)), return_exceptions=True)
    assert [result for result in results if isinstance(result, int)] == [n for n in range(30) if n % 3]
