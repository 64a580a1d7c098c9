"""Events carry their messages to the shards themselves; until this release a document of `outbox` did, one an event."""

from typing import Any

import msgspec
from bson.binary import Binary
from pymongo.database import Database

from models.documents.event import Event

__all__ = ["dependencies", "downgrade", "name", "upgrade"]

name = "m0002_event_queue"
dependencies = ["m0001_versions"]


def upgrade(db: "Database[Any]") -> None:
    """Give what the relay has not told to its events: late where they have a number, else when they get one."""
    for errand in db["outbox"].find({"waiting": True}).sort("_id", 1):
        query = {"_id": errand["_id"], "messages": {"$exists": False}}
        messages = {"messages": errand["messages"]}
        numbered = db["events"].update_one({**query, "number": {"$gt": 0}}, {"$set": {**messages, "late": True}})
        if not numbered.matched_count:
            db["events"].update_one(query, {"$set": messages})
    db.drop_collection("outbox")


def downgrade(db: "Database[Any]") -> None:
    """Put the errands of what has not been told into `outbox` again."""
    for fields in db["events"].find({"messages": {"$exists": True}}):
        event = Event.restored(fields)
        errand = {"tenant": event.tenant, "messages": fields["messages"], "waiting": True}
        errand["event"] = Binary(msgspec.msgpack.encode(event.announced()))
        db["outbox"].update_one({"_id": event.id}, {"$setOnInsert": errand}, upsert=True)
        db["events"].update_one({"_id": event.id}, {"$unset": {"messages": "", "late": ""}})
