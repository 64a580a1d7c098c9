"""The audit log in MongoDB. It is written with each change, in `models.store.outbox`; nothing here changes it.

What a change was of is sealed, because it may be anything that a document says.
"""

import datetime
from dataclasses import dataclass
from typing import Any

from models.documents.audit import AuditEntry
from models.store.connections import Database
from models.store.paging import Page, PageRequest, read_page
from models.store.personal import opened
from models.store.scope import Scope

__all__ = ["AuditFilter", "AuditRepository"]

_MOST_OF_ONE = 5000


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; what is None does not matter."""

    entity: str | None = None
    actor: str | None = None
    action: str | None = None
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None
    """Not included."""


class AuditRepository:
    """Who did what in a tenant."""

    def __init__(self, database: Database) -> None:
        self._audit: Any = database["audit"]
        self._vault = database.vault

    async def page(self, scope: Scope, page: PageRequest, wanted: AuditFilter) -> Page[AuditEntry]:
        """Return one page of entries, newest first."""
        query: dict[str, Any] = {"tenant": scope.tenant}
        for name in ("entity", "actor", "action"):
            if (value := getattr(wanted, name)) is not None:
                query[name] = value
        bounds = {"$gte": wanted.since, "$lt": wanted.until}
        if between := {sign: moment for sign, moment in bounds.items() if moment is not None}:
            query["at"] = between
        return await read_page(self._audit, AuditEntry, query, page, newest_first=True, opened=self._opened)

    async def of(self, scope: Scope, entity: str) -> list[AuditEntry]:
        """Return what was done to one thing, oldest first."""
        query = {"tenant": scope.tenant, "entity": entity}
        found = await self._audit.find(query).sort("_id", 1).to_list(_MOST_OF_ONE)
        return [AuditEntry.restored(await self._opened(fields)) for fields in found]

    async def _opened(self, fields: dict[str, Any]) -> dict[str, Any]:
        return await opened(self._vault, "audit", fields["tenant"], fields)
