"""Work that one process of all hosts does at a time, by a lease in MongoDB."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

import structlog
from pymongo.errors import PyMongoError

from engine.ending import end_task
from engine.supervisor import Supervisor
from models.ids import new_id
from models.store.connections import Database
from models.store.leases import Lease

__all__ = ["Leased"]

log = structlog.get_logger(__name__)

_LEASE_S = 10.0
_RENEW_S = 3.0


class Leased:
    """Keeps tasks running while it holds a lease; waits for the lease while another process has it.

    Parameters
    ----------
    database
        Holds the lease.
    name
        Of the lease, and for logs.
    work
        Tasks by name, each under supervision.
    """

    def __init__(self, database: Database, name: str, work: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
        self._lease = Lease(database, name, new_id("hld"), _LEASE_S)
        self._name = name
        self._work = work
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin in the background."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self.run(), name=self._name)

    async def stop(self) -> None:
        """Stop and hand the lease back. May be called twice."""
        if self._task is not None:
            await end_task(self._task)
            self._task = None

    async def run(self) -> None:
        """Work whenever the lease is ours, until cancelled, also through outages of the store."""
        try:
            while True:
                try:
                    if await self._lease.acquire():
                        await self._serve()
                except PyMongoError as error:
                    log.warning("lease.unreachable", lease=self._name, error=str(error))
                await asyncio.sleep(_RENEW_S)  # another host has it; see again later whether it still does
        finally:
            with contextlib.suppress(PyMongoError):
                await self._lease.release()

    async def _serve(self) -> None:
        supervisor = Supervisor(self._name)
        for task, work in self._work.items():
            supervisor.run(task, work)
        await supervisor.start()
        try:
            ours = True
            while ours:
                await asyncio.sleep(_RENEW_S)
                ours = await self._lease.acquire()
        finally:
            await supervisor.stop()
