"""Leases: which of several processes does something that only one should do."""

from models.store.connections import Database

__all__ = ["Lease"]


class Lease:
    """A right that runs out unless it is renewed. MongoDB's clock alone counts, so hosts' clocks need not agree."""

    def __init__(self, database: Database, name: str, holder: str, ttl_s: float) -> None:
        self._leases = database["leases"]
        self._name = name
        self._holder = holder
        self._ttl_ms = int(ttl_s * 1000)

    async def acquire(self) -> bool:
        """Take or renew the lease, and tell whether it is ours."""
        await self._leases.update_one({"_id": self._name}, {"$setOnInsert": {"holder": ""}}, upsert=True)
        free = {"$or": [{"$in": ["$holder", ["", self._holder]]}, {"$lt": ["$until", "$$NOW"]}]}
        taken = await self._leases.update_one(
            {"_id": self._name, "$expr": free},
            [{"$set": {"holder": self._holder, "until": {"$add": ["$$NOW", self._ttl_ms]}}}],
        )
        return bool(taken.matched_count)

    async def release(self) -> None:
        """Give the lease up, if it is ours."""
        await self._leases.update_one({"_id": self._name, "holder": self._holder}, {"$set": {"holder": ""}})
