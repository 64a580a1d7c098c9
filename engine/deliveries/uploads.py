"""What a phone tells after a dead zone: moves of deliveries that happened while nobody could hear of them.

They are applied in the order in which they happened, each by itself: one that is refused, because the office was
faster, holds up no other. A move's event takes its id from the phone's own, so a repeat is harmless for ever.
"""

import datetime
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pymongo.errors import BulkWriteError, DuplicateKeyError

from engine.deliveries.announcements import event_id_of
from engine.deliveries.commands import DeliveryCommands
from engine.deliveries.lifecycle import Move
from models.documents.delivery import Delivery, Status
from models.documents.document import now
from models.errors import Conflict, InvalidInput, NotFound, OutriderError, Reassigned, VersionConflict
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository
from models.store.events import EventRepository
from models.store.outbox import is_repeat
from models.store.scope import Scope

__all__ = ["LateMove", "MoveOutcome", "Uploads"]


@dataclass(frozen=True, slots=True)
class LateMove:
    """A move that a phone kept until somebody could hear of it."""

    id: str
    """The phone's own name for it; the same when it is sent again."""
    delivery: str
    move: Move
    """Its time is the phone's."""
    version: int | None = None
    """The version of the delivery that the phone had seen, not counting its own moves since."""

    def event_id(self, tenant: str, driver: str) -> str:
        """Return the id of the event that it makes."""
        return event_id_of(f"{tenant}/{driver}/{self.id}", f"delivery.{self.move.status}")


@dataclass(frozen=True, slots=True)
class MoveOutcome:
    """What became of a late move."""

    outcome: Literal["done", "already-done", "refused"]
    at: datetime.datetime | None = None
    """The time that was kept for it."""
    delivery: Delivery | None = None
    """The delivery now, where the driver may see it."""
    fault: OutriderError | None = None
    """Why it was refused."""


class Uploads:
    """Applies late moves of one driver.

    Parameters
    ----------
    scope
        Tenant and caller.
    driver
        Whose deliveries may be moved.
    """

    def __init__(self, database: Database, partitions: int, scope: Scope, driver: str) -> None:
        self._commands = DeliveryCommands(database, partitions)
        self._deliveries = DeliveryRepository(database)
        self._events = EventRepository(database)
        self._scope, self._driver = scope, driver
        self._own: defaultdict[str, set[int]] = defaultdict(set)

    async def apply(self, moves: Sequence[LateMove]) -> list[MoveOutcome]:
        """Apply moves in the order in which they happened, and return what became of each, in the order given."""
        ids = [one.event_id(self._scope.tenant, self._driver) for one in moves]
        known = await self._events.of_ids(self._scope, ids)
        for event in known.values():
            self._own[event.aggregate].add(event.sequence)
        outcomes: dict[int, MoveOutcome] = {}
        for place in sorted(range(len(moves)), key=lambda place: (moves[place].move.at, place)):
            if ids[place] in known:
                outcomes[place] = MoveOutcome("already-done", at=known[ids[place]].time)
            else:
                outcomes[place] = await self._apply(moves[place])
        return [outcomes[place] for place in range(len(moves))]

    async def _apply(self, late: LateMove) -> MoveOutcome:
        event = late.event_id(self._scope.tenant, self._driver)
        try:
            delivery = await self._commands.move(
                self._scope,
                late.delivery,
                late.move,
                None,
                adapt=lambda before, move: self._adapted(late, before, move),
                event=event,
            )
        except (InvalidInput, Conflict, NotFound) as fault:
            # the same may have come by another request meanwhile
            if event in await self._events.of_ids(self._scope, [event]):
                return MoveOutcome("already-done")
            return MoveOutcome("refused", delivery=await self._seen(late.delivery), fault=fault)
        except (BulkWriteError, DuplicateKeyError) as fault:
            if not is_repeat(fault):
                raise
            return MoveOutcome("already-done")
        self._own[late.delivery].add(delivery.version)
        return MoveOutcome("done", at=delivery.history[-1].at, delivery=delivery)

    def _adapted(self, late: LateMove, before: Delivery, move: Move) -> Move:
        """Return the move as it may be made upon the delivery as it is now, its time within bounds."""
        if before.driver != self._driver:
            had_it = any(change.driver == self._driver for change in before.history)
            raise Reassigned(before.id) if had_it else NotFound("delivery", before.id)
        if late.version is not None and not self._own[before.id].issuperset(
            range(late.version + 1, before.version + 1)
        ):
            raise VersionConflict(before.id, late.version, before.version)
        return replace(move, at=min(max(move.at, _given_at(before)), now()))

    def _has_seen(self, version: int, delivery: Delivery) -> bool:
        """Tell whether nothing but this phone's own moves lies between a version and the present one."""
        since = range(version + 1, delivery.version + 1)
        return version <= delivery.version and self._own[delivery.id].issuperset(since)

    async def _seen(self, identifier: str) -> Delivery | None:
        try:
            delivery = await self._deliveries.get(self._scope, identifier)
        except NotFound:
            return None
        return delivery if delivery.driver == self._driver else None


def _given_at(delivery: Delivery) -> datetime.datetime:
    """Return when its driver got a delivery."""
    given = [change.at for change in delivery.history if change.status is Status.ASSIGNED]
    return given[-1] if given else delivery.created_at
