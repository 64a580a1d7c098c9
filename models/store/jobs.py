"""Jobs in MongoDB: their progress, and the wish that they stop."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import ReturnDocument

from models.documents.document import now
from models.documents.event import Event
from models.documents.job import Job, JobProgress, JobState, TravelTold, Unserved
from models.errors import NotFound
from models.ids import new_id
from models.store.connections import Database
from models.store.outbox import Announcement, OutboxRepository
from models.store.paging import Page, PageRequest, read_page
from models.store.scope import Scope
from models.store.transactions import Session, in_transaction

__all__ = ["JobOutcome", "JobRepository"]

_OPEN = [JobState.QUEUED.value, JobState.RUNNING.value]
_MOST_STEPS = 500  # of progress that are kept; a search notes fewer


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What came of a job."""

    state: JobState
    routes: tuple[str, ...] = ()
    unserved: tuple[Unserved, ...] = ()
    error: str | None = None
    travel: Sequence[TravelTold] = ()


class JobRepository:
    """The jobs of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._jobs: Any = database["jobs"]
        self._outbox = OutboxRepository(database)

    async def create(self, job: Job, session: Session) -> None:
        """Store a new job, in the transaction of its task."""
        await self._jobs.insert_one(job.stored(), session=session)

    async def get(self, scope: Scope, job: str) -> Job:
        """Return one job.

        Raises
        ------
        NotFound
            If the tenant has no such job.
        """
        found = await self._jobs.find_one({"_id": job, "tenant": scope.tenant})
        if found is None:
            raise NotFound("job", job)
        return Job.restored(found)

    async def page(self, scope: Scope, page: PageRequest) -> Page[Job]:
        """Return one page of jobs, newest first."""
        return await read_page(self._jobs, Job, {"tenant": scope.tenant}, page, newest_first=True)

    async def begin(self, scope: Scope, job: str) -> bool:
        """Note that somebody works on a job, and tell whether it still is to be done."""
        changed = await self._jobs.update_one(_open(scope, job), {"$set": {"state": JobState.RUNNING.value}})
        return bool(changed.matched_count)

    async def goes_on(self, scope: Scope, job: str) -> bool:
        """Tell whether nobody wants a job to stop."""
        return await self._jobs.find_one({**_open(scope, job), "cancel": False}, {"_id": 1}) is not None

    async def note(self, scope: Scope, job: str, progress: JobProgress) -> None:
        """Add a step of progress."""
        step = {"$each": [progress.model_dump(by_alias=True)], "$slice": -_MOST_STEPS}
        await self._jobs.update_one(_open(scope, job), {"$push": {"progress": step}})

    async def stop(self, scope: Scope, job: str) -> Job:
        """Ask a job to stop; one that nobody has begun is cancelled at once, and that is told.

        Raises
        ------
        NotFound
            If the tenant has no such job.
        """
        await self._jobs.update_one(_open(scope, job), {"$set": {"cancel": True}})
        queued = {"_id": job, "tenant": scope.tenant, "state": JobState.QUEUED.value}
        ended = {"$set": {"state": JobState.CANCELLED.value, "endedAt": now()}}

        async def cancel(session: Session) -> None:
            found = await self._jobs.find_one_and_update(
                queued, ended, return_document=ReturnDocument.AFTER, session=session
            )
            if found is not None:
                told = _ended(Job.restored(found), JobOutcome(JobState.CANCELLED), scope.actor)
                await self._outbox.put(session, [told])

        await in_transaction(self._database, cancel)
        return await self.get(scope, job)

    async def finish(self, session: Session, job: Job, outcome: JobOutcome) -> None:
        """End a job with what came of it, and tell about it; one that has ended stays as it is."""
        fields: dict[str, Any] = {"state": outcome.state.value, "endedAt": now(), "routes": list(outcome.routes)}
        fields["unserved"] = [one.model_dump(by_alias=True) for one in outcome.unserved]
        fields["travel"] = [one.model_dump(by_alias=True, exclude_none=True) for one in outcome.travel]
        if outcome.error is not None:
            fields["error"] = outcome.error
        changed = await self._jobs.update_one(
            _open(Scope(job.tenant, job.by), job.id), {"$set": fields}, session=session
        )
        if changed.matched_count:
            await self._outbox.put(session, [_ended(job, outcome, "engine")])


def _ended(job: Job, outcome: JobOutcome, actor: str) -> Announcement:
    event = Event(
        id=new_id("evt"),
        tenant=job.tenant,
        time=now(),
        type=f"job.{outcome.state.value}",
        aggregate=job.id,
        sequence=1,
        actor=actor,
        data={"jobId": job.id, "kind": job.kind, "routes": list(outcome.routes), "unserved": len(outcome.unserved)},
    )
    return Announcement(event)


def _open(scope: Scope, job: str) -> dict[str, Any]:
    return {"_id": job, "tenant": scope.tenant, "state": {"$in": _OPEN}}
