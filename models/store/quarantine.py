"""Fixes of devices that nobody knows yet: kept for a while, bounded, until an admin says whose they are."""

from typing import Any

from bson import ObjectId

from models.documents.document import now
from models.store.connections import Database
from models.store.paging import Page, PageRequest
from models.store.scope import Scope

__all__ = ["QuarantineRepository"]

_MOST_FIXES = 500
_MOST_DEVICES = 1000


class QuarantineRepository:
    """The collection `quarantine`: a document a tenant and device, with its newest fixes until it is claimed."""

    def __init__(self, database: Database) -> None:
        self._quarantine: Any = database["quarantine"]

    async def claimed_by(self, scope: Scope, device: str) -> str | None:
        """Return the driver that an admin has said this device is."""
        found = await self._quarantine.find_one({"tenant": scope.tenant, "device": device}, {"driver": 1})
        driver: str | None = found.get("driver") if found else None
        return driver

    async def keep(self, scope: Scope, device: str, fixes: list[bytes]) -> bool:
        """Keep packed fixes of an unknown device; False if the tenant's quarantine is full."""
        query = {"tenant": scope.tenant, "device": device}
        known = await self._quarantine.find_one(query, {"_id": 1})
        waiting = {"tenant": scope.tenant, "waiting": True}
        if known is None and await self._quarantine.count_documents(waiting) >= _MOST_DEVICES:
            return False
        await self._quarantine.update_one(
            query,
            {
                "$push": {"fixes": {"$each": fixes, "$slice": -_MOST_FIXES}},
                "$set": {"seen": now(), "waiting": True},
                "$inc": {"count": len(fixes)},
            },
            upsert=True,
        )
        return True

    async def devices(self, scope: Scope, page: PageRequest) -> Page[dict[str, Any]]:
        """Return one page of the tenant's unknown devices: `_id`, `device`, `seen` and `count`.

        They come in the order in which they were first heard, the newest first: when they were last heard moves
        while somebody reads.
        """
        query: dict[str, Any] = {"tenant": scope.tenant, "waiting": True}
        if page.after is not None:
            query["_id"] = {"$lt": ObjectId(page.after)}
        fields = {"device": 1, "seen": 1, "count": 1}
        found = await self._quarantine.find(query, fields).sort("_id", -1).limit(page.limit + 1).to_list(None)
        return Page(found[: page.limit], len(found) > page.limit)

    async def claim(self, scope: Scope, device: str, driver: str) -> list[bytes] | None:
        """Say which driver a device is, and return its kept fixes, packed, oldest first; None if it is not here.

        From now on its fixes are the driver's. Those kept stay until `release`, so a claim can be repeated.
        """
        query = {"tenant": scope.tenant, "device": device, "waiting": True}
        found = await self._quarantine.find_one_and_update(query, {"$set": {"driver": driver}})
        return [bytes(fix) for fix in found["fixes"]] if found else None

    async def release(self, scope: Scope, device: str) -> None:
        """Drop the kept fixes of a claimed device."""
        query = {"tenant": scope.tenant, "device": device}
        await self._quarantine.update_one(query, {"$unset": {"fixes": 1, "count": 1, "waiting": 1}})
