"""Searches in processes of this machine: for the command line and for benches, where no cluster runs."""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self

from engine.routing.search import START_S, Found, Routes, Search, overdue_at

__all__ = ["ProcessRunner"]

_MOST_LOSSES = 3  # of one search: it would go on dying
_LOOK_S = 0.5


@dataclass(slots=True)
class _Task:
    """A search under way."""

    number: int
    search: Search
    overdue: float
    """When it counts as stuck; it has a process when it has told of something."""
    best: Routes | None = None


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: _Task | None = None


class ProcessRunner:
    """Keeps one process for each core, as long as the `with` block lasts."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["engine.routing.solvers.pyvrp", "engine.routing.solvers.ruin_recreate"])
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        self._workers = [self._start() for _ in range(self._cores)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            _end(worker)
        self._workers = []

    @property
    def cores(self) -> int:
        """Return how many searches can run at once."""
        return self._cores

    @property
    def processes(self) -> list[int]:
        """Return the ids of its processes."""
        return [worker.process.pid for worker in self._workers if worker.process.pid is not None]

    def run(self, searches: Sequence[Search], report: Callable[[int, Routes], None]) -> Iterator[tuple[int, Found]]:
        """Yield (number of the search, what it found) as searches end.

        Raises
        ------
        RuntimeError
            If the process of one search dies again and again.
        """
        waiting = list(reversed(range(len(searches))))
        begins: dict[int, Search] = dict(enumerate(searches))
        losses = dict.fromkeys(begins, 0)
        left = len(searches)
        try:
            while left:
                for worker in self._workers:
                    if worker.task is None and waiting:
                        _give(worker, waiting[-1], begins[waiting.pop()])
                for worker in self._ready():
                    task = worker.task
                    assert task is not None  # noqa: S101 - only busy ones are asked
                    try:
                        found = self._hear(worker, task, report)
                    except (EOFError, ConnectionError):  # its process is gone
                        losses[task.number] += 1
                        if losses[task.number] == _MOST_LOSSES:
                            raise RuntimeError(
                                "a solver's process was lost again and again; it may lack memory"
                            ) from None
                        if task.best is not None:
                            begins[task.number] = replace(begins[task.number], start=task.best)
                        waiting.append(task.number)
                        self._replace(worker)
                        continue
                    if found is not None:
                        worker.task = None
                        left -= 1
                        yield task.number, found
        finally:
            for worker in self._workers:
                if worker.task is not None:
                    self._replace(worker)

    def _ready(self) -> list[_Worker]:
        busy = {worker.pipe: worker for worker in self._workers if worker.task is not None}
        heard, now = wait(list(busy), _LOOK_S), time.monotonic()
        return [
            worker
            for pipe, worker in busy.items()
            if pipe in heard or (worker.task is not None and now > worker.task.overdue)
        ]

    def _hear(self, worker: _Worker, task: _Task, report: Callable[[int, Routes], None]) -> Found | None:
        """Pass on what a worker says; return what it has found, if it has ended."""
        while worker.pipe.poll():
            said: Routes | Found | None = worker.pipe.recv()
            if isinstance(said, Found):
                return said
            if said is None:  # it has begun
                task.overdue = overdue_at(task.search.budget)
                continue
            task.best = said
            report(task.number, said)
        if time.monotonic() > task.overdue:
            self._replace(worker)
            return Found(task.best)
        return None

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _replace(self, worker: _Worker) -> None:
        _end(worker)
        fresh = self._start()
        worker.process, worker.pipe, worker.task = fresh.process, fresh.pipe, None


def _give(worker: _Worker, number: int, search: Search) -> None:
    worker.task = _Task(number, search, time.monotonic() + START_S)
    worker.pipe.send(search)


def _end(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


def _serve(pipe: Connection) -> None:
    """Do searches, one after the other, until the other end is gone."""
    import signal

    from engine.routing.solvers.run import run_search

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the parent, which ends its workers
    while True:
        try:
            search: Search = pipe.recv()
            pipe.send(None)
            pipe.send(run_search(search, pipe.send))
        except (EOFError, ConnectionError):
            return
