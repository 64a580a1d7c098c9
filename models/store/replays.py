"""Documents that are nearly always new, and come once more after a replay."""

from collections.abc import Sequence
from typing import Any

from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

__all__ = ["put_all"]

_DUPLICATE_KEY = 11000


async def put_all(collection: Any, documents: Sequence[dict[str, Any]]) -> None:
    """Store documents, each in place of one with its id.

    They are inserted, and only those that are there already replaced: to look for each first costs MongoDB twice as
    much.
    """
    if not documents:
        return
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as fault:
        errors = fault.details["writeErrors"]
        if any(error["code"] != _DUPLICATE_KEY for error in errors) or fault.details.get("writeConcernErrors"):
            raise
        again = [documents[error["index"]] for error in errors]
        await collection.bulk_write(
            [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in again], ordered=False
        )
