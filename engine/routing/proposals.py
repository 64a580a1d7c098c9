"""Proposals for routes on the road: looked up, planned anew (`engine.routing.reoptimize`), shown, and carried out."""

import asyncio
import dataclasses
import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import structlog

from engine.fleet.closures import closed_to
from engine.routing.changes import added_by, proposed_route
from engine.routing.commands import RouteCommands
from engine.routing.drafts import RouteDrawer, unplannable
from engine.routing.explain import explain
from engine.routing.planning import places_of
from engine.routing.problem import Solution
from engine.routing.reoptimize import Replanned, reoptimise
from engine.routing.underway import Ahead, Situation, ahead_of, plan_of, situation_of
from engine.travel.chain import Travel
from models.documents.delivery import Delivery
from models.documents.document import now
from models.documents.event import Event
from models.documents.job import Unserved
from models.documents.live import LiveDriver
from models.documents.proposal import Cause, Proposal, ProposedRoute
from models.documents.route import Route
from models.documents.vehicle import Vehicle
from models.errors import Conflict, InvalidInput, VersionConflict, check_version
from models.ids import new_id
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository
from models.store.fleet import VehicleRepository
from models.store.outbox import Announcement
from models.store.proposals import ProposalRepository
from models.store.routes import RouteRepository
from models.store.scope import Scope
from models.store.transactions import Session

__all__ = ["ProposalCommands", "Whereabouts"]

log = structlog.get_logger(__name__)

_GOOD_FOR = datetime.timedelta(minutes=30)
_AHEAD = datetime.timedelta(hours=24)
"""Planned routes that begin later are left out."""
_MOST_ROUTES = 200


class Whereabouts(Protocol):
    """Knows where drivers are now."""

    async def live_of(self, tenant: str, drivers: Sequence[str]) -> Mapping[str, LiveDriver]:
        """Return the drivers that have a position, by id."""


@dataclass(frozen=True, slots=True)
class _Road:
    """What was looked up."""

    routes: Sequence[Ahead]
    deliveries: Mapping[str, Delivery]
    at: datetime.datetime


class ProposalCommands:
    """What can be proposed for routes on the road, and done with proposals."""

    def __init__(self, database: Database, partitions: int, whereabouts: Whereabouts, travel: Travel) -> None:
        self._proposals = ProposalRepository(database)
        self._routes, self._deliveries = RouteRepository(database), DeliveryRepository(database)
        self._vehicles = VehicleRepository(database)
        self._drawer = RouteDrawer(database, partitions, travel)
        self._commands = RouteCommands(database, partitions, travel)
        self._database, self._travel = database, travel
        self._whereabouts = whereabouts

    async def propose(self, scope: Scope, cause: Cause, trace: str | None = None) -> Proposal:
        """Store a proposal that answers to what has happened; raises as `find`."""
        return await self.store(scope, await self.find(scope, cause, trace))

    async def find(self, scope: Scope, cause: Cause, trace: str | None, *, quiet_stops: int = 0) -> Proposal:
        """Return a proposal that is not stored yet.

        Raises
        ------
        InvalidInput
            If a delivery or route does not exist or can't be meant, with its path; or no route is there at all.
        """
        began = time.monotonic()
        road = await self._look(scope, cause)
        if not cause.insert and not any(ahead.visits for ahead in road.routes):
            return _proposal(scope, cause, trace, road.at)
        situation, found = await asyncio.to_thread(_replanned, road, cause, quiet_stops)
        changed = await asyncio.to_thread(_changes, situation, found, road)
        total = added_by(changed)
        return _proposal(scope, cause, trace, road.at).model_copy(
            update={
                "routes": tuple(changed),
                "unserved": _unserved(situation, found),
                "distance_m": total.distance_m,
                "duration_s": total.duration_s,
                "cost": total.cost,
                "elapsed_s": round(time.monotonic() - began, 3),
            }
        )

    async def store(self, scope: Scope, proposal: Proposal) -> Proposal:
        """Store a proposal and tell about it."""
        await self._proposals.create(proposal, _announced(scope, proposal, "created"))
        log.info(
            "proposal.created",
            tenant=scope.tenant,
            proposal=proposal.id,
            routes=len(proposal.routes),
            duration_ms=round(proposal.elapsed_s * 1000),
        )
        return proposal

    async def accept(self, scope: Scope, identifier: str, version: int | None) -> Proposal:
        """Carry out a proposal: its routes change, and their drivers are told.

        Raises
        ------
        NotFound
            If the tenant has no such proposal.
        Conflict
            If it is not open any more, has expired, or the fleet has moved on: a vehicle is on its way to another
            stop, or a delivery was done or given away meanwhile.
        VersionConflict
            If `version` is no longer current, or a route has changed.
        """
        before = await self._open(scope, identifier, version)
        if before.expires_at < now():
            raise Conflict(f"proposal {identifier} has expired: ask for another")
        if not before.routes:
            raise Conflict(f"proposal {identifier} changes nothing")
        held = {one.route_id: await self._routes.get(scope, one.route_id) for one in before.routes}
        for one in before.routes:
            if held[one.route_id].version != one.version:
                raise VersionConflict(one.route_id, one.version, held[one.route_id].version)
        road = await self._road(scope, list(held.values()), before.cause, list(before.cause.insert))
        ahead = {one.route.id: one for one in road.routes}
        after = [_carried_out(one, ahead[one.route_id], before, road.deliveries) for one in before.routes]
        ended = _ended(before, scope, "accepted")

        async def also(session: Session, _: Sequence[Route]) -> None:
            await self._proposals.replace(session, ended, _announced(scope, ended, "accepted"))

        await self._commands.store(scope, list(held.values()), after, also)
        return ended

    async def reject(self, scope: Scope, identifier: str, version: int | None) -> Proposal:
        """Say no to a proposal. Raises NotFound, Conflict if it is not open any more, VersionConflict."""
        before = await self._open(scope, identifier, version)
        ended = _ended(before, scope, "rejected")
        await self._proposals.end(ended, _announced(scope, ended, "rejected"))
        return ended

    async def _open(self, scope: Scope, identifier: str, version: int | None) -> Proposal:
        found = await self._proposals.get(scope, identifier)
        check_version(identifier, version, found.version)
        if found.state != "open":
            raise Conflict(f"proposal {identifier} is {found.state} already")
        return found

    async def _look(self, scope: Scope, cause: Cause) -> _Road:
        """Look up all routes that may change, and check what a cause names."""
        routes = await self._routes.under_way(scope, now() + _AHEAD, _MOST_ROUTES)
        if not routes:
            raise InvalidInput("there is no route under way or about to begin", [("insert", "no route")])
        faults = _unknown_routes(cause, routes)
        known = await self._deliveries.get_many(scope, [*cause.insert, *cause.cancel])
        faults += [
            (f"insert.{place}", fault)
            for place, identifier in enumerate(cause.insert)
            if (fault := unplannable(known.get(identifier), identifier))
        ]
        on_routes = {delivery for route in routes for delivery in route.deliveries}
        faults += [
            (f"cancel.{place}", f"{identifier} is on no route under way")
            for place, identifier in enumerate(cause.cancel)
            if identifier not in on_routes
        ]
        if faults:
            raise InvalidInput(f"{faults[0][0]}: {faults[0][1]}", faults)
        return await self._road(scope, routes, cause, list(cause.insert))

    async def _road(self, scope: Scope, routes: Sequence[Route], cause: Cause, insert: Sequence[str]) -> _Road:
        """Look up what routes look like now."""
        named = [delivery for route in routes for delivery in route.deliveries]
        deliveries, vehicles, live = await asyncio.gather(
            self._deliveries.get_many(scope, [*named, *insert]),
            self._vehicles.get_many(scope, [route.vehicle for route in routes if route.vehicle is not None]),
            self._whereabouts.live_of(scope.tenant, [route.driver for route in routes if route.driver is not None]),
        )
        at = now()
        delays = {one.route_id: one.delay_s for one in cause.delays}
        of_routes = [
            vehicles.get(route.vehicle or "") or Vehicle(id=route.id, tenant=scope.tenant, name="any")
            for route in routes
        ]
        days = [(vehicle, route.day_begins) for vehicle, route in zip(of_routes, routes, strict=True)]
        cancelled = frozenset(cause.cancel)
        ahead = [
            ahead_of(
                route,
                tour,
                deliveries,
                live.get(route.driver or ""),
                at,
                cancelled=cancelled,
                delay_s=delays.get(route.id, 0),
            )
            for route, tour in zip(routes, await self._drawer.tours_at(scope, days), strict=True)
        ]
        places = places_of(deliveries.values(), [one.tour for one in ahead])
        barriers = await closed_to(self._database, scope)
        ways = await self._travel.ways({one.tour.vehicle.profile for one in ahead}, places, at, barriers)
        return _Road([dataclasses.replace(one, ways=ways) for one in ahead], deliveries, at)


def _proposal(scope: Scope, cause: Cause, trace: str | None, at: datetime.datetime) -> Proposal:
    """Return a proposal that changes nothing yet."""
    return Proposal(
        id=new_id("prp"),
        tenant=scope.tenant,
        by=scope.actor,
        cause=cause,
        trace_id=trace,
        created_at=at,
        expires_at=at + _GOOD_FOR,
    )


def _replanned(road: _Road, cause: Cause, quiet_stops: int) -> tuple[Situation, Replanned]:
    """Return the routes on the road as a problem, and planned anew."""
    broken = frozenset(cause.breakdowns)
    situation = situation_of(
        road.routes, road.deliveries, cause.insert, road.at, broken=broken, quiet_stops=quiet_stops
    )
    return situation, reoptimise(situation.now)


def _unknown_routes(cause: Cause, routes: Sequence[Route]) -> list[tuple[str, str]]:
    known = {route.id for route in routes}
    named = [(f"delays.{place}.routeId", one.route_id) for place, one in enumerate(cause.delays)]
    named += [(f"breakdowns.{place}", route) for place, route in enumerate(cause.breakdowns)]
    return [(path, f"{route} is no route under way") for path, route in named if route not in known]


def _changes(situation: Situation, found: Replanned, road: _Road) -> list[ProposedRoute]:
    """Return what a plan changes, route by route."""
    origins = {visit.delivery_id: ahead.route.id for ahead in situation.routes for visit in ahead.visits}
    changed = []
    for number, ahead in enumerate(situation.routes):
        visits = situation.visits_of(found.routes[number])
        if visits != ahead.so_far:
            changed.append(proposed_route(ahead, visits, road.deliveries, origins))
    return changed


def _unserved(situation: Situation, found: Replanned) -> tuple[Unserved, ...]:
    """Return what nobody can take, and why; with goods that a broken vehicle has on board."""
    told = []
    if found.unserved:
        whole = Solution(found.routes, found.cost, found.unserved)
        reasons = explain(situation.now.problem, whole)
        told = [(number, reasons[number].detail) for number in found.unserved]
    stranded = [visit.job for vehicle in sorted(situation.now.broken) for visit in found.routes[vehicle]]
    told += [(job, "on board of a vehicle that goes no further") for job in dict.fromkeys(stranded)]
    return tuple(Unserved(delivery_id=situation.plan.deliveries[job].id, reason=reason) for job, reason in told)


def _carried_out(one: ProposedRoute, ahead: Ahead, proposal: Proposal, deliveries: Mapping[str, Delivery]) -> Route:
    """Return a route as a proposal makes it, with what was done meanwhile.

    Raises
    ------
    Conflict
        If the fleet has moved on.
    """
    still = {(visit.delivery_id, visit.kind) for visit in ahead.visits}
    before = {(visit.delivery_id, visit.kind) for visit in one.ahead}
    news = [visit for visit in one.visits if (visit.delivery_id, visit.kind) not in before]
    for visit in news:
        _check_movable(visit.delivery_id, proposal, deliveries)
    wanted = [visit for visit in one.visits if (visit.delivery_id, visit.kind) not in before - still]
    if ahead.is_dispatched and ahead.fixed and wanted[: ahead.fixed] != list(ahead.visits[: ahead.fixed]):
        raise Conflict(f"the vehicle of route {one.route_id} is on its way to another stop by now: ask again")
    plan = plan_of(ahead, wanted, deliveries)
    shift = len(ahead.done)
    violations = [
        each if each.stop is None else each.model_copy(update={"stop": each.stop + shift}) for each in plan.violations
    ]
    route = ahead.route
    driven_m = sum(stop.leg_distance_m for stop in ahead.done)
    rested = [each.model_copy(update={"before": min(each.before, shift)}) for each in ahead.rested]
    resting = [each.model_copy(update={"before": each.before + shift}) for each in plan.breaks]
    return route.model_copy(
        update={
            "version": route.version + 1,
            "updated_at": now(),
            "stops": (*ahead.done, *plan.stops),
            "breaks": (*rested, *resting),
            "end": plan.end,
            "distance_m": round(driven_m + plan.distance_m, 1),
            "duration_s": round((plan.end - route.start).total_seconds(), 1),
            "violations": tuple(violations),
        }
    )


def _check_movable(delivery: str, proposal: Proposal, deliveries: Mapping[str, Delivery]) -> None:
    """Refuse a delivery that was done or taken elsewhere since it was to join another route."""
    found = deliveries.get(delivery)
    routes = {one.route_id for one in proposal.routes}
    if found is None or unplannable(found.model_copy(update={"route": None}), delivery):
        raise Conflict(f"{delivery} is not to be made any more: ask again")
    if found.route is not None and found.route not in routes:
        raise Conflict(f"{delivery} is on route {found.route} by now: ask again")


def _ended(before: Proposal, scope: Scope, state: Literal["accepted", "rejected"]) -> Proposal:
    fields = {"state": state, "version": before.version + 1, "ended_at": now(), "ended_by": scope.actor}
    return before.model_copy(update=fields)


def _announced(scope: Scope, after: Proposal, change: Literal["created", "accepted", "rejected"]) -> Announcement:
    data = {
        "proposalId": after.id,
        "state": after.state,
        "routes": [one.route_id for one in after.routes],
        "inserted": list(after.cause.insert),
        "unserved": len(after.unserved),
        "durationS": after.duration_s,
        "traceId": after.trace_id,
        "version": after.version,
    }
    event = Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=now(),
        type=f"proposal.{change}",
        aggregate=after.id,
        sequence=after.version,
        actor=scope.actor,
        data=data,
    )
    return Announcement(event)
