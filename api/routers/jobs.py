"""Jobs: long work that was asked for. So far, the optimisation of routes."""

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.idempotency import IdempotencyKey, create_once
from api.job_view import JobView, job_view
from api.paging import PageOf, Paging, page_of
from api.services import Services
from engine.routing.optimize import OptimizeRequest, RouteRequests
from models.documents.document import now
from models.documents.job import Job, JobState
from models.errors import InvalidInput
from models.store.jobs import JobRepository

__all__ = ["router"]

router = APIRouter()
Planner = Annotated[Principal, Depends(allowed("routes.manage"))]
_MOST_TO_WAIT_FOR = 30  # deliveries: a small problem is solved while its planner waits
_LOOK_S = 0.25
_QUEUE_S = 15.0  # how long a small problem may wait for its turn
_ENDED = frozenset({JobState.DONE, JobState.CANCELLED, JobState.FAILED})


@router.post("/routes/optimize", status_code=202, tags=["routes"], response_model=JobView)
async def optimize_routes(
    request: Request,
    services: ServicesOf,
    principal: Planner,
    body: OptimizeRequest,
    wait: Annotated[bool, Query(description="Answer when it is done; for 30 deliveries at most")] = False,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Put deliveries on routes. The answer is a job, whose progress and routes are at `Location`."""
    if wait and len(body.deliveries) > _MOST_TO_WAIT_FOR:
        raise InvalidInput(f"wait: for {_MOST_TO_WAIT_FOR} deliveries at most", [("wait", "too many deliveries")])

    async def create() -> JobView:
        requests = RouteRequests(services.database, services.settings.log.partitions, services.travel)
        job = await requests.ask(principal.scope, body, now())
        return job_view(await _ended(services, principal, job, body.seconds + _QUEUE_S) if wait else job)

    answer = await create_once(request, services.database, principal, idempotency_key, create, 202)
    answer.headers["Location"] = f"/api/v1/jobs/{msgspec.json.decode(answer.body)['id']}"
    return answer


@router.get("/jobs", tags=["jobs"], response_model=PageOf[JobView])
async def list_jobs(services: ServicesOf, principal: Planner, page: Paging) -> dict[str, Any]:
    """Return jobs, newest first."""
    return page_of(await JobRepository(services.database).page(principal.scope, page), job_view)


@router.get("/jobs/{job_id}", tags=["jobs"])
async def get_job(services: ServicesOf, principal: Planner, job_id: str) -> JobView:
    """Return one job with its progress."""
    return job_view(await JobRepository(services.database).get(principal.scope, job_id))


@router.delete("/jobs/{job_id}", status_code=202, tags=["jobs"])
async def cancel_job(services: ServicesOf, principal: Planner, job_id: str) -> JobView:
    """Ask a job to stop; it keeps the best that it has found. One that has ended stays as it is."""
    return job_view(await JobRepository(services.database).stop(principal.scope, job_id))


async def _ended(services: Services, principal: Principal, job: Job, within_s: float) -> Job:
    """Return a job when it has ended, or as it is when its time is up."""
    jobs = JobRepository(services.database)
    try:
        async with asyncio.timeout(within_s):
            while job.state not in _ENDED:
                await asyncio.sleep(_LOOK_S)
                job = await jobs.get(principal.scope, job.id)
    except TimeoutError:
        return job
    return job
