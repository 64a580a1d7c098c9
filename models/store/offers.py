"""Rounds of offers in MongoDB: each change with its events and timers in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymongo.errors import DuplicateKeyError

from models.documents.offer import OfferRound
from models.documents.task import Task
from models.errors import Conflict, NotFound
from models.store.connections import Database
from models.store.outbox import Announcement, OutboxRepository
from models.store.paging import Page, PageRequest, read_page
from models.store.scope import Scope
from models.store.tasks import TaskRepository
from models.store.transactions import Session, in_transaction
from models.store.versions import replace_at

__all__ = ["OfferRepository", "RoundChange"]


@dataclass(frozen=True, slots=True)
class RoundChange:
    """A round that changed, what is told of it, and the timers that it starts and stops."""

    round: OfferRound
    expected: int | None
    """The version that it was decided on; none for a new round."""
    announcements: Sequence[Announcement]
    started: Sequence[Task] = ()
    stopped: Sequence[str] = ()


class OfferRepository:
    """The rounds of offers of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rounds: Any = database["offer_rounds"]
        self._outbox, self._tasks = OutboxRepository(database), TaskRepository(database)

    async def store(self, change: RoundChange) -> None:
        """Store a change; raises as `write` does."""

        async def write(session: Session) -> None:
            await self.write(session, change)

        await in_transaction(self._database, write)

    async def write(self, session: Session, change: RoundChange) -> None:
        """Store a change in the transaction of another.

        Raises
        ------
        Conflict
            If the round is new, and drivers are being asked about the delivery already, or it has been before.
        VersionConflict
            If somebody was faster.
        """
        if change.expected is None:
            try:
                await self._rounds.insert_one(change.round.stored(), session=session)
            except DuplicateKeyError as fault:
                raise Conflict("drivers are being asked about this delivery already") from fault
        else:
            await replace_at(self._rounds, change.round, change.expected, session)
        await self._outbox.put(session, change.announcements)
        await self._tasks.put(change.started, session)
        if change.stopped:
            await self._tasks.cancel(Scope(change.round.tenant, change.round.by), change.stopped, session)

    async def by_offer(self, scope: Scope, offer: str, driver: str | None = None) -> OfferRound:
        """Return the round of an offer.

        Raises
        ------
        NotFound
            If the tenant has no such offer or, where `driver` is given, it is not that driver's.
        """
        found = await self._rounds.find_one({"tenant": scope.tenant, "offers.id": offer})
        made = OfferRound.restored(found) if found is not None else None
        if made is None or not any(one.id == offer and driver in (None, one.driver) for one in made.offers):
            raise NotFound("offer", offer)
        return made

    async def of(self, scope: Scope, delivery: str, page: PageRequest) -> Page[OfferRound]:
        """Return one page of the rounds about a delivery, newest first."""
        query = {"tenant": scope.tenant, "delivery": delivery}
        return await read_page(self._rounds, OfferRound, query, page, newest_first=True)

    async def asking(self, scope: Scope, delivery: str, session: Session | None = None) -> OfferRound | None:
        """Return the round in which drivers are being asked about a delivery, if there is one."""
        query = {"tenant": scope.tenant, "delivery": delivery, "state": "asking"}
        found = await self._rounds.find_one(query, session=session)
        return None if found is None else OfferRound.restored(found)

    async def asked_about(self, scope: Scope, deliveries: Sequence[str]) -> set[str]:
        """Return those of some deliveries about which drivers are being asked."""
        query = {"tenant": scope.tenant, "delivery": {"$in": list(deliveries)}, "state": "asking"}
        found = await self._rounds.find(query, {"delivery": 1}).to_list(None)
        return {fields["delivery"] for fields in found}

    async def asked_among(self, scope: Scope, drivers: Sequence[str]) -> set[str]:
        """Return those of some drivers who are being asked about a delivery now."""
        asked = {"$elemMatch": {"driver": {"$in": list(drivers)}, "state": "open"}}
        query = {"tenant": scope.tenant, "state": "asking", "offers": asked}
        rounds = self._rounds.find(query, {"offers.driver": 1, "offers.state": 1})
        return {one["driver"] async for found in rounds for one in found["offers"] if one["state"] == "open"}

    async def open_to(self, scope: Scope, driver: str, page: PageRequest) -> Page[OfferRound]:
        """Return one page of the rounds in which a driver is being asked, oldest first."""
        asked = {"$elemMatch": {"driver": driver, "state": "open"}}
        query = {"tenant": scope.tenant, "state": "asking", "offers": asked}
        return await read_page(self._rounds, OfferRound, query, page, newest_first=False)
