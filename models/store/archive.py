"""Which days of which tenants the archive still has to write."""

import datetime
from typing import Any

from models.store.connections import Database
from models.store.history import HOUR_MS

__all__ = ["ArchiveRepository"]

_DAY_MS = 24 * HOUR_MS
_STATE = "scanned"


class ArchiveRepository:
    """The collection `archive`: a document for each day that changed since its file was written."""

    def __init__(self, database: Database) -> None:
        self._archive: Any = database["archive"]
        self._history: Any = database["history"]

    async def note_changed_days(self, until: datetime.datetime) -> None:
        """Note the days of all chunks that came since the last look and before `until`."""
        state = await self._archive.find_one({"_id": _STATE})
        since = {"$gte": state["until"]} if state else {}
        # a chunk lies within one hour of fix time, so one day
        day = {"$floor": {"$divide": ["$from", _DAY_MS]}}
        changed = self._history.aggregate(
            [{"$match": {"at": {**since, "$lt": until}}}, {"$group": {"_id": {"tenant": "$t", "day": day}}}]
        )
        async for group in changed:
            tenant, number = group["_id"]["tenant"], int(group["_id"]["day"])
            await self._archive.update_one(
                {"_id": f"{tenant}/{number}"}, {"$set": {"tenant": tenant, "day": number}}, upsert=True
            )
        await self._archive.replace_one({"_id": _STATE}, {"_id": _STATE, "until": until}, upsert=True)

    async def due(self, before_day: int) -> list[tuple[str, int]]:
        """Return noted days before a day, as pairs of (tenant, days since 1970)."""
        found = await self._archive.find({"day": {"$lt": before_day}}).sort("day", 1).to_list(None)
        return [(fields["tenant"], fields["day"]) for fields in found]

    async def done(self, tenant: str, day: int) -> None:
        """Strike a day off."""
        await self._archive.delete_one({"_id": f"{tenant}/{day}"})

    async def drivers(self, tenant: str, day: int) -> list[int]:
        """Return the numbers of a tenant's drivers that have fixes of a day."""
        query = {"t": tenant, "from": {"$gte": day * _DAY_MS, "$lt": (day + 1) * _DAY_MS}}
        return sorted(await self._history.distinct("d", query))
