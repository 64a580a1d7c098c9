"""Circuits of providers over a real Redis: what one process has found down, another leaves alone."""

import contextlib
import os
import signal

import pytest

from engine.providers.breaker import Breaker
from engine.providers.circuits import SharedCircuits
from models.errors import CircuitOpen
from models.store.connections import connect_redis
from tests.stack import eventually, running_stores

LONG_S, SHORT_S = 60.0, 0.05


def a_breaker(redis, prefix, recovery_s=LONG_S):
    """Return a breaker as another process would have it."""
    return Breaker("maps", 2, recovery_s, 5.0, circuits=SharedCircuits(redis, prefix))


async def fails():
    raise OSError("down")


async def works():
    return "done"


async def failing(breaker):
    for _ in range(2):
        with pytest.raises(OSError, match="down"):
            await breaker.call(fails)


async def test_what_one_has_found_down_the_other_leaves_alone(redis, prefix):
    here, there, late = (a_breaker(redis, prefix) for _ in range(3))
    assert await there.call(works) == "done"
    await failing(here)
    for breaker in (here, there, late):
        with pytest.raises(CircuitOpen) as refused:
            await breaker.call(works)
        assert LONG_S - 5 < refused.value.retry_after_s <= LONG_S


async def test_who_finds_it_well_again_opens_it_for_all(redis, prefix):
    here, there = a_breaker(redis, prefix, SHORT_S), a_breaker(redis, prefix)
    await failing(here)
    with pytest.raises(CircuitOpen):
        await there.call(works)

    async def recovered():
        with contextlib.suppress(CircuitOpen):
            return await here.call(works)

    await eventually(recovered)
    assert await there.call(works) == "done", "it would have waited for a minute"


async def test_installations_do_not_share(redis, prefix):
    await failing(a_breaker(redis, prefix))
    assert await a_breaker(redis, f"{prefix}-other").call(works) == "done"


async def test_without_redis_each_knows_what_it_has_met(prefix):
    async with running_stores() as stores:
        redis = connect_redis(stores.redis_url)
        here, there = a_breaker(redis, prefix), a_breaker(redis, prefix)
        os.kill(stores.redis.pid, signal.SIGSTOP)
        try:
            await failing(here)
            with pytest.raises(CircuitOpen):
                await here.call(works)
            assert await there.call(works) == "done"
        finally:
            os.kill(stores.redis.pid, signal.SIGCONT)
        await redis.aclose()
