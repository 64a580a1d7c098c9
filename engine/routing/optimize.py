"""Optimisation jobs: asked for with a task, solved on Ray, ended together with the routes that came of them."""

import asyncio
import datetime
import functools
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Annotated, Literal, Protocol

import structlog
from pydantic import Field

from engine.fleet.closures import closed_to
from engine.roads.network import SNAP_LIMIT_M
from engine.routing.commands import RouteCommands
from engine.routing.drafts import RouteDrawer, planned_draft, unplannable
from engine.routing.planning import Criterion, Plan, PlanTerms, Wish, constraints_of, places_of
from engine.routing.problem import InOrder, Problem, SameVehicle, Solution
from engine.routing.progress import Bell, Curve
from engine.routing.verifier import verify
from engine.travel.chain import Travel
from models.documents.delivery import Delivery, Priority
from models.documents.document import Departure, Flag, Shape
from models.documents.job import Job, JobState
from models.documents.route import PlanLimits, Route
from models.documents.task import Task
from models.documents.vehicle import Vehicle
from models.errors import InvalidInput, OutriderError, TryLater
from models.ids import new_id
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository
from models.store.fleet import VehicleRepository
from models.store.jobs import JobOutcome, JobRepository
from models.store.paging import PageRequest
from models.store.scope import Scope
from models.store.tasks import TaskRepository
from models.store.transactions import Session, in_transaction

__all__ = ["MAX_SECONDS", "OPTIMIZE", "OptimizeRequest", "RouteOptimizer", "RouteRequests"]

log = structlog.get_logger(__name__)

OPTIMIZE: Literal["optimize"] = "optimize"
"""Kind of the tasks."""

MAX_SECONDS = 600.0
"""Longest search, seconds."""

_LEAST_S = 0.5  # of a search that goes on after its process was lost near the end
_MAX_DELIVERIES = 2000
_MAX_VEHICLES = 200


class JobTerms(Shape):
    """What holds for one delivery in this plan, beside what it says itself."""

    delivery_id: str = Field(max_length=80)
    priority: Priority | None = None
    """Instead of its own."""
    mandatory: Flag = False
    """Whether no plan at all is better than one without it."""
    allowed_vehicles: tuple[str, ...] | None = Field(None, min_length=1, max_length=_MAX_VEHICLES)
    """Which may take it; none means all."""
    forbidden_vehicles: tuple[str, ...] = Field((), max_length=_MAX_VEHICLES)


class Together(Shape):
    """Deliveries that belong together, as far as they are served."""

    kind: Literal["same_vehicle", "in_order"]
    """`in_order`: one vehicle, in this order; other stops may stand between."""
    deliveries: tuple[str, ...] = Field(min_length=2, max_length=100)


class OptimizeRequest(Shape):
    """Deliveries to be put on routes."""

    deliveries: tuple[str, ...] = Field(min_length=1, max_length=_MAX_DELIVERIES)
    vehicles: tuple[str, ...] | None = Field(None, min_length=1, max_length=_MAX_VEHICLES)
    """Which may be used; none means all that are active."""
    optimization_criteria: tuple[Criterion, ...] = Field(("time",), min_length=1, max_length=3)
    """What is made small; of several, each counts the same unless `weights` says otherwise."""
    weights: dict[Criterion, Annotated[float, Field(gt=0, le=1000)]] = Field(default_factory=dict, max_length=3)
    """How much a criterion counts; 1 unless given."""
    balance: float = Field(0.0, ge=0, le=100)
    """Cost of a second of the longest route, in units of the first criterion: more makes routes more alike."""
    jobs: tuple[JobTerms, ...] = Field((), max_length=_MAX_DELIVERIES)
    """What holds for single deliveries in this plan."""
    relations: tuple[Together, ...] = Field((), max_length=200)
    constraints: PlanLimits = PlanLimits()
    start: Departure | None = None
    """When the first vehicle may leave; now unless given."""
    seconds: float = Field(20.0, ge=0.5, le=MAX_SECONDS)
    """How long to search."""


class Solver(Protocol):
    """Solves a problem somewhere."""

    async def solve(
        self, name: str, problem: Problem, seconds: float, watch: Callable[[Solution | None], Awaitable[bool]]
    ) -> Solution | None:
        """Return the best solution found, also when `watch` has ended the search."""


class RouteRequests:
    """The way in: checks a request, and stores the job with its task."""

    def __init__(self, database: Database, partitions: int, travel: Travel) -> None:
        self._database, self._travel = database, travel
        self._jobs, self._tasks = JobRepository(database), TaskRepository(database)
        self._deliveries, self._vehicles = DeliveryRepository(database), VehicleRepository(database)
        self._drawer = RouteDrawer(database, partitions, travel)

    async def ask(self, scope: Scope, request: OptimizeRequest, start: datetime.datetime) -> Job:
        """Store a job that makes routes.

        Raises
        ------
        InvalidInput
            If a delivery or vehicle does not exist, can't be planned, or no vehicle is there at all; with the paths.
        """
        request = request.model_copy(update={"start": request.start or start})
        await self.plan(scope, request)
        job = Job(id=new_id("job"), tenant=scope.tenant, by=scope.actor, request=request.model_dump(mode="json"))
        task = Task(id=new_id("tsk"), tenant=scope.tenant, kind=OPTIMIZE, payload={"job": job.id})

        async def store(session: Session) -> None:
            await self._jobs.create(job, session)
            await self._tasks.put([task], session)

        await in_transaction(self._database, store)
        return job

    async def plan(self, scope: Scope, request: OptimizeRequest) -> Plan:
        """Return the problem of a request; raises as `ask`."""
        assert request.start is not None  # noqa: S101 - set when the job was made
        known = await self._deliveries.get_many(scope, request.deliveries)
        faults = [
            (f"deliveries.{place}", f"{identifier} comes twice")
            for place, identifier in enumerate(request.deliveries)
            if request.deliveries.index(identifier) < place
        ]
        faults += [
            (f"deliveries.{place}", fault)
            for place, identifier in enumerate(request.deliveries)
            if (fault := unplannable(known.get(identifier), identifier))
        ]
        vehicles = await self._vehicles_of(scope, request, faults)
        faults += _unknown(request, {one.id for one in vehicles})
        if faults:
            raise InvalidInput(f"{faults[0][0]}: {faults[0][1]}", faults)
        tours = await self._drawer.tours(scope, vehicles, request.start)
        wanted = [known[identifier] for identifier in request.deliveries]
        ways = await self._travel.ways(
            {tour.vehicle.profile for tour in tours},
            places_of(wanted, tours),
            request.start,
            await closed_to(self._database, scope),
        )
        _check_on_road(wanted, ways.off_road)
        weights = {name: request.weights.get(name, 1.0) for name in request.optimization_criteria}
        constraints = constraints_of(request.constraints)
        return Plan(wanted, tours, request.start, weights, constraints, _terms(request), ways)

    async def _vehicles_of(
        self, scope: Scope, request: OptimizeRequest, faults: list[tuple[str, str]]
    ) -> Sequence[Vehicle]:
        if request.vehicles is None:
            page = PageRequest(_MAX_VEHICLES)
            active = await self._vehicles.page(scope, page, active=True, depot=None, external_id=None)
            if not active.items:
                faults.append(("vehicles", "the company has no active vehicle"))
            return active.items
        known = await self._vehicles.get_many(scope, request.vehicles)
        faults += [
            (f"vehicles.{place}", f"there is no vehicle {identifier}")
            for place, identifier in enumerate(request.vehicles)
            if identifier not in known
        ]
        return [known[identifier] for identifier in dict.fromkeys(request.vehicles) if identifier in known]


class RouteOptimizer:
    """The way out: does the task of a job."""

    def __init__(self, database: Database, partitions: int, solver: Solver, ring: Bell, travel: Travel) -> None:
        self._database = database
        self._jobs = JobRepository(database)
        self._requests = RouteRequests(database, partitions, travel)
        self._commands = RouteCommands(database, partitions, travel)
        self._solver, self._ring = solver, ring

    async def handle(self, task: Task) -> None:
        """Solve a job and store its routes. A job that was begun before goes on from the best that was found."""
        scope = Scope(task.tenant, "engine")
        job = await self._jobs.get(scope, task.payload["job"])
        if not await self._jobs.begin(scope, job.id):
            return
        request = OptimizeRequest.model_validate(job.request)
        try:
            plan = await self._requests.plan(scope, request)
            before_s = job.progress[-1].elapsed_s if job.progress else 0.0
            left_s = max(_LEAST_S, request.seconds - before_s)
            watch = functools.partial(self._watch, scope, job, time.monotonic(), Curve(request.seconds, before_s))
            solution = await self._solver.solve(job.id, plan.problem, left_s, watch)
            await watch(solution)
            await self._store(scope, job, request, plan, solution)
        except TryLater:
            raise
        except (
            OutriderError
        ) as fault:  # the deliveries or vehicles have changed meanwhile: asking again is up to people
            await self._end(job, JobOutcome(JobState.FAILED, error=str(fault)))

    async def give_up(self, task: Task, error: str) -> None:
        """Let a job fail whose task failed at every attempt."""
        job = await self._jobs.get(Scope(task.tenant, "engine"), task.payload["job"])
        log.error("job.failed", tenant=task.tenant, job=job.id, error=error)
        await self._end(job, JobOutcome(JobState.FAILED, error="the solver failed; the operator's log says why"))

    async def _watch(self, scope: Scope, job: Job, begun: float, curve: Curve, best: Solution | None) -> bool:
        """Note how far a search is, and tell whether it shall go on."""
        if best is not None:
            used = sum(1 for route in best.routes if route)
            point = curve.point(time.monotonic() - begun, best.cost, len(best.unserved), used)
            if point is not None:
                await self._jobs.note(scope, job.id, point)
                await self._ring(job.tenant, job.id)
        return await self._jobs.goes_on(scope, job.id)

    async def _store(
        self, scope: Scope, job: Job, request: OptimizeRequest, plan: Plan, solution: Solution | None
    ) -> None:
        state = JobState.DONE if await self._jobs.goes_on(scope, job.id) else JobState.CANCELLED
        if solution is None:
            lack = " that serves all mandatory deliveries" if any(one.mandatory for one in request.jobs) else ""
            error = None if state is JobState.CANCELLED else f"no plan{lack} was found in the time; allow more"
            await self._end(job, JobOutcome(JobState.CANCELLED if error is None else JobState.FAILED, error=error))
            return
        verdict = await asyncio.to_thread(verify, plan.problem, solution)
        if broken := next((one for one in verdict.violations if one.kind != "cost"), None):
            raise InvalidInput(f"the solver's plan is not feasible: {broken.kind}")
        unserved = tuple(plan.unserved(solution))
        drafts = [
            planned_draft(plan, tour, visits, shortest, request.constraints, job.id)
            for (tour, visits), shortest in zip(plan.visits(solution), plan.departures(solution), strict=True)
        ]
        if not drafts:
            await self._end(job, JobOutcome(state, unserved=unserved, travel=plan.ways.told))
            return

        async def also(session: Session, routes: Sequence[Route]) -> None:
            if broken := next((route.violations[0] for route in routes if route.violations), None):
                raise InvalidInput(f"the solver's plan is not feasible: {broken.detail}")
            made = tuple(route.id for route in routes)
            await self._jobs.finish(session, job, JobOutcome(state, made, unserved, travel=plan.ways.told))

        await self._commands.create(scope, drafts, also)

    async def _end(self, job: Job, outcome: JobOutcome) -> None:
        await in_transaction(self._database, lambda session: self._jobs.finish(session, job, outcome))


def _check_on_road(deliveries: Sequence[Delivery], off_road: Collection[tuple[float, float]]) -> None:
    """Refuse deliveries of the map's region that no road leads to; raises InvalidInput with their paths."""
    faults = [
        (f"deliveries.{number}", f"no open road leads within {SNAP_LIMIT_M:.0f} m of the {kind} of {delivery.id}")
        for number, delivery in enumerate(deliveries)
        for kind, place in (("pickup", delivery.pickup), ("drop-off", delivery.dropoff))
        if place is not None and (place.latitude, place.longitude) in off_road
    ]
    if faults:
        raise InvalidInput(f"{faults[0][0]}: {faults[0][1]}", faults)


def _unknown(request: OptimizeRequest, vehicles: set[str]) -> list[tuple[str, str]]:
    """Return what a request's terms name that is not in it."""
    deliveries, seen = set(request.deliveries), set[str]()
    faults = []
    for place, one in enumerate(request.jobs):
        if one.delivery_id not in deliveries:
            faults.append((f"jobs.{place}.deliveryId", f"{one.delivery_id} is not among the deliveries"))
        if one.delivery_id in seen:
            faults.append((f"jobs.{place}.deliveryId", f"{one.delivery_id} comes twice"))
        seen.add(one.delivery_id)
        for name, named in (
            ("allowedVehicles", one.allowed_vehicles or ()),
            ("forbiddenVehicles", one.forbidden_vehicles),
        ):
            faults += [
                (f"jobs.{place}.{name}.{number}", f"{vehicle} is not among the vehicles")
                for number, vehicle in enumerate(named)
                if vehicle not in vehicles
            ]
    for place, relation in enumerate(request.relations):
        faults += [
            (f"relations.{place}.deliveries.{number}", f"{delivery} is not among the deliveries, or comes twice")
            for number, delivery in enumerate(relation.deliveries)
            if delivery not in deliveries or delivery in relation.deliveries[:number]
        ]
    if stray := set(request.weights) - set(request.optimization_criteria):
        faults.append(("weights", f"{min(stray)} is not among the optimizationCriteria"))
    return faults


def _terms(request: OptimizeRequest) -> PlanTerms:
    kinds: dict[str, type[SameVehicle] | type[InOrder]] = {"same_vehicle": SameVehicle, "in_order": InOrder}
    wishes = {
        one.delivery_id: Wish(
            priority=one.priority,
            is_mandatory=one.mandatory,
            allowed=None if one.allowed_vehicles is None else frozenset(one.allowed_vehicles),
            forbidden=frozenset(one.forbidden_vehicles),
        )
        for one in request.jobs
    }
    relations = [(kinds[one.kind], one.deliveries) for one in request.relations]
    return PlanTerms(wishes, relations, request.balance)
