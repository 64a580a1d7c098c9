"""Documents that are nearly always new, and come once more after a replay."""

from collections.abc import Sequence
from typing import Any

from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

__all__ = ["insert_new", "put_all"]

_DUPLICATE_KEY = 11000


async def insert_new(collection: Any, documents: Sequence[dict[str, Any]]) -> list[int]:
    """Insert documents, and return the places of those whose id was there already, which stay as they are."""
    if not documents:
        return []
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as fault:
        errors = fault.details["writeErrors"]
        if any(error["code"] != _DUPLICATE_KEY for error in errors) or fault.details.get("writeConcernErrors"):
            raise
        return [int(error["index"]) for error in errors]
    return []


async def put_all(collection: Any, documents: Sequence[dict[str, Any]]) -> None:
    """Store documents, each in place of one with its id.

    They are inserted, and only those that are there already replaced: to look for each first costs MongoDB twice as
    much.
    """
    again = [documents[place] for place in await insert_new(collection, documents)]
    if again:
        writes = [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in again]
        await collection.bulk_write(writes, ordered=False)
