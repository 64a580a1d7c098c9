"""Long-lived tasks under supervision: started together, started again when one fails, stopped together."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from engine.ending import end_task
from engine.telemetry.metrics import TASK_RESTARTS

__all__ = ["Supervisor"]

log = structlog.get_logger(__name__)

_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 10.0
_WELL_AFTER_S = 60.0  # a task that ran this long has not crash-looped


class Supervisor:
    """Keeps named tasks running.

    Parameters
    ----------
    name
        For logs.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: dict[str, Callable[[], Awaitable[None]]] = {}
        self._stopping = asyncio.Event()
        self._running = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    def run(self, task: str, work: Callable[[], Awaitable[None]]) -> None:
        """Add a task, before `start`. It is over when `work` returns, and runs again when it raises."""
        self._work[task] = work

    async def start(self) -> None:
        """Start all tasks; return when they have been started."""
        self._serving = asyncio.get_running_loop().create_task(self._serve(), name=f"supervisor-{self._name}")
        await self._running.wait()

    async def stop(self) -> None:
        """Cancel all tasks; return when they have ended. May be called twice."""
        self._stopping.set()
        if self._serving is not None:
            await self._serving
            self._serving = None

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._keep(task), name=f"{self._name}.{task}") for task in self._work]
            self._running.set()
            await self._stopping.wait()
            await asyncio.gather(*map(end_task, tasks))

    async def _keep(self, task: str) -> None:
        delay_s = _FIRST_DELAY_S
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._work[task]()
            except Exception as error:
                if loop.time() - began > _WELL_AFTER_S:
                    delay_s = _FIRST_DELAY_S
                TASK_RESTARTS.labels(task).inc()
                log.exception("task.failed", supervisor=self._name, task=task, error=str(error), delay_s=delay_s)
            else:
                return
            await asyncio.sleep(delay_s)
            delay_s = min(_LONGEST_DELAY_S, delay_s * 2)
