"""Changes of deliveries: load, decide (`engine.deliveries.lifecycle`), store with the events in one transaction."""

import datetime
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Literal

from pymongo.errors import BulkWriteError, DuplicateKeyError

from engine.deliveries.announcements import announced, event_id_of
from engine.deliveries.lifecycle import Assign, Command, Decision, Edit, Move, Prove, steps_after
from engine.deliveries.orders import Order, Revision, decide, ordered, revised
from engine.deliveries.proofs import check_files, check_proven
from models.documents.delivery import Delivery, Position, Proof
from models.documents.document import now
from models.documents.event import ENGINE
from models.errors import (
    ForbiddenTransition,
    InvalidInput,
    NotFound,
    OutriderError,
    VersionConflict,
    check_version,
)
from models.ids import new_id
from models.store.accounts import AccountRepository
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository
from models.store.drivers import DriverRepository
from models.store.outbox import is_repeat
from models.store.proofs import ProofRepository
from models.store.scope import Scope
from models.store.transactions import Session, Write

__all__ = ["DeliveryCommands", "StopEdge"]

"""The actor of changes that nobody asked for."""

_ATTEMPTS = 6  # lost races in a row before the caller hears of them; each means that somebody else got through


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
        stored, announcements = ordered(scope, orders, drivers)
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
            stored, announcements = ordered(scope, orders, drivers)
            changed, told, refused = revised(scope, revisions, before, drivers)
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
        except (BulkWriteError, DuplicateKeyError) as fault:
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
            decisions = decide(before, plan(before))
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
        drivers = await self._drivers.posts_of(scope, concerned)
        steps = zip([before, *(one.delivery for one in decisions)], decisions, strict=False)
        announcements = [announced(was, one, scope, drivers, name(one)) for was, one in steps]
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


def _moves(delivery: Delivery, edge: StopEdge) -> list[Command]:
    if delivery.driver != edge.driver:
        return []  # given to another driver while the news was under way
    at = datetime.datetime.fromtimestamp(edge.time_ms / 1000, tz=UTC)
    place = Position(latitude=edge.latitude, longitude=edge.longitude)
    return [Move(status, at, ENGINE, location=place) for status in steps_after(delivery, edge.stop, edge.edge)]
