"""What deliveries' events mean for offers: a round ends when somebody has the delivery, and one begins by itself."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from engine.dispatch.commands import change_of
from engine.dispatch.rules import cancel
from engine.feed.kept import KeptByTenant
from models.documents.document import now
from models.documents.event import Event
from models.documents.task import Task
from models.errors import NotFound
from models.store.accounts import AccountRepository
from models.store.connections import Database
from models.store.offers import OfferRepository
from models.store.scope import Scope
from models.store.tasks import TaskRepository
from models.store.transactions import Session

__all__ = ["BEGIN", "DispatchFollower"]

BEGIN = "offer-round"
"""Kind of the tasks that begin a round for a tenant whose deliveries are dispatched by offers."""

_ACTOR = "engine"
_PENDING = "pending"
_GIVEN_BACK = frozenset({"delivery.declined", "delivery.unassigned"})
_PLACES = frozenset({"pickup", "dropoff"})


class DispatchFollower:
    """Ends rounds of offers that came to nothing else, and asks for those that begin by themselves."""

    name = "dispatch"
    begins: Literal["oldest", "newest"] = "newest"
    patience_s = 0.3  # nobody looks at a clock to see when drivers are asked

    def __init__(self, database: Database) -> None:
        self._offers, self._tasks = OfferRepository(database), TaskRepository(database)
        self._accounts = AccountRepository(database)
        self._by_offers = KeptByTenant(self._dispatches_by_offers, "tenant.")

    async def sift(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return what ends a round that is open, and what begins one where the tenant wants that."""
        self._by_offers.heed(events)
        asked = await self._asked_about(events)
        return [
            event
            for event in events
            if (_is_taken(event) and event.aggregate in asked)
            or (_may_begin(event) and await self._by_offers.of(event.tenant))
        ]

    async def take(self, events: Sequence[Event], session: Session) -> None:
        """End and begin rounds, in the transaction of `session`."""
        for event in events:
            if _is_taken(event):
                await self._end(event, session)
            else:
                await self._tasks.put([_beginning(event)], session)

    async def _asked_about(self, events: Sequence[Event]) -> set[str]:
        """Return the deliveries that somebody has got and about which drivers are being asked."""
        taken: defaultdict[str, list[str]] = defaultdict(list)
        for event in filter(_is_taken, events):
            taken[event.tenant].append(event.aggregate)
        found = [await self._offers.asked_about(Scope(tenant, _ACTOR), some) for tenant, some in taken.items()]
        return set().union(*found)

    async def _end(self, event: Event, session: Session) -> None:
        scope = Scope(event.tenant, _ACTOR)
        asking = await self._offers.asking(scope, event.aggregate, session)
        if asking is not None:
            await self._offers.write(session, change_of(scope, asking, cancel(asking, now())))

    async def _dispatches_by_offers(self, tenant: str) -> bool:
        try:
            return (await self._accounts.tenant(Scope(tenant, _ACTOR))).settings.dispatch == "offer"
        except NotFound:
            return False


def _is_taken(event: Event) -> bool:
    """Tell whether a delivery that nobody had is no longer to be had."""
    return event.data.get("previousStatus") == _PENDING and event.data.get("status") != _PENDING


def _may_begin(event: Event) -> bool:
    """Tell whether a delivery is new, its places are known only now, or whoever had it is rid of it."""
    if event.type == "delivery.created":
        return event.data.get("driverId") is None
    is_moved = event.type == "delivery.changed" and not _PLACES.isdisjoint(event.data.get("fields", ()))
    return (is_moved or event.type in _GIVEN_BACK) and event.data.get("status") == _PENDING


def _beginning(event: Event) -> Task:
    digest = hashlib.blake2b(f"{BEGIN}/{event.id}".encode(), digest_size=13).hexdigest()
    return Task(id=f"tsk_{digest}", tenant=event.tenant, kind=BEGIN, payload={"delivery": event.aggregate})
