"""Migrations up and down, one process at a time: `pymongo-migrate` runs them, a lease keeps others waiting."""

import asyncio
import datetime
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pymongo_migrate.mongo_migrate import MongoMigrate

from models.ids import new_id
from models.store import migrations
from models.store.connections import Database
from models.store.leases import Lease

__all__ = ["Migration", "Migrations"]

_COLLECTION = "migrations"
_LEASE_S = 30.0
_RENEW_S = 5.0
_LOOK_S = 0.2
_FOLDER = Path(migrations.__file__).parent


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration, and when it was applied."""

    name: str
    meaning: str
    applied: datetime.datetime | None


class Migrations:
    """The migrations of a database.

    Parameters
    ----------
    database
        What they change.
    folder
        Where they are; given by tests.
    """

    def __init__(self, database: Database, folder: Path = _FOLDER) -> None:
        self._database = database
        # Motor wraps PyMongo's blocking client: the same connections, used from a thread
        self._run = MongoMigrate(
            client=database.client.delegate,
            database=database.name,
            migrations_dir=str(folder),
            migrations_collection=_COLLECTION,
        )

    async def status(self) -> list[Migration]:
        """Return all migrations in their order."""
        return await asyncio.to_thread(self._status)

    async def up(self) -> list[str]:
        """Apply what is missing, and return the names; whoever comes second waits, and finds nothing left to do."""
        return await self._alone(self._up)

    async def down(self, name: str | None = None) -> list[str]:
        """Undo the migration of this name and all after it, the last alone if none is named; return what was undone.

        Raises
        ------
        KeyError
            If there is no such migration.
        """
        return await self._alone(functools.partial(self._down, name))

    async def _alone(self, work: Callable[[], list[str]]) -> list[str]:
        """Run `work` in a thread while this process, of all, holds the lease."""
        lease = Lease(self._database, "migrations", new_id("mig"), _LEASE_S)
        while not await lease.acquire():  # noqa: ASYNC110  # another process, which rings no bell
            await asyncio.sleep(_LOOK_S)
        try:
            running = asyncio.ensure_future(asyncio.to_thread(work))
            while not (await asyncio.wait([running], timeout=_RENEW_S))[0]:
                await lease.acquire()
            return running.result()
        finally:
            await lease.release()

    def _up(self) -> list[str]:
        missing = [one.name for one in self._status() if one.applied is None]
        if missing:
            self._run.upgrade()
        return missing

    def _down(self, name: str | None) -> list[str]:
        found = self._status()
        names, applied = [one.name for one in found], [one.name for one in found if one.applied is not None]
        if name is not None and name not in names:
            raise KeyError(name)
        if not applied:
            return []
        first = names.index(name or applied[-1])
        self._run.downgrade(names[first - 1] if first else None)
        return [one for one in reversed(applied) if names.index(one) >= first]

    def _status(self) -> list[Migration]:
        found = []
        for one in self._run.get_migrations():
            meaning: str = getattr(one, "description", None) or ""
            found.append(Migration(one.name, meaning.partition("\n")[0], self._run.get_state(one).applied))
        return found
