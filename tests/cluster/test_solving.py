"""Problems solved on Ray: all searches are answered, a killed worker costs nothing, and a stop leaves none behind."""

import math
import os
import signal
import time

import pytest
from redis import Redis

from engine.routing.ray_runner import RayRunner
from engine.routing.search import Budget, Search
from engine.routing.solving import RaySolver
from engine.routing.verifier import verify
from engine.settings import Settings
from tests.routing_problems import a_plain_problem
from tests.searches import searching_below
from tests.stack import Stores, eventually

pytestmark = pytest.mark.cluster


async def test_a_search_whose_worker_is_killed_goes_on(stores: Stores, prefix: str, ray_session: str) -> None:
    runner = RayRunner(stores.redis_url, f"{prefix}:runner")
    killed: list[int] = []

    def kill(*_: object) -> None:
        if not killed:
            killed.extend(searching_below())
            for process in killed:
                os.kill(process, signal.SIGKILL)

    searches = [Search(a_plain_problem(seed, 40, 8), "pyvrp", Budget(seconds=2)) for seed in range(2)]
    found = dict(runner.run(searches, kill))
    assert killed
    assert sorted(found) == [0, 1]
    assert all(one.routes is not None for one in found.values())


async def test_a_search_that_keeps_no_time_is_ended_with_its_best(
    stores: Stores, prefix: str, ray_session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    monkeypatch.setattr("engine.routing.ray_runner.overdue_at", lambda _: time.monotonic() + 8)
    runner = RayRunner(stores.redis_url, f"{prefix}:stuck")
    searches = [Search(a_plain_problem(1, 60, 12), "pyvrp", Budget(seconds=600))]
    [(number, found)] = runner.run(searches, lambda _, routes: told.append(routes))
    assert number == 0
    assert found.routes == told[-1]
    await eventually(lambda: not searching_below(), within_s=10)


async def test_a_search_is_not_late_before_its_process_has_started(
    stores: Stores, prefix: str, ray_session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis, key = Redis.from_url(stores.redis_url), f"{prefix}:late"
    never_begun, begun = -math.inf, math.inf
    room = "engine.routing.ray_runner"
    monkeypatch.setattr(f"{room}._LOOK_S", 0.01)  # the first look comes before any process can have started
    monkeypatch.setattr(f"{room}.overdue_at", lambda _: begun if redis.exists(f"{key}:0") else never_begun)
    searches = [Search(a_plain_problem(1, 20, 5), "pyvrp", Budget(seconds=1))]
    [(_, found)] = RayRunner(stores.redis_url, key).run(searches, lambda *_: None)
    assert found.routes is not None


async def test_a_large_problem_is_solved_in_parts_and_stops_when_told(
    stores: Stores, redis: object, prefix: str, ray_session: str
) -> None:
    problem = a_plain_problem(1, 400, 60)
    settings = Settings(redis_url=stores.redis_url, prefix=prefix)
    solver = RaySolver(settings, redis)
    stopped_at = 0.0

    async def watch(best: object) -> bool:
        nonlocal stopped_at
        stopped_at = time.monotonic()
        return best is None

    best = await solver.solve("job", problem, 60, watch)
    assert time.monotonic() - stopped_at < 5
    assert best is not None
    assert verify(problem, best).is_feasible
    await eventually(lambda: not searching_below(), within_s=10)
