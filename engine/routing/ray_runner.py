"""Searches as Ray tasks, anywhere in the cluster. Runs in the task that solves a problem, and ends with it."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import ray
import structlog
from ray.exceptions import NodeDiedError, ObjectLostError, WorkerCrashedError
from redis import Redis

from engine.routing.search import START_S, Found, Routes, Search, overdue_at

__all__ = ["LOSSES", "RayRunner"]

log = structlog.get_logger(__name__)

LOSSES = (NodeDiedError, ObjectLostError, WorkerCrashedError)
"""What Ray raises when a task's process is gone."""

_LOOK_S = 0.3  # how often the best of searches under way is looked at
_KEEP_S = 3600
_BEGUN = b""  # told before any plan
_MOST_LOSSES = 3  # of one search: a solver that goes on dying is a fault of the problem or ours


@ray.remote(num_cpus=0.5, max_retries=0)
def _solve_part(search: Search, url: str, key: str) -> Found:
    from engine.routing.solvers.run import run_search  # here: only the solver's process needs the libraries

    redis = Redis.from_url(url)
    redis.set(key, _BEGUN, ex=_KEEP_S)  # with the libraries loaded: from now on it can be late

    def report(routes: Routes) -> None:
        redis.set(key, msgspec.msgpack.encode(routes), ex=_KEEP_S)

    return run_search(search, report)


@dataclass(slots=True)
class _Task:
    """A search under way."""

    number: int
    search: Search
    overdue: float
    """When it counts as stuck; it has a process when it has told of something."""
    told: bytes | None = None


class RayRunner:
    """Runs as many searches at once as the cluster has processors.

    Parameters
    ----------
    url
        Of Redis, by which searches tell of better plans.
    key
        Prefix of the keys for that.
    """

    def __init__(self, url: str, key: str) -> None:
        self._redis, self._url, self._key = Redis.from_url(url), url, key

    @property
    def cores(self) -> int:
        """Return how many searches can run at once."""
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray's own
        return max(1, int(resources.get("CPU", 1)))

    def run(self, searches: Sequence[Search], report: Callable[[int, Routes], None]) -> Iterator[tuple[int, Found]]:
        """Yield (number of the search, what it found) as searches end.

        A search whose worker was lost goes on from the best that it had told of.
        """
        waiting = list(reversed(list(enumerate(searches))))
        running: dict[Any, _Task] = {}
        losses = 0
        try:
            while waiting or running:
                while waiting and len(running) < self.cores:
                    number, search = waiting.pop()
                    task = _Task(number, search, time.monotonic() + START_S)
                    self._redis.delete(self._key_of(task))
                    running[_solve_part.remote(task.search, self._url, self._key_of(task))] = task
                ended, _ = ray.wait(list(running), timeout=_LOOK_S)
                self._listen(list(running.values()), report)
                for reference in ended:
                    task = running.pop(reference)
                    try:
                        found: Found = ray.get(reference)
                    except LOSSES as error:
                        losses += 1
                        log.warning("search.lost", losses=losses, error=str(error))
                        if losses > _MOST_LOSSES:
                            raise
                        waiting.append((task.number, _again(task)))
                    else:
                        yield task.number, found
                for task in _stopped(running):
                    yield task.number, Found(_again(task).start)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def _key_of(self, task: _Task) -> str:
        return f"{self._key}:{task.number}"

    def _listen(self, tasks: Sequence[_Task], report: Callable[[int, Routes], None]) -> None:
        known: Any = self._redis.mget([self._key_of(task) for task in tasks])
        for task, told in zip(tasks, known, strict=True):
            if told is None or told == task.told:
                continue
            if task.told is None:
                task.overdue = overdue_at(task.search.budget)
            task.told = told
            if told != _BEGUN:
                report(task.number, msgspec.msgpack.decode(told, type=Routes))


def _stopped(running: dict[Any, _Task]) -> list[_Task]:
    """End the searches that are stuck, and return them."""
    stuck = [reference for reference, task in running.items() if time.monotonic() > task.overdue]
    for reference in stuck:
        ray.cancel(reference, force=True)
    return [running.pop(reference) for reference in stuck]


def _again(task: _Task) -> Search:
    """Return the search that goes on from the best that one has told of."""
    if not task.told:
        return task.search
    return replace(task.search, start=msgspec.msgpack.decode(task.told, type=Routes))
