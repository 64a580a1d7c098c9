"""Arrival estimates over time, and how they turned out."""

import datetime
from collections.abc import Sequence
from typing import Any

from models.store.connections import Database
from models.store.replays import put_all
from models.store.scope import Scope

__all__ = ["EtaRepository"]

_MOST = 1000  # points in one answer


class EtaRepository:
    """The collections `eta_history` and `eta_outcomes`. Ids come from what happened: writing twice changes nothing."""

    def __init__(self, database: Database) -> None:
        self._blocks: Any = database["eta_history"]
        self._outcomes: Any = database["eta_outcomes"]

    async def save_points(self, blocks: Sequence[dict[str, Any]]) -> None:
        """Store points of deliveries' histories in blocks, each in place of one with its id."""
        await put_all(self._blocks, blocks)

    async def save_outcomes(self, outcomes: Sequence[dict[str, Any]]) -> None:
        """Store how estimates turned out, each in place of one with its id."""
        await put_all(self._outcomes, outcomes)

    async def points(self, scope: Scope, delivery: str) -> list[dict[str, Any]]:
        """Return the estimates of a delivery's drop-off over time, oldest first."""
        is_its = {"$eq": ["$$this.delivery", delivery]}
        pipeline: list[dict[str, Any]] = [
            {"$match": {"tenant": scope.tenant, "points.delivery": delivery}},
            {"$sort": {"at": 1}},
            {"$limit": _MOST},
            {"$project": {"points": {"$filter": {"input": "$points", "cond": is_its}}}},
            {"$unwind": "$points"},
            {"$replaceRoot": {"newRoot": "$points"}},
            {"$sort": {"at": 1}},
        ]
        found: list[dict[str, Any]] = await self._blocks.aggregate(pipeline).to_list(None)
        return found

    async def outcome(self, scope: Scope, delivery: str) -> dict[str, Any] | None:
        """Return how the last promise of a delivery turned out; None while it is open."""
        query = {"tenant": scope.tenant, "delivery": delivery, "stop": "dropoff"}
        found: dict[str, Any] | None = await self._outcomes.find_one(query, sort=[("at", -1)])
        return found

    async def accuracy(
        self, scope: Scope, since: datetime.datetime, until: datetime.datetime
    ) -> dict[str, list[dict[str, Any]]]:
        """Return how promises and legs of a tenant turned out: `promises` by day and by time ahead, `legs` by model.

        Days are those of UTC.
        """
        arrived = {"tenant": scope.tenant, "at": {"$gte": since, "$lt": until}}
        day = {"$dateToString": {"date": "$at", "format": "%Y-%m-%d"}}
        ahead = {"$switch": {"branches": [_under(600), _under(1800), _under(3600)], "default": "over_60_min"}}
        facets = {
            "days": [{"$group": {"_id": day, **_PROMISES}}, {"$sort": {"_id": 1}}],
            "ahead": [{"$group": {"_id": ahead, **_PROMISES}}],
            "whole": [{"$group": {"_id": None, **_PROMISES}}],
            "models": [{"$unwind": "$legs"}, {"$group": {"_id": "$legs.model", **_LEGS}}, {"$sort": {"_id": 1}}],
        }
        [found] = await self._outcomes.aggregate([{"$match": arrived}, {"$facet": facets}]).to_list(1)
        answer: dict[str, list[dict[str, Any]]] = found
        return answer

    async def coverage(self, since: datetime.datetime, least: int) -> list[dict[str, Any]]:
        """Return (`_id`: tenant, `promises`, `inside`) of all tenants with so many arrivals since an instant."""
        groups = {"$group": {"_id": "$tenant", **_PROMISES}}
        enough = {"$match": {"promises": {"$gte": least}}}
        found: list[dict[str, Any]] = await self._outcomes.aggregate(
            [{"$match": {"at": {"$gte": since}}}, groups, enough]
        ).to_list(None)
        return found


def _under(seconds: int) -> dict[str, Any]:
    return {"case": {"$lt": ["$leftS", seconds]}, "then": f"under_{seconds // 60}_min"}


def _count(condition: Any) -> dict[str, Any]:
    return {"$sum": {"$cond": [condition, 1, 0]}}


_PROMISES: dict[str, Any] = {
    "promises": {"$sum": 1},
    "inside": _count({"$not": {"$or": ["$early", "$late"]}}),
    "early": _count("$early"),
    "late": _count("$late"),
    "absErrorS": {"$sum": {"$abs": "$errorS"}},
    "errorS": {"$sum": "$errorS"},
    "widthS": {"$sum": "$widthS"},
    "toldAndMissed": _count({"$and": ["$toldLate", "$missed"]}),
    "told": _count("$toldLate"),
    "missed": _count("$missed"),
}
_LEGS: dict[str, Any] = {
    "legs": {"$sum": 1},
    "inside": _count("$legs.inside"),
    "absErrorS": {"$sum": {"$abs": "$legs.errorS"}},
    "errorS": {"$sum": "$legs.errorS"},
    "widthS": {"$sum": "$legs.widthS"},
}
