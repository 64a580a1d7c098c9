"""What waits in MongoDB for the loops in the background: the outbox and the feed with its followers, the tasks."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.documents.document import now
from models.store.connections import Database

__all__ = ["BacklogRepository", "EventBacklog", "TaskBacklog"]

MOST = 10_000
"""Counting stops there: more is as bad."""

_OVERDUE_S = 10.0  # a task that was due longer ago has no worker


@dataclass(frozen=True, slots=True)
class EventBacklog:
    """Events that somebody has not heard of; numbers up to `MOST` are exact."""

    outbox: int
    """Those that shards and dashboards have not been told of."""
    unnumbered_s: float
    """Age of the oldest event that the sequencer has not numbered, seconds."""
    followers: Mapping[str, int]
    """Events that each follower has not taken."""


@dataclass(frozen=True, slots=True)
class TaskBacklog:
    """Tasks that are not done; numbers up to `MOST` are exact."""

    waiting: int
    """Those of the future among them."""
    overdue: int
    """Those that should have been begun some time ago."""
    dead_letters: int


class BacklogRepository:
    """Asks all tenants' queues how long they are."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def events(self) -> EventBacklog:
        """Return how far relay, sequencer and followers are behind."""
        return EventBacklog(
            outbox=await self._untold(),
            unnumbered_s=await self._unnumbered_s(),
            followers=await self._followers(),
        )

    async def tasks(self) -> TaskBacklog:
        """Return how many tasks there are to do."""
        tasks: Any = self._database.tasks
        overdue = {"state": "waiting", "due": {"$lte": now() - datetime.timedelta(seconds=_OVERDUE_S)}}
        return TaskBacklog(
            waiting=await tasks.count_documents({"state": "waiting"}, limit=MOST, hint="due"),
            overdue=await tasks.count_documents(overdue, limit=MOST, hint="due"),
            dead_letters=await tasks.count_documents({"state": "dead"}, limit=MOST, hint="dead"),
        )

    async def _untold(self) -> int:
        waiting: int = await self._database.events.count_documents({"queued": {"$type": "date"}}, limit=MOST)
        late: int = await self._database.events.count_documents({"late": True}, limit=MOST)
        return min(MOST, waiting + late)

    async def _unnumbered_s(self) -> float:
        waiting = {"queued": {"$type": "date"}}
        oldest = await self._database.events.find_one(waiting, {"queued": 1}, sort=[("queued", 1)])
        return max(0.0, (now() - oldest["queued"]).total_seconds()) if oldest else 0.0

    async def _followers(self) -> dict[str, int]:
        counter = await self._database.counters.find_one({"_id": "feed"})
        newest = int(counter["value"]) if counter else 0
        return {one["_id"]: max(0, newest - int(one["number"])) async for one in self._database.cursors.find()}
