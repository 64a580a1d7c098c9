"""Searches in processes: their answers, their loss, and that none is left behind."""

import os
import signal
import time

import psutil
import pytest

from engine.routing.processes import ProcessRunner
from engine.routing.search import Budget, Search
from tests.routing_problems import a_plain_problem

LONG = Budget(seconds=60)


@pytest.fixture(scope="module")
def runner():
    with ProcessRunner(2) as started:
        yield started


def a_search(seed, budget=None):
    return Search(a_plain_problem(seed, 30, 8), "pyvrp", budget or Budget(iterations=40))


def test_every_search_is_answered_once(runner):
    found = dict(runner.run([a_search(seed) for seed in range(5)], lambda *_: None))
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert all(one.routes is not None for one in found.values())


def test_better_plans_are_told_while_a_search_goes_on(runner):
    told = []
    found = dict(runner.run([a_search(1, Budget(seconds=1))], lambda number, routes: told.append((number, routes))))
    assert {number for number, _ in told} == {0}
    assert found[0].routes is not None


def test_a_search_whose_process_is_killed_is_done_again(runner):
    killed = []

    def kill(number, _):
        if not killed:
            killed.append(number)
            os.kill(runner.processes[0], signal.SIGKILL)

    found = dict(runner.run([a_search(seed, Budget(seconds=1)) for seed in range(2)], kill))
    assert killed
    assert all(one.routes is not None for one in found.values())


def test_whoever_stops_listening_ends_the_searches(runner):
    class Enough(Exception):
        pass

    def stop(*_):
        raise Enough

    before = runner.processes
    with pytest.raises(Enough):
        list(runner.run([a_search(1, LONG), a_search(2, LONG)], stop))
    assert not any(psutil.pid_exists(process) for process in before)
    assert dict(runner.run([a_search(1)], lambda *_: None))[0].routes is not None


def test_a_search_that_keeps_no_time_is_ended_with_its_best(runner, monkeypatch):
    """Its time counts from when it has begun, not from when it waits for a process to start."""
    told = []
    monkeypatch.setattr("engine.routing.processes.overdue_at", lambda _: time.monotonic() + 3)
    [(_, found)] = runner.run([a_search(1, Budget(seconds=600))], lambda _, routes: told.append(routes))
    assert found.routes == told[-1]


def test_no_process_outlives_the_block():
    with ProcessRunner(1) as started:
        [process] = started.processes
    assert not psutil.pid_exists(process)
