"""How far each follower has read the feed of events."""

from models.errors import Conflict
from models.store.connections import Database
from models.store.transactions import Session

__all__ = ["CursorRepository"]


class CursorRepository:
    """The number of the last event that each follower has taken, by the follower's name."""

    def __init__(self, database: Database) -> None:
        self._cursors = database["cursors"]

    async def get(self, follower: str) -> int | None:
        """Return a follower's place; None if it has never read."""
        found = await self._cursors.find_one({"_id": follower})
        return int(found["number"]) if found else None

    async def begin(self, follower: str, number: int) -> None:
        """Let a new follower begin after an event; one that has begun stays where it is."""
        await self._cursors.update_one({"_id": follower}, {"$setOnInsert": {"number": number}}, upsert=True)

    async def advance(self, follower: str, before: int, after: int, session: Session | None = None) -> None:
        """Move a follower on, in the transaction of what it made of the events between, if it made anything.

        Raises
        ------
        Conflict
            If somebody else has moved it meanwhile: what was made of the events must not be stored twice.
        """
        moved = await self._cursors.update_one(
            {"_id": follower, "number": before}, {"$set": {"number": after}}, session=session
        )
        if moved.matched_count == 0:
            raise Conflict(f"the follower {follower} is no longer at {before}")
