"""The queue of tasks in MongoDB. What a task has to know is sealed, because it may name people.

It is in MongoDB and not on Redis, because a task has to be stored in the same transaction as the change that asks for
it: a crash can then neither lose nor invent one. Whoever takes a task moves its `due` ahead; if it dies with the task,
the task comes back by itself.
"""

import datetime
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import UpdateOne, WriteConcern

from models.documents.document import now
from models.documents.task import Task
from models.errors import NotFound
from models.ids import new_id
from models.store.connections import Database
from models.store.outbox import Announcement, OutboxRepository
from models.store.paging import Page, PageRequest, read_page
from models.store.personal import opened, sealed
from models.store.scope import Scope
from models.store.transactions import Session, in_transaction

__all__ = ["Lanes", "Room", "TaskRepository"]


@dataclass(frozen=True, slots=True)
class Lanes:
    """How many tasks of each lane are being done, and how many may be."""

    room: int
    """Most tasks of one lane at once."""
    running: Mapping[str, int]

    def full(self) -> list[str]:
        """Return the lanes that have no room."""
        return [lane for lane, count in self.running.items() if count >= self.room]

    def fitting(self, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return those of some tasks that their lanes have room for, in their order."""
        taken = dict(self.running)
        kept = []
        for fields in tasks:
            lane = fields.get("lane")
            if lane is not None:
                if taken.get(lane, 0) >= self.room:
                    continue
                taken[lane] = taken.get(lane, 0) + 1
            kept.append(fields)
        return kept


@dataclass(frozen=True, slots=True)
class Room:
    """What a worker has room for of one kind of tasks."""

    count: int
    """Most tasks at once; at least one."""
    lease_s: float
    """How long nobody else gets them."""
    lanes: Lanes | None = None
    """Where they are told apart: no lane gets more than it has room for."""

    def fitting(self, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return those of some tasks of the kind that there is room for, in their order."""
        return (tasks if self.lanes is None else self.lanes.fitting(tasks))[: self.count]


_COLLECTION = "tasks"


class TaskRepository:
    """Tasks of all tenants: of those who put them, of the worker, and of admins who look after what failed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tasks: Any = database["tasks"]
        # a claim that a failover takes back is one more try, which whoever does a task has to bear anyway
        self._claims = self._tasks.with_options(write_concern=WriteConcern(w=1, j=False))
        self._outbox = OutboxRepository(database)

    async def put(self, tasks: Sequence[Task], session: Session | None = None) -> None:
        """Store tasks, in a transaction where one is given. One whose id is there already is left as it is."""
        if not tasks:
            return
        stored = [await sealed(self._database.vault, _COLLECTION, task.tenant, task.stored()) for task in tasks]
        await self._tasks.bulk_write(
            [UpdateOne({"_id": fields.pop("_id")}, {"$setOnInsert": fields}, upsert=True) for fields in stored],
            session=session,
        )

    async def cancel(self, scope: Scope, tasks: Sequence[str], session: Session | None = None) -> None:
        """Remove those of the tasks that still wait."""
        query = {"_id": {"$in": list(tasks)}, "tenant": scope.tenant, "state": "waiting"}
        await self._tasks.delete_many(query, session=session)

    async def claim(self, rooms: Mapping[str, Room]) -> list[Task]:
        """Take tasks that are due, by kind as many as there is room for, those that wait longest first.

        They are returned as they were due.
        """
        moment = now()
        most = sum(room.count for room in rooms.values())
        query = {**_waiting(rooms), "due": {"$lte": moment}}
        due = await self._tasks.find(query).sort("due", 1).limit(most).to_list(None) if rooms else []
        claim, taken = new_id("clm"), []
        for kind, room in rooms.items():
            fitting = room.fitting([fields for fields in due if fields["kind"] == kind])
            taken += await self._claimed(fitting, claim, moment, room.lease_s) if fitting else []
        opened = [await self._opened(fields) for fields in taken]
        return [Task.restored({**fields, "claim": claim, "attempts": fields["attempts"] + 1}) for fields in opened]

    async def _claimed(
        self, tasks: Sequence[dict[str, Any]], claim: str, moment: datetime.datetime, lease_s: float
    ) -> list[dict[str, Any]]:
        """Take tasks and return those that no other worker was faster with."""
        mine = {"_id": {"$in": [fields["_id"] for fields in tasks]}}
        claimed = await self._claims.update_many(
            {**mine, "state": "waiting", "due": {"$lte": moment}},
            {"$set": {"claim": claim, "due": moment + datetime.timedelta(seconds=lease_s)}, "$inc": {"attempts": 1}},
        )
        if claimed.modified_count == len(tasks):
            return list(tasks)
        ours = {fields["_id"] async for fields in self._tasks.find({**mine, "claim": claim}, {"_id": 1})}
        return [fields for fields in tasks if fields["_id"] in ours]

    async def done(self, tasks: Sequence[Task]) -> None:
        """Mark those of the tasks as done that are still ours."""
        if not tasks:
            return
        ours = {
            "_id": {"$in": [task.id for task in tasks]},
            "claim": {"$in": list({task.claim for task in tasks})},
            "state": "waiting",
        }
        change = {"$set": {"state": "done", "doneAt": now()}, "$unset": {"payload": "", "error": ""}}
        await self._tasks.update_many(ours, change)

    async def keep(self, task: Task, lease_s: float) -> None:
        """Renew the lease of a task that is still being done."""
        await self._tasks.update_one(_ours(task), {"$set": {"due": now() + datetime.timedelta(seconds=lease_s)}})

    async def again(self, task: Task, due: datetime.datetime, error: str | None, *, counts: bool) -> None:
        """Let a task be taken again from `due` on; an attempt that does not count was only put off."""
        change: dict[str, Any] = {"$set": {"due": due} | ({"error": error} if error is not None else {})}
        if not counts:
            change["$inc"] = {"attempts": -1}
        await self._tasks.update_one(_ours(task), change)

    async def bury(self, task: Task, error: str, announcement: Announcement) -> None:
        """Move a task to the dead letters and tell about it, if it is still ours."""

        async def move(session: Session) -> None:
            change = {"$set": {"state": "dead", "error": error, "endedAt": now()}}
            moved = await self._tasks.update_one(_ours(task), change, session=session)
            if moved.matched_count:
                await self._outbox.put(session, [announcement])

        await in_transaction(self._database, move)

    async def dead(self, scope: Scope, page: PageRequest, kind: str | None = None) -> Page[Task]:
        """Return one page of the tenant's dead letters, newest first."""
        query: dict[str, Any] = {"tenant": scope.tenant, "state": "dead"}
        if kind is not None:
            query["kind"] = kind
        return await read_page(self._tasks, Task, query, page, newest_first=True, opened=self._opened)

    async def revive(self, scope: Scope, task: str) -> Task:
        """Let a dead letter be tried again from the first attempt on.

        Raises
        ------
        NotFound
            If the tenant has no such dead letter.
        """
        revived = await self._tasks.find_one_and_update(
            {"_id": task, "tenant": scope.tenant, "state": "dead"},
            _revived(),
            return_document=True,
        )
        if revived is None:
            raise NotFound("dead letter", task)
        return Task.restored(await self._opened(revived))

    async def revive_all(self, scope: Scope, tasks: Sequence[str]) -> set[str]:
        """Let those of the tasks that are dead be tried again from the first attempt on, and return which they are."""
        query = {"_id": {"$in": list(tasks)}, "tenant": scope.tenant, "state": "dead"}
        dead = [found["_id"] async for found in self._tasks.find(query, {"_id": 1})]
        await self._tasks.update_many({**query, "_id": {"$in": dead}}, _revived())
        return set(dead)

    async def waiting(self, scope: Scope, tasks: Sequence[str]) -> set[str]:
        """Return which of the tasks still wait or are being done."""
        query = {"_id": {"$in": list(tasks)}, "tenant": scope.tenant, "state": "waiting"}
        return {found["_id"] async for found in self._tasks.find(query, {"_id": 1})}

    async def next_due(self, rooms: Mapping[str, Room]) -> datetime.datetime | None:
        """Return when the first of the tasks that wait is due for which there is room."""
        found = await self._tasks.find_one(_waiting(rooms), {"due": 1}, sort=[("due", 1)]) if rooms else None
        return None if found is None else found["due"]

    async def arrivals(self) -> AsyncIterator[None]:
        """Yield when tasks have been put or revived, as soon as MongoDB tells; also once at the start."""
        put = {"operationType": "insert"}
        revived = {"operationType": "update", "updateDescription.updatedFields.state": "waiting"}
        pipeline: list[dict[str, Any]] = [{"$match": {"$or": [put, revived]}}, {"$project": {"_id": 1}}]
        async with self._tasks.watch(pipeline, max_await_time_ms=1000) as changes:
            yield None
            while changes.alive:
                if await changes.try_next() is not None:
                    yield None

    async def _opened(self, fields: dict[str, Any]) -> dict[str, Any]:
        return await opened(self._database.vault, _COLLECTION, fields["tenant"], fields)


def _waiting(rooms: Mapping[str, Room]) -> dict[str, Any]:
    """Return the query of the tasks that wait, of some kinds, each without those of its full lanes."""
    full = [
        {"kind": kind, "lane": {"$in": lanes}}
        for kind, room in rooms.items()
        if room.lanes is not None and (lanes := room.lanes.full())
    ]
    return {"state": "waiting", "kind": {"$in": list(rooms)}} | ({"$nor": full} if full else {})


def _revived() -> dict[str, Any]:
    return {"$set": {"state": "waiting", "due": now(), "attempts": 0}, "$unset": {"endedAt": ""}}


def _ours(task: Task) -> dict[str, Any]:
    return {"_id": task.id, "claim": task.claim, "state": "waiting"}
