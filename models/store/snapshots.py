"""Snapshots of partitions in MongoDB: the newest one of each, written only by an owner that is not outdated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from models.errors import Fenced
from models.store.connections import Database

__all__ = ["SnapshotRepository", "StoredSnapshot"]

_PART_BYTES = 2 * 2**20  # mongod refuses writes of some 10 MiB when its cache is small


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """One partition's state at one position of its log."""

    partition: int
    epoch: int
    offset: int
    """Log position up to which the state holds everything."""
    durable: int
    """Log position up to which history held everything: later fixes are in `data`, waiting."""
    data: bytes


class SnapshotRepository:
    """The collections `snapshots` (one head a partition) and `snapshot_parts`."""

    def __init__(self, database: Database) -> None:
        self._heads: Any = database["snapshots"]
        self._parts: Any = database["snapshot_parts"]

    async def save(self, snapshot: StoredSnapshot) -> None:
        """Replace a partition's snapshot.

        Raises
        ------
        Fenced
            If an owner with a newer epoch has written one.
        """
        parts = [
            {"_id": ObjectId(), "partition": snapshot.partition, "b": snapshot.data[start : start + _PART_BYTES]}
            for start in range(0, max(1, len(snapshot.data)), _PART_BYTES)
        ]
        ids = [part["_id"] for part in parts]
        for part in parts:
            await self._parts.insert_one(part)
        head = {
            "epoch": snapshot.epoch,
            "offset": snapshot.offset,
            "durable": snapshot.durable,
            "parts": ids,
            "bytes": len(snapshot.data),
        }
        try:
            await self._heads.update_one(
                {"_id": snapshot.partition, "epoch": {"$lte": snapshot.epoch}}, {"$set": head}, upsert=True
            )
        except DuplicateKeyError as fault:
            await self._parts.delete_many({"_id": {"$in": ids}})
            current = await self._heads.find_one({"_id": snapshot.partition})
            raise Fenced(snapshot.partition, snapshot.epoch, current["epoch"] if current else 0) from fault
        # parts of older snapshots; those of a zombie that is writing just now have younger ids and are its own affair
        await self._parts.delete_many({"partition": snapshot.partition, "_id": {"$lt": ids[0]}})

    async def claim(self, epochs: Mapping[int, int]) -> None:
        """Keep owners with an older epoch from writing a snapshot from now on.

        Raises
        ------
        Fenced
            If somebody with a newer epoch was here.
        """
        for partition, epoch in epochs.items():
            change = {"$set": {"epoch": epoch}, "$setOnInsert": {"offset": 0, "parts": [], "bytes": 0}}
            try:
                await self._heads.update_one({"_id": partition, "epoch": {"$lte": epoch}}, change, upsert=True)
            except DuplicateKeyError as fault:
                raise Fenced(partition, epoch, epoch + 1) from fault

    async def epochs(self, partitions: Sequence[int]) -> dict[int, int]:
        """Return the epochs under which these partitions were last written."""
        heads = await self._heads.find({"_id": {"$in": list(partitions)}}, {"epoch": 1}).to_list(None)
        return {int(head["_id"]): int(head["epoch"]) for head in heads}

    async def durable(self, partition: int) -> int:
        """Return the log position beyond which a partition's snapshot begins to hold fixes itself; 0 without one."""
        head = await self._heads.find_one({"_id": partition}, {"durable": 1})
        return int(head.get("durable", 0)) if head else 0

    async def load(self, partitions: Sequence[int]) -> dict[int, StoredSnapshot]:
        """Return the snapshots of those partitions that have one; `data` is empty where one was only claimed."""
        heads = await self._heads.find({"_id": {"$in": list(partitions)}}).to_list(None)
        wanted = [part for head in heads for part in head["parts"]]
        data = {part["_id"]: part["b"] async for part in self._parts.find({"_id": {"$in": wanted}})}
        return {
            head["_id"]: StoredSnapshot(
                # plain integers: the driver's own kind can't go into a message
                int(head["_id"]),
                int(head["epoch"]),
                int(head["offset"]),
                int(head.get("durable", 0)),  # older releases did not say
                b"".join(data[part] for part in head["parts"]),
            )
            for head in heads
            if all(part in data for part in head["parts"])
        }

    async def bytes_held(self) -> int:
        """Return the size of all snapshots, bytes."""
        sums = await self._heads.aggregate([{"$group": {"_id": None, "bytes": {"$sum": "$bytes"}}}]).to_list(1)
        return int(sums[0]["bytes"]) if sums else 0
