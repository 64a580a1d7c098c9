"""Rounds of offers: load, decide (`engine.dispatch.rules`), store with events and timers in one transaction.

A timer is a durable task, so a round goes on where it was after every restart.
"""

import functools
import hashlib
from collections.abc import Awaitable, Callable

from engine.deliveries.commands import DeliveryCommands
from engine.dispatch.candidates import LiveDrivers, candidates_for
from engine.dispatch.rules import OfferEvent, Step, accept, ask, cancel, decline, expire, needs_candidates
from models.documents.delivery import Delivery, Status
from models.documents.document import now
from models.documents.event import Event
from models.documents.offer import OfferRound, OfferTerms
from models.documents.task import Task
from models.errors import Conflict, InvalidInput, NotFound, VersionConflict
from models.ids import new_id
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository
from models.store.drivers import DriverRepository
from models.store.offers import OfferRepository, RoundChange
from models.store.outbox import Announcement
from models.store.scope import Scope

__all__ = ["TIMEOUT", "OfferCommands", "change_of"]

TIMEOUT = "offer-timeout"
"""Kind of the tasks that end an offer when its time is over."""

_ATTEMPTS = 6  # lost races in a row before the caller hears of them; each means that somebody else got through


class OfferCommands:
    """What can be done about offers.

    Parameters
    ----------
    live
        Knows where drivers are.
    """

    def __init__(self, database: Database, partitions: int, live: LiveDrivers) -> None:
        self._database, self._live = database, live
        self._offers, self._deliveries = OfferRepository(database), DeliveryRepository(database)
        self._drivers = DriverRepository(database, partitions)
        self._commands = DeliveryCommands(database, partitions)

    async def start(self, scope: Scope, delivery: str, terms: OfferTerms, cause: str | None = None) -> OfferRound:
        """Begin to ask drivers about a pending delivery.

        Parameters
        ----------
        cause
            What makes it begin by itself, if something does; there is one round for a cause, however often it comes,
            and whoever had the delivery last is left out.

        Raises
        ------
        NotFound
            If the tenant has no such delivery.
        InvalidInput
            If a driver that is named does not exist.
        Conflict
            If somebody has the delivery, drivers are being asked already, or its place is not known as a point.
        StoreUnavailable
            If drivers can't be seen at the moment.
        """
        found = await self._deliveries.get(scope, delivery)
        if found.status is not Status.PENDING:
            raise Conflict(f"delivery {delivery} is {found.status}, so there is nobody to be asked")
        await self._check_named(scope, terms)
        if await self._offers.asking(scope, delivery) is not None:
            raise Conflict("drivers are being asked about this delivery already")
        identifier = new_id("rnd") if cause is None else f"rnd_{_digest(cause)}"
        begun = OfferRound(
            id=identifier,
            tenant=scope.tenant,
            version=0,
            delivery=delivery,
            terms=terms,
            without=() if cause is None else _last_driver(found),
            by=scope.actor,
        )
        step = await self._continued(scope, Step(begun, ()))
        await self._offers.store(change_of(scope, None, step))
        return step.round

    async def accept(self, scope: Scope, driver: str, offer: str) -> Delivery:
        """Give a delivery to the driver who takes its offer; the same driver may say so twice.

        Raises
        ------
        NotFound
            If the driver has no such offer.
        Conflict
            If somebody was faster, the time is over, or the delivery is no longer to be had.
        """
        for attempt in range(_ATTEMPTS):
            before = await self._offers.by_offer(scope, offer, driver)
            delivery = await self._deliveries.get(scope, before.delivery)
            if delivery.driver == driver and any(one.id == offer and one.state == "accepted" for one in before.offers):
                return delivery
            change = functools.partial(
                self._offers.write, change=change_of(scope, before, accept(before, offer, now()))
            )
            if delivery.status is not Status.PENDING:
                raise Conflict(f"delivery {delivery.id} is {delivery.status}, so it is no longer to be had")
            try:
                return await self._commands.take_on(scope, delivery, driver, also=change)
            except VersionConflict:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def decline(self, scope: Scope, driver: str, offer: str) -> OfferRound:
        """Let a driver say no; the best one who is left is asked next.

        Raises
        ------
        NotFound
            If the driver has no such offer.
        Conflict
            If it is no longer open.
        """
        return await self._change(
            scope, lambda: self._offers.by_offer(scope, offer, driver), lambda before: decline(before, offer, now())
        )

    async def expire(self, scope: Scope, offer: str) -> OfferRound:
        """End an offer whose time is over, and ask the next; nothing happens to one that was answered."""
        return await self._change(
            scope, lambda: self._offers.by_offer(scope, offer), lambda before: expire(before, offer, now())
        )

    async def cancel(self, scope: Scope, delivery: str) -> OfferRound:
        """Stop asking about a delivery.

        Raises
        ------
        NotFound
            If nobody is being asked.
        """

        async def load() -> OfferRound:
            if (asking := await self._offers.asking(scope, delivery)) is None:
                raise NotFound("open offer about delivery", delivery)
            return asking

        return await self._change(scope, load, lambda before: cancel(before, now()))

    async def _change(
        self, scope: Scope, load: Callable[[], Awaitable[OfferRound]], decide: Callable[[OfferRound], Step]
    ) -> OfferRound:
        for attempt in range(_ATTEMPTS):
            before = await load()
            step = await self._continued(scope, decide(before))
            if step.round.version == before.version:
                return before
            try:
                await self._offers.store(change_of(scope, before, step))
            except VersionConflict:
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            return step.round
        raise AssertionError("the last attempt returns or raises")

    async def _continued(self, scope: Scope, step: Step) -> Step:
        """Return a step with what follows from it: the next ones asked, where they are now."""
        if not needs_candidates(step.round):
            return step
        try:
            delivery = await self._deliveries.get(scope, step.round.delivery)
        except NotFound:
            return _joined(step, cancel(step.round, now()))
        if delivery.status is not Status.PENDING:
            return _joined(step, cancel(step.round, now()))
        candidates = await candidates_for(self._database, self._live, scope, delivery)
        ids = [new_id("ofr") for _ in range(step.round.terms.max_drivers)]
        return _joined(step, ask(step.round, candidates, ids, now()))

    async def _check_named(self, scope: Scope, terms: OfferTerms) -> None:
        known = await self._drivers.get_many(scope, terms.drivers)
        absent = [
            (f"drivers.{place}", f"there is no driver {driver}")
            for place, driver in enumerate(terms.drivers)
            if driver not in known
        ]
        if absent:
            raise InvalidInput(absent[0][1], absent)


def change_of(scope: Scope, before: OfferRound | None, step: Step) -> RoundChange:
    """Return what is stored of a step: the round, its events, and the timers of offers."""
    first = step.round.told - len(step.told) + 1
    announcements = [
        # the audit log needs one entry a change, whatever it tells
        Announcement(_event(scope, step.round, one, first + place), before=before, after=step.round)
        if place == 0
        else Announcement(_event(scope, step.round, one, first + place))
        for place, one in enumerate(step.told)
    ]
    started, stopped = [], []
    for one in step.told:
        if one.offer is None:
            continue
        if one.kind == "offer.made":
            timer = Task(
                id=_timer(one.offer.id),
                tenant=scope.tenant,
                kind=TIMEOUT,
                payload={"offer": one.offer.id},
                due=one.offer.until,
            )
            started.append(timer)
        else:
            stopped.append(_timer(one.offer.id))
    return RoundChange(step.round, None if before is None else before.version, announcements, started, stopped)


def _last_driver(delivery: Delivery) -> tuple[str, ...]:
    """Return who had a delivery last that nobody has now."""
    had = [change.driver for change in delivery.history if change.driver is not None]
    return tuple(had[-1:])


def _joined(first: Step, second: Step) -> Step:
    return Step(second.round, (*first.told, *second.told))


def _timer(offer: str) -> str:
    return f"tsk_{_digest(f'{TIMEOUT}/{offer}')}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=13).hexdigest()


def _event(scope: Scope, asked: OfferRound, told: OfferEvent, sequence: int) -> Event:
    data: dict[str, str | int | float | None] = {"roundId": asked.id, "deliveryId": asked.delivery}
    if (offer := told.offer) is None:
        data["asked"] = len(asked.offers)
    else:
        data |= {"offerId": offer.id, "driverId": offer.driver, "awayM": offer.away_m}
        data["until"] = int(offer.until.timestamp() * 1000)
        data["minutes"] = round(asked.terms.time_limit_s / 60, 1)
    return Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=now(),
        type=told.kind,
        aggregate=asked.id,
        sequence=sequence,
        actor=scope.actor,
        data=data,
    )
