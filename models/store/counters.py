"""Rising numbers that are never given twice."""

from typing import Literal

from pymongo import ReturnDocument

from models.store.connections import Database

__all__ = ["take_numbers"]


async def take_numbers(database: Database, counter: Literal["drivers", "geofences"], count: int) -> range:
    """Return `count` fresh numbers of `counter`, from 1 upwards; one round trip however many."""
    raised = await database.counters.find_one_and_update(
        {"_id": counter}, {"$inc": {"value": count}}, upsert=True, return_document=ReturnDocument.AFTER
    )
    last = int(raised["value"])
    return range(last - count + 1, last + 1)
