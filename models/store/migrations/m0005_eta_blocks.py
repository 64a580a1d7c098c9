"""Points of histories of estimates lie in blocks: what was stored one by one becomes blocks of one point."""

import contextlib
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure

__all__ = ["dependencies", "downgrade", "name", "upgrade"]

name = "m0005_eta_blocks"
dependencies = ["m0004_due_tasks"]

_BY_DELIVERY = [("tenant", 1), ("delivery", 1), ("at", 1)]
_OF_A_POINT = ("delivery", "at", "estimated", "earliest", "latest", "confidence", "promise", "model")


def upgrade(db: "Database[Any]") -> None:
    """Make blocks of points; those of pick-ups, which nobody reads, go."""
    history = db["eta_history"]
    history.delete_many({"stop": "pickup"})
    point = {field: f"${field}" for field in _OF_A_POINT}
    alone = [field for field in (*_OF_A_POINT, "stop") if field != "at"]
    history.update_many({"points": {"$exists": False}}, [{"$set": {"points": [point]}}, {"$unset": alone}])
    with contextlib.suppress(OperationFailure):  # there is no such index, or not even the collection
        history.drop_index(_BY_DELIVERY)


def downgrade(db: "Database[Any]") -> None:
    """Store each point of a block by itself again."""
    history = db["eta_history"]
    millis = {"$toString": {"$toLong": "$points.at"}}
    itself = {"_id": {"$concat": ["$points.delivery", ":dropoff:", millis]}, "tenant": "$tenant", "stop": "dropoff"}
    pipeline: list[dict[str, Any]] = [
        {"$match": {"points": {"$exists": True}}},
        {"$unwind": "$points"},
        {"$replaceRoot": {"newRoot": {"$mergeObjects": ["$points", itself]}}},
        {"$merge": {"into": "eta_history", "whenMatched": "replace"}},
    ]
    history.aggregate(pipeline)
    history.delete_many({"points": {"$exists": True}})
    history.create_index(_BY_DELIVERY)
