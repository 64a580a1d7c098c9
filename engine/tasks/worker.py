"""The worker: takes tasks that are due, a bounded number at once, and tries each again before it counts as dead.

At-least-once: a task whose worker dies comes back when its lease is over, so whoever does it has to bear a repeat.
"""

import asyncio
import contextlib
import datetime
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from pymongo.errors import PyMongoError

from engine.ending import end_task
from engine.supervisor import Supervisor
from engine.telemetry.metrics import TASKS, TASKS_LATE
from models.documents.document import now
from models.documents.event import Event
from models.documents.task import Task
from models.errors import Postponed, TryLater, Undoable
from models.ids import new_id
from models.store.connections import Database
from models.store.outbox import Announcement
from models.store.tasks import Lanes, Room, TaskRepository

__all__ = ["TaskKind", "TaskWorker"]

log = structlog.get_logger(__name__)

_LEASE_MARGIN_S = 10.0  # between a task's time limit and its return to the queue
_LONGEST_LEASE_S = 60.0  # of a task whose worker dies: long ones are renewed while they run
_SWEEP_S = 5.0  # finds what a change stream missed; normally nothing
_LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class TaskKind:
    """How the tasks of a kind are done."""

    handle: Callable[[Task], Awaitable[None]]
    """Does one. `Undoable` ends all attempts, `Postponed` puts it off without counting, `TryLater` may name a longer
    pause; whatever else it raises is a failed attempt."""
    delays_s: Sequence[float] = (2.0, 4.0)
    """Pauses between attempts, seconds; there is one attempt more."""
    at_once: int = 16
    """Most tasks of the kind that one worker does at once."""
    at_once_each: int | None = None
    """Most of them in one lane, where lanes are told apart."""
    timeout_s: float = 30.0
    """Limit of one attempt, seconds."""
    on_death: Callable[[Task, str], Awaitable[None]] | None = None
    """Told of a task that failed at every attempt, and why; may be told twice."""
    close: Callable[[], Awaitable[None]] | None = None
    """Lets go of what `handle` holds, when the worker has stopped."""


class TaskWorker:
    """Does tasks of all tenants; several workers share them.

    Parameters
    ----------
    database
        Holds the tasks.
    kinds
        How each kind is done; tasks of other kinds stay.
    """

    def __init__(self, database: Database, kinds: Mapping[str, TaskKind]) -> None:
        self._tasks = TaskRepository(database)
        self._kinds = kinds
        self._running = dict.fromkeys(kinds, 0)
        self._lanes: dict[str, Counter[str]] = {name: Counter() for name in kinds}
        self._bell = asyncio.Event()
        self._supervisor = Supervisor("tasks")
        self._supervisor.run("tasks-listen", self._listen)
        self._supervisor.run("tasks-serve", self._serve)
        self._finished: list[Task] = []
        self._finishing = asyncio.Event()
        self._supervisor.run("tasks-finish", self._finish_for_ever)

    async def start(self) -> None:
        """Begin in the background."""
        await self._supervisor.start()

    async def stop(self) -> None:
        """Stop; what was begun comes back later. May be called twice."""
        await self._supervisor.stop()
        await self._finish()
        for kind in self._kinds.values():
            if kind.close is not None:
                await kind.close()

    async def _listen(self) -> None:
        async for _ in self._tasks.arrivals():
            self._bell.set()

    async def _serve(self) -> None:
        self._running = dict.fromkeys(self._kinds, 0)
        self._lanes = {name: Counter() for name in self._kinds}
        async with asyncio.TaskGroup() as group:
            while True:
                self._bell.clear()
                if not await self._begin(group):
                    await self._wait()

    async def _begin(self, group: asyncio.TaskGroup) -> bool:
        """Begin what is due and has room, and tell whether there was anything."""
        tasks = await self._tasks.claim(self._rooms())
        for task in tasks:
            self._running[task.kind] += 1
            if task.lane is not None:
                self._lanes[task.kind][task.lane] += 1
            group.create_task(self._do(task, self._kinds[task.kind]), name=f"task-{task.id}")
        return bool(tasks)

    def _rooms(self) -> dict[str, Room]:
        """Return what there is room for now, by kind."""
        found = {}
        for name, kind in self._kinds.items():
            if (count := kind.at_once - self._running[name]) > 0:
                lease_s = min(kind.timeout_s + _LEASE_MARGIN_S, _LONGEST_LEASE_S)
                lanes = None if kind.at_once_each is None else Lanes(kind.at_once_each, self._lanes[name])
                found[name] = Room(count, lease_s, lanes)
        return found

    async def _wait(self) -> None:
        """Wait for a new task, for one that ends, or until the next is due that has room."""
        due = await self._tasks.next_due(self._rooms())
        pause_s = _SWEEP_S if due is None else (due - now()).total_seconds()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(max(pause_s, 0.0), _SWEEP_S)):
                await self._bell.wait()

    async def _do(self, task: Task, kind: TaskKind) -> None:
        TASKS_LATE.labels(task.kind).observe(max(0.0, (now() - task.due).total_seconds()))
        try:
            TASKS.labels(task.kind, await self._attempt(task, kind)).inc()
        except PyMongoError as error:  # what came of it can't be written: the task comes back when its lease is over
            log.warning("task.lost", tenant=task.tenant, task=task.id, kind=task.kind, error=str(error))
        finally:
            self._running[task.kind] -= 1
            if task.lane is not None:
                self._lanes[task.kind] -= Counter([task.lane])  # which also forgets a lane that is empty
            self._bell.set()

    async def _attempt(self, task: Task, kind: TaskKind) -> str:
        """Do a task once, and return what came of it."""
        if task.attempts > len(kind.delays_s) + 1:
            return await self._bury(task, kind, task.error or "its workers died with it")
        try:
            async with asyncio.timeout(kind.timeout_s):
                await self._handled(task, kind)
        except Postponed as later:
            await self._tasks.again(task, later.until, None, counts=False)
            return "postponed"
        except Undoable as fault:
            return await self._bury(task, kind, str(fault))
        except Exception as fault:  # noqa: BLE001 - whatever went wrong, the task is tried again or kept as dead
            error = (str(fault) or type(fault).__name__)[:_LONGEST_ERROR]
            if task.attempts > len(kind.delays_s):
                return await self._bury(task, kind, error)
            delay_s = kind.delays_s[task.attempts - 1]
            if isinstance(fault, TryLater):
                delay_s = max(delay_s, fault.retry_after_s)
            log.warning("task.delayed", tenant=task.tenant, task=task.id, kind=task.kind, error=error, delay_s=delay_s)
            await self._tasks.again(task, now() + datetime.timedelta(seconds=delay_s), error, counts=True)
            return "failed"
        self._finished.append(task)
        self._finishing.set()
        return "done"

    async def _finish_for_ever(self) -> None:
        """Mark what is done as done, all that came in meanwhile in one write; it takes up no place at work."""
        while True:
            await self._finishing.wait()
            self._finishing.clear()
            await self._finish()

    async def _finish(self) -> None:
        finished, self._finished = self._finished, []
        try:
            await self._tasks.done(finished)
        except PyMongoError as error:  # they come back when their leases are over
            log.warning("tasks.lost", tasks=[task.id for task in finished], error=str(error))

    async def _handled(self, task: Task, kind: TaskKind) -> None:
        """Do a task, and keep it ours however long it takes."""
        if kind.timeout_s + _LEASE_MARGIN_S <= _LONGEST_LEASE_S:
            await kind.handle(task)
            return
        keeping = asyncio.get_running_loop().create_task(self._keep(task), name=f"keep-{task.id}")
        try:
            await kind.handle(task)
        finally:
            await end_task(keeping)

    async def _keep(self, task: Task) -> None:
        while True:
            await asyncio.sleep(_LONGEST_LEASE_S / 3)
            with contextlib.suppress(PyMongoError):  # twice more before the lease is over
                await self._tasks.keep(task, _LONGEST_LEASE_S)

    async def _bury(self, task: Task, kind: TaskKind, error: str) -> str:
        if kind.on_death is not None:
            await kind.on_death(task, error)
        log.error("task.died", tenant=task.tenant, task=task.id, kind=task.kind, attempts=task.attempts, error=error)
        await self._tasks.bury(task, error, _told(task, error))
        return "died"


def _told(task: Task, error: str) -> Announcement:
    event = Event(
        id=new_id("evt"),
        tenant=task.tenant,
        time=now(),
        type="task.failed",
        aggregate=task.id,
        sequence=1,
        actor="engine",
        data={"taskId": task.id, "kind": task.kind, "attempts": task.attempts, "error": error}
        | ({"lane": task.lane} if task.lane is not None else {}),
    )
    return Announcement(event)
