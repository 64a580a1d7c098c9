"""A job as callers see it, over REST and over the live gateway."""

from collections.abc import Sequence

from engine.routing.planning import Criterion
from models.documents.document import Instant, Shape
from models.documents.job import Job, JobProgress, JobState, TravelTold, Unserved

__all__ = ["JobView", "job_view"]


class JobView(Shape):
    """A job, its progress, and what came of it."""

    id: str
    kind: str
    state: JobState
    criteria: Sequence[Criterion]
    """What it makes small; its costs are in the unit of the first: metres, seconds or millilitres."""
    progress: Sequence[JobProgress]
    """From the first plan to the best, oldest first."""
    routes: Sequence[str]
    """Routes that it made, to be looked at, changed and dispatched."""
    unserved: Sequence[Unserved]
    """Deliveries that no route takes, each with the reason."""
    travel: Sequence[TravelTold]
    """Whose times and lengths the plan was made with, by kind of vehicle."""
    error: str | None
    """Why it failed."""
    created_at: Instant
    ended_at: Instant | None


def job_view(job: Job) -> JobView:
    """Return a job as it is answered."""
    told = {name: getattr(job, name) for name in JobView.model_fields if name != "criteria"}
    return JobView(criteria=job.request["optimization_criteria"], **told)
