"""Changes of deliveries: load, decide (`engine.deliveries.lifecycle`), store with the events in one transaction."""

import datetime
import functools
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Literal

from pymongo.errors import BulkWriteError

from engine.deliveries.lifecycle import FINAL, Assign, Command, Decision, Edit, Move, Prove, steps_after, transition
from engine.deliveries.proofs import check_files, check_proven
from models.documents.delivery import CLOSED, Delivery, Position, Proof, Status
from models.documents.document import now
from models.documents.driver import Driver
from models.documents.event import Event
from models.errors import (
    Conflict,
    ForbiddenTransition,
    InvalidInput,
    NotFound,
    OutriderError,
    VersionConflict,
    check_version,
)
from models.ids import new_id
from models.messages.commands import DeliveryAssigned, DeliveryChanged, StopPlan
from models.store.accounts import AccountRepository
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository
from models.store.drivers import DriverRepository
from models.store.outbox import Announcement, Routed, is_repeat
from models.store.proofs import ProofRepository
from models.store.scope import Scope
from models.store.transactions import Session, Write

__all__ = ["ENGINE", "DeliveryCommands", "Order", "Revision", "StopEdge", "decide_revision", "event_id_of"]

ENGINE = "engine"
"""The actor of changes that nobody asked for."""

_EDITED = "delivery.changed"
_STATUS_STAYS = (_EDITED, "delivery.proven")
_ATTEMPTS = 6  # lost races in a row before the caller hears of them; each means that somebody else got through


@dataclass(frozen=True, slots=True)
class Order:
    """A delivery to be created, and the driver who gets it at once."""

    delivery: Delivery
    driver: str | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """New fields for a delivery that exists, and the driver who shall have it, if one is named."""

    delivery: str
    edit: Edit
    driver: str | None = None


@dataclass(frozen=True, slots=True)
class StopEdge:
    """A driver came to a planned stop, or went from it."""

    event: str
    """Id of the shard's event; the same after a replay."""
    tenant: str
    driver: str
    delivery: str
    stop: Literal["pickup", "dropoff"]
    edge: Literal["arrived", "left"]
    time_ms: int
    """Fix time, epoch milliseconds."""
    latitude: float
    longitude: float


class DeliveryCommands:
    """What can be done to deliveries."""

    def __init__(self, database: Database, partitions: int) -> None:
        self._deliveries = DeliveryRepository(database)
        self._drivers = DriverRepository(database, partitions)
        self._accounts = AccountRepository(database)
        self._proofs = ProofRepository(database)

    async def create(self, scope: Scope, orders: Sequence[Order]) -> list[Delivery]:
        """Store new deliveries, all or none, each given at once to its order's driver if there is one.

        Raises
        ------
        InvalidInput
            If a driver does not exist in the tenant; names the places of the orders at fault.
        """
        drivers = await self._drivers.get_many(scope, [order.driver for order in orders if order.driver is not None])
        absent = [
            (f"{place}.driverId", f"there is no driver {order.driver}")
            for place, order in enumerate(orders)
            if order.driver is not None and order.driver not in drivers
        ]
        if absent:
            raise InvalidInput(absent[0][1], absent)
        stored, announcements = _ordered(scope, orders, drivers)
        await self._deliveries.create(stored, announcements)
        return stored

    async def carry_out(
        self,
        scope: Scope,
        orders: Sequence[Order],
        revisions: Sequence[Revision],
        also: Callable[[Session, Mapping[str, OutriderError]], Awaitable[None]],
    ) -> None:
        """Store new deliveries and revised ones, and whatever `also` stores: all or none.

        A revision that can't be made any more is left out. A driver who is gone by now gets nothing.

        Parameters
        ----------
        also
            Called in the transaction with the revisions that were left out and why, by delivery.
        """
        named = [driver for driver in (*(o.driver for o in orders), *(r.driver for r in revisions)) if driver]
        for attempt in range(_ATTEMPTS):
            before = await self._deliveries.get_many(scope, [one.delivery for one in revisions])
            held = [one.driver for one in before.values() if one.driver is not None]
            drivers = await self._drivers.get_many(scope, [*named, *held])
            stored, announcements = _ordered(scope, orders, drivers)
            changed, told, refused = _revised(scope, revisions, before, drivers)
            try:
                await self._deliveries.store_many(
                    stored, changed, [*announcements, *told], functools.partial(_with, also, refused)
                )
            except VersionConflict:
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            return

    async def assign(self, scope: Scope, delivery: str, driver: str, version: int | None) -> Delivery:
        """Give a delivery to a driver.

        Raises
        ------
        NotFound
            If the tenant has no such delivery or driver.
        ForbiddenTransition
            If its status does not allow it.
        VersionConflict
            If `version` is given and no longer current.
        """
        await self._drivers.get(scope, driver)
        return await self._apply(scope, delivery, lambda _: [Assign(driver, now(), scope.actor)], version)

    async def run(self, scope: Scope, delivery: str, commands: Sequence[Command]) -> Delivery:
        """Carry out several commands one after the other, all or none; raises as `assign` does."""
        return await self._apply(scope, delivery, lambda _: commands, None)

    async def edit(self, scope: Scope, delivery: str, edit: Edit, version: int | None) -> Delivery:
        """Replace what a delivery says; raises as `assign` does, and Conflict if it comes too late."""
        return await self._apply(scope, delivery, lambda _: [edit], version)

    async def move(
        self,
        scope: Scope,
        delivery: str,
        move: Move,
        version: int | None,
        *,
        adapt: Callable[[Delivery, Move], Move] | None = None,
        event: str | None = None,
    ) -> Delivery:
        """Bring a delivery to another status; raises as `assign` does.

        Parameters
        ----------
        adapt
            What the move becomes once the delivery is seen; may refuse it.
        event
            Id of the event, where the caller has made one so that a repeat is noticed.

        Raises
        ------
        InvalidInput
            If its proof names files that the delivery does not have, or one is missing that the tenant asks for.
        """
        asked = move.status == "delivered" and (await self._accounts.tenant(scope)).settings.proof_required
        await self._check_files(scope, delivery, move.proof)

        def plan(before: Delivery) -> list[Command]:
            if asked:
                check_proven(before, move.proof)
            return [move if adapt is None else adapt(before, move)]

        return await self._apply(scope, delivery, plan, version, lambda _: event or new_id("evt"))

    async def take_on(self, scope: Scope, seen: Delivery, driver: str, also: Write) -> Delivery:
        """Give a delivery to a driver who has accepted it already, with further writes in the same transaction.

        Raises
        ------
        ForbiddenTransition
            If its status does not allow it.
        VersionConflict
            If it is no longer as it was seen, or as the further writes would have it.
        """
        at = now()
        given: list[Command] = [Assign(driver, at, scope.actor), Move("accepted", at, scope.actor)]
        return await self._apply(scope, seen.id, lambda _: given, seen.version, also=[also])

    async def prove(self, scope: Scope, delivery: str, proof: Proof, version: int | None) -> Delivery:
        """Give a delivery a proof, or a better one; raises as `move` does, and Conflict if nobody has the parcel."""
        await self._check_files(scope, delivery, proof)
        return await self._apply(scope, delivery, lambda _: [Prove(proof, now())], version)

    async def follow(self, edge: StopEdge) -> bool:
        """Move a delivery's status after an arrival at or a departure from one of its stops, if its tenant wants that.

        Returns whether anything changed. A repeat changes nothing, because the new events' ids are made from the
        edge's. What is forbidden by now, because the driver was faster on the phone, is left alone.
        """
        scope = Scope(edge.tenant, ENGINE)
        try:
            if not (await self._accounts.tenant(scope)).settings.auto_status:
                return False
            before = await self._deliveries.get(scope, edge.delivery)
            after = await self._apply(
                scope,
                edge.delivery,
                lambda delivery: _moves(delivery, edge),
                None,
                lambda decision: event_id_of(edge.event, decision.kind),
            )
        except (NotFound, ForbiddenTransition):
            return False
        except BulkWriteError as fault:
            if not is_repeat(fault):
                raise
            return False
        return after.version > before.version

    async def _check_files(self, scope: Scope, delivery: str, proof: Proof | None) -> None:
        if proof is not None and proof.files:
            check_files(proof, await self._proofs.of(scope, delivery))

    async def _apply(
        self,
        scope: Scope,
        identifier: str,
        plan: Callable[[Delivery], Sequence[Command]],
        version: int | None,
        name: Callable[[Decision], str] = lambda _: new_id("evt"),
        also: Sequence[Write] = (),
    ) -> Delivery:
        """Load, decide, store; again after a lost race, unless the caller said which version was meant."""
        for attempt in range(_ATTEMPTS):
            before = await self._deliveries.get(scope, identifier)
            check_version(before.id, version, before.version)
            decisions = _decide(before, plan(before))
            try:
                await self._store(scope, before, decisions, name, also)
            except VersionConflict:
                if version is not None or attempt == _ATTEMPTS - 1:
                    raise
                continue
            return decisions[-1].delivery if decisions else before
        raise AssertionError("the last attempt returns or raises")

    async def _store(
        self,
        scope: Scope,
        before: Delivery,
        decisions: Sequence[Decision],
        name: Callable[[Decision], str],
        also: Sequence[Write],
    ) -> None:
        if not decisions:
            return
        concerned = {driver for one in decisions for driver in (one.delivery.driver, one.left_driver) if driver}
        drivers = await self._drivers.get_many(scope, sorted(concerned))
        steps = zip([before, *(one.delivery for one in decisions)], decisions, strict=False)
        announcements = [_announcement(was, one, scope, drivers, name(one)) for was, one in steps]
        after = decisions[-1].delivery
        if after.proof != before.proof and after.proof is not None:
            also = [*also, self._attach(scope, after)]
        await self._deliveries.replace(after, expected=before.version, announcements=announcements, also=also)

    def _attach(self, scope: Scope, delivery: Delivery) -> Write:
        files = delivery.proof.files if delivery.proof is not None else ()
        return lambda session: self._proofs.attach(session, scope, delivery.id, files)


async def _with(
    also: Callable[[Session, Mapping[str, OutriderError]], Awaitable[None]],
    refused: Mapping[str, OutriderError],
    session: Session,
) -> None:
    await also(session, refused)


def _ordered(
    scope: Scope, orders: Sequence[Order], drivers: Mapping[str, Driver]
) -> tuple[list[Delivery], list[Announcement]]:
    stored: list[Delivery] = []
    announcements: list[Announcement] = []
    for order in orders:
        delivery = order.delivery
        announcements.append(_created(scope, delivery))
        if order.driver is not None and order.driver in drivers:
            decision = transition(delivery, Assign(order.driver, now(), scope.actor))
            announcements.append(_announcement(delivery, decision, scope, drivers, new_id("evt")))
            delivery = decision.delivery
        stored.append(delivery)
    return stored, announcements


def _revised(
    scope: Scope, revisions: Sequence[Revision], before: Mapping[str, Delivery], drivers: Mapping[str, Driver]
) -> tuple[list[tuple[Delivery, int]], list[Announcement], dict[str, OutriderError]]:
    changed: list[tuple[Delivery, int]] = []
    told: list[Announcement] = []
    refused: dict[str, OutriderError] = {}
    for one in revisions:
        if (was := before.get(one.delivery)) is None:
            refused[one.delivery] = NotFound("delivery", one.delivery)
            continue
        try:
            driver = one.driver if one.driver in drivers else None
            decisions = decide_revision(was, Revision(one.delivery, one.edit, driver), scope.actor)
        except (Conflict, ForbiddenTransition) as fault:
            refused[one.delivery] = fault
            continue
        steps = zip([was, *(step.delivery for step in decisions)], decisions, strict=False)
        told += [_announcement(earlier, step, scope, drivers, new_id("evt")) for earlier, step in steps]
        changed.append((decisions[-1].delivery, was.version))
    return changed, told, refused


def decide_revision(delivery: Delivery, revision: Revision, actor: str) -> list[Decision]:
    """Return what a revision makes of a delivery, step by step.

    Raises
    ------
    Conflict
        If the edit comes too late.
    ForbiddenTransition
        If it can't be given to another driver any more.
    """
    commands: list[Command] = [revision.edit]
    if revision.driver is not None and revision.driver != delivery.driver:
        commands.append(Assign(revision.driver, revision.edit.at, actor))
    return _decide(delivery, commands)


def _decide(delivery: Delivery, commands: Sequence[Command]) -> list[Decision]:
    decisions: list[Decision] = []
    for command in commands:
        decisions.append(transition(decisions[-1].delivery if decisions else delivery, command))
    return decisions


def _moves(delivery: Delivery, edge: StopEdge) -> list[Command]:
    if delivery.driver != edge.driver:
        return []  # given to another driver while the news was under way
    at = datetime.datetime.fromtimestamp(edge.time_ms / 1000, tz=UTC)
    place = Position(latitude=edge.latitude, longitude=edge.longitude)
    return [Move(status, at, ENGINE, location=place) for status in steps_after(delivery, edge.stop, edge.edge)]


def event_id_of(cause: str, kind: str) -> str:
    """Return the id of the event of a kind that something caused: the same whenever it is caused again."""
    return f"evt_{hashlib.blake2b(f'{cause}/{kind}'.encode(), digest_size=13).hexdigest()}"


def _created(scope: Scope, delivery: Delivery) -> Announcement:
    data = {
        "deliveryId": delivery.id,
        "status": delivery.status.value,
        "driverId": None,
        "version": delivery.version,
        "located": delivery.is_located,
    }
    event = Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=delivery.created_at,
        type="delivery.created",
        aggregate=delivery.id,
        sequence=delivery.version,
        actor=scope.actor,
        data=data,
    )
    return Announcement(event, after=delivery)


def _announcement(
    before: Delivery, decision: Decision, scope: Scope, drivers: Mapping[str, Driver], event_id: str
) -> Announcement:
    delivery = decision.delivery
    event = Event(
        id=event_id,
        tenant=scope.tenant,
        time=delivery.updated_at if decision.kind in _STATUS_STAYS else delivery.history[-1].at,
        type=decision.kind,
        aggregate=delivery.id,
        sequence=delivery.version,
        actor=scope.actor,
        data=decision.data,
    )
    messages: list[Routed] = []
    if (left := drivers.get(decision.left_driver or "")) is not None:
        messages.append(Routed(left.partition, _changed(event, delivery, left, assigned=False)))
    if (driver := drivers.get(delivery.driver or "")) is not None:
        has_moved = decision.kind == _EDITED and delivery.status not in CLOSED  # its stops may lie elsewhere now
        is_new = delivery.status is Status.ASSIGNED or has_moved
        message = _assigned(event, delivery, driver) if is_new else _changed(event, delivery, driver, assigned=True)
        messages.append(Routed(driver.partition, message))
    return Announcement(event, tuple(messages), before, delivery)


def _assigned(event: Event, delivery: Delivery, driver: Driver) -> DeliveryAssigned:
    return DeliveryAssigned(
        event=event.id,
        tenant=event.tenant,
        driver=driver.number,
        delivery=delivery.id,
        version=delivery.version,
        status=delivery.status.value,
        stops=tuple(StopPlan(stop.kind, stop.latitude, stop.longitude, stop.radius_m) for stop in delivery.stops),
    )


def _changed(event: Event, delivery: Delivery, driver: Driver, *, assigned: bool) -> DeliveryChanged:
    return DeliveryChanged(
        event=event.id,
        tenant=event.tenant,
        driver=driver.number,
        delivery=delivery.id,
        version=delivery.version,
        status=delivery.status.value,
        assigned=assigned and delivery.status not in FINAL,
    )
