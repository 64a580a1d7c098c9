"""Follows the feed of events and keeps the figures of all tenants current.

A driver's trips change with the end of each, and when late fixes let them be derived again (`engine.sinks.repair`). A
tenant that moves to another time zone has other days, so all its figures are rebuilt, by a task.
"""

import datetime
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.analytics.keeper import FigureKeeper, Travelled
from engine.analytics.rebuild import FigureRebuild
from engine.tasks.worker import TaskKind
from models.documents.document import now
from models.documents.event import Event
from models.documents.task import Task
from models.errors import Conflict, Postponed
from models.store.analytics import BookRepository
from models.store.connections import Database
from models.store.scope import Scope
from models.store.tasks import TaskRepository
from models.store.transactions import Session

__all__ = ["FOLLOWER", "REBUILD_KIND", "FigureFollower", "rebuild_kind"]

FOLLOWER = "analytics"
"""The name under which its place in the feed is kept."""

REBUILD_KIND = "analytics-rebuild"
"""Kind of the tasks that rebuild a tenant's figures."""

_ACTOR = "engine"
_REBUILD_WITHIN_S = 3600.0
_AGAIN_AFTER_S = 30.0
_TRIP_ENDED = "driver.trip_ended"
_TRIP_EVENTS = frozenset({_TRIP_ENDED, "driver.trips_repaired"})
_SETTINGS = "tenant.changed"
_MOTION_OF_DELIVERIES = frozenset(
    {"delivery.stop_arrived", "delivery.stop_left", "delivery.imminent", "delivery.late_risk"}
)
"""They change no delivery; the change of status that may follow is an event of its own."""


@dataclass(slots=True)
class _News:
    """What a batch of events says about one tenant."""

    deliveries: set[str] = field(default_factory=set)
    travels: set[Travelled] = field(default_factory=set)
    settings: Event | None = None
    """The last change of the tenant's settings."""


class FigureFollower:
    """Takes events as `engine.feed` hands them out."""

    name = FOLLOWER
    begins: Literal["oldest", "newest"] = "oldest"
    patience_s = 2.0  # sums of days: many changes together cost little more than one

    def __init__(self, database: Database) -> None:
        self._keeper = FigureKeeper(database)
        self._books = BookRepository(database)
        self._tasks = TaskRepository(database)

    async def sift(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return the events of deliveries, trips and tenants' settings."""
        return [event for event in events if _counts(event)]

    async def take(self, events: Sequence[Event], session: Session) -> None:
        """Bring the figures up to these events, in the transaction of `session`."""
        for tenant, news in _sorted_out(events).items():
            scope = Scope(tenant, _ACTOR)
            if news.deliveries or news.travels:
                await self._keeper.refresh(scope, news.deliveries, news.travels, session)
            if news.settings is not None:
                await self._follow_zone(scope, news.settings, session)

    async def _follow_zone(self, scope: Scope, change: Event, session: Session) -> None:
        shelf = await self._books.shelf(scope, session)
        if shelf.current.zone == await self._books.zone(scope, session):
            return
        digest = hashlib.blake2b(f"{REBUILD_KIND}/{change.id}".encode(), digest_size=13).hexdigest()
        task = Task(id=f"tsk_{digest}", tenant=scope.tenant, kind=REBUILD_KIND)
        await self._tasks.put([task], session)


def rebuild_kind(database: Database) -> TaskKind:
    """Return how the tasks are done that rebuild figures: one at a time, because each reads all of a tenant."""

    async def rebuild(task: Task) -> None:
        try:
            await FigureRebuild(database, Scope(task.tenant, _ACTOR)).run()
        except Conflict as fault:  # one that began before may have read another time zone
            raise Postponed(now() + datetime.timedelta(seconds=_AGAIN_AFTER_S)) from fault

    return TaskKind(rebuild, delays_s=(10.0, 60.0, 600.0), at_once=1, timeout_s=_REBUILD_WITHIN_S)


def _counts(event: Event) -> bool:
    if event.type.startswith("delivery."):
        return event.type not in _MOTION_OF_DELIVERIES
    return event.type in _TRIP_EVENTS or event.type == _SETTINGS


def _sorted_out(events: Sequence[Event]) -> dict[str, _News]:
    found: defaultdict[str, _News] = defaultdict(_News)
    for event in events:
        if event.type in _TRIP_EVENTS:
            found[event.tenant].travels.add(_travelled(event))
        elif event.type == _SETTINGS:
            found[event.tenant].settings = event
        else:
            found[event.tenant].deliveries.add(event.aggregate)
    return found


def _travelled(event: Event) -> Travelled:
    """Return which trips an event is about: the one that began then, or all that began since."""
    end_ms = int(event.time.timestamp() * 1000)
    since_ms = int(event.data.get("since", end_ms))
    return Travelled(event.aggregate, since_ms, since_ms if event.type == _TRIP_ENDED else end_ms)
