"""Arrival estimates over time, and how they turned out."""

from collections.abc import Sequence
from typing import Any

from pymongo import ReplaceOne

from models.store.connections import Database
from models.store.scope import Scope

__all__ = ["EtaRepository"]

_MOST = 1000  # points in one answer


class EtaRepository:
    """The collections `eta_history` and `eta_outcomes`. Ids come from what happened: writing twice changes nothing."""

    def __init__(self, database: Database) -> None:
        self._points: Any = database["eta_history"]
        self._outcomes: Any = database["eta_outcomes"]

    async def save_points(self, points: Sequence[dict[str, Any]]) -> None:
        """Store points of deliveries' histories, each in place of one with its id."""
        await _put(self._points, points)

    async def save_outcomes(self, outcomes: Sequence[dict[str, Any]]) -> None:
        """Store how estimates turned out, each in place of one with its id."""
        await _put(self._outcomes, outcomes)

    async def points(self, scope: Scope, delivery: str) -> list[dict[str, Any]]:
        """Return the estimates of a delivery's drop-off over time, oldest first."""
        query = {"tenant": scope.tenant, "delivery": delivery, "stop": "dropoff"}
        found: list[dict[str, Any]] = await self._points.find(query).sort("at", 1).to_list(_MOST)
        return found

    async def outcome(self, scope: Scope, delivery: str) -> dict[str, Any] | None:
        """Return how the last promise of a delivery turned out; None while it is open."""
        query = {"tenant": scope.tenant, "delivery": delivery, "stop": "dropoff"}
        found: dict[str, Any] | None = await self._outcomes.find_one(query, sort=[("at", -1)])
        return found


async def _put(collection: Any, documents: Sequence[dict[str, Any]]) -> None:
    if documents:
        writes = [ReplaceOne({"_id": one["_id"]}, one, upsert=True) for one in documents]
        await collection.bulk_write(writes, ordered=False)
