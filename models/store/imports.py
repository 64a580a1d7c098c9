"""Imports in MongoDB: the record with its report, and the parts of the file that are still to be put away.

A part holds what its rows were checked to be, so whoever finds an import that stands still can finish it. It is deleted
in the transaction that stores its deliveries: what is there is to be done, and what is done can't be done again.
"""

import asyncio
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo.errors import DuplicateKeyError

from models.documents.delivery import Delivery
from models.documents.document import now
from models.documents.imports import Import, ImportEntry, ImportRow
from models.documents.task import Task
from models.errors import Conflict, NotFound
from models.store.connections import Database
from models.store.paging import Page, PageRequest, read_page
from models.store.personal import opened, sealed
from models.store.scope import Scope
from models.store.tasks import TaskRepository
from models.store.transactions import Session, in_transaction

__all__ = ["ImportPart", "ImportRepository"]

_PARTS = "import_parts"
_KEPT = datetime.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class ImportPart:
    """Entries that are stored in one transaction."""

    id: str
    entries: Sequence[ImportEntry]


class ImportRepository:
    """The imports of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tasks = TaskRepository(database)

    async def begin(self, record: Import, parts: Sequence[Sequence[ImportEntry]], task: Task) -> None:
        """Store an import with all its parts, and the task that finishes it if nobody else does.

        Raises
        ------
        Conflict
            If it has begun before.
        """
        fields = await asyncio.to_thread(record.stored)
        fields |= {"expiresAt": record.created_at + _KEPT}
        documents = []
        for part in await asyncio.to_thread(_parts, record, parts):
            documents.append(await sealed(self._database.vault, _PARTS, record.tenant, part))
            await asyncio.sleep(0)  # sealing waits for nobody, and others do

        async def insert(session: Session) -> None:
            await self._database.imports.insert_one(fields, session=session)
            if documents:
                await self._database.import_parts.insert_many(documents, session=session)
            await self._tasks.put([task], session)

        try:
            await in_transaction(self._database, insert)
        except DuplicateKeyError as fault:
            raise Conflict(f"import {record.id} has begun already") from fault

    async def get(self, scope: Scope, identifier: str) -> Import:
        """Return one import.

        Raises
        ------
        NotFound
            If the tenant has no such import, or none any more.
        """
        found = await self._database.imports.find_one({"_id": identifier, "tenant": scope.tenant})
        if found is None:
            raise NotFound("import", identifier)
        return Import.restored(found)

    async def by_key(self, scope: Scope, key: str) -> Import | None:
        """Return the import that came with this key, if it has begun."""
        found = await self._database.imports.find_one({"tenant": scope.tenant, "key": key})
        return None if found is None else Import.restored(found)

    async def page(self, scope: Scope, page: PageRequest) -> Page[Import]:
        """Return one page of the tenant's imports, newest first."""
        return await read_page(self._database.imports, Import, {"tenant": scope.tenant}, page, newest_first=True)

    async def next_part(self, scope: Scope, identifier: str) -> ImportPart | None:
        """Return the first part of an import that is still to be put away."""
        query = {"tenant": scope.tenant, "import": identifier}
        found = await self._database.import_parts.find_one(query, sort=[("_id", 1)])
        if found is None:
            return None
        fields = await opened(self._database.vault, _PARTS, scope.tenant, found)
        return ImportPart(fields["_id"], [_entry(entry) for entry in fields["entries"]])

    async def put_away(
        self, scope: Scope, identifier: str, part: str, failed: Mapping[int, ImportRow], session: Session
    ) -> None:
        """Mark a part as done, in the transaction that stores its deliveries; `failed` are rows to be told anew.

        Raises
        ------
        Conflict
            If somebody else has done it.
        """
        gone = await self._database.import_parts.delete_one({"_id": part, "tenant": scope.tenant}, session=session)
        if gone.deleted_count == 0:
            raise Conflict(f"part {part} has been put away already")
        if failed:
            rows = {f"rows.{place}": row.model_dump(by_alias=True, exclude_none=True) for place, row in failed.items()}
            query = {"_id": identifier, "tenant": scope.tenant}
            await self._database.imports.update_one(query, {"$set": rows}, session=session)

    async def end(self, scope: Scope, identifier: str, task: str) -> Import:
        """Mark an import as done, call off the task that would finish it, and return it."""
        query = {"_id": identifier, "tenant": scope.tenant, "state": "running"}

        async def finish(session: Session) -> None:
            change = {"$set": {"state": "done", "endedAt": now()}}
            await self._database.imports.update_one(query, change, session=session)
            await self._tasks.cancel(scope, [task], session)

        await in_transaction(self._database, finish)
        return await self.get(scope, identifier)


def _parts(record: Import, parts: Sequence[Sequence[ImportEntry]]) -> list[dict[str, Any]]:
    return [
        {
            "_id": f"{record.id}/{number:04}",
            "tenant": record.tenant,
            "import": record.id,
            "at": record.created_at,
            "entries": [_stored(entry) for entry in entries],
        }
        for number, entries in enumerate(parts)
    ]


def _stored(entry: ImportEntry) -> dict[str, Any]:
    return {
        "place": entry.place,
        "delivery": entry.delivery.stored(),
        "changes": entry.changes,
        "driver": entry.driver,
    }


def _entry(fields: Mapping[str, Any]) -> ImportEntry:
    changes = None if fields["changes"] is None else tuple(fields["changes"])
    return ImportEntry(fields["place"], Delivery.restored(fields["delivery"]), changes, fields["driver"])
