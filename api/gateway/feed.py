"""What one API process knows of one tenant's live state, shared by all of the tenant's subscribers here."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.gateway.conflate import FleetState
from api.gateway.frames import encode_drivers, encode_gone
from api.gateway.viewport import Delta, Selection, look
from models.documents.delivery import CLOSED
from models.messages.records import take_records

__all__ = ["DeliveryState", "JobState", "TenantFeed", "View"]

_EVENTS_KEPT = 1000  # a subscriber further behind misses alerts; the pull feed of events has them all
_VIEWS_KEPT = 64  # encoded changes that wait for further subscriptions with the same view


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """A delivery that somebody follows."""

    shape: Mapping[str, Any]
    """As in frames: `id`, `status`, `version`, `driverId`, …"""
    driver: int | None
    """Number of its driver."""
    version: int
    """Version of the feed at which this was read."""


@dataclass(frozen=True, slots=True)
class JobState:
    """A job that somebody watches."""

    shape: Mapping[str, Any]
    """As `GET /jobs/{id}` shows it."""
    version: int
    """Version of the feed at which this was read."""


@dataclass(slots=True)
class View:
    """A change in view, encoded once for all who look alike."""

    delta: Delta
    drivers: bytes = b""
    """The drivers to send: JSON or records, as `encode` was told."""
    gone: bytes = b""
    """Ids of those that left the view, as JSON."""
    _is_encoded: bool = False

    def encode(self, state: FleetState, *, packed: bool) -> None:
        """Encode the change, unless it is already."""
        if self._is_encoded:
            return
        self.drivers = (
            take_records(state.records, self.delta.rows).tobytes() if packed else encode_drivers(state, self.delta.rows)
        )
        self.gone = encode_gone(state, self.delta.gone)
        self._is_encoded = True


@dataclass(slots=True)
class _Source:
    boot: str
    n: int


@dataclass(slots=True, eq=False)
class TenantFeed:
    """Newest states, recent events and followed deliveries of one tenant; wakes whoever waits for a change."""

    tenant: str
    state: FleetState = field(default_factory=FleetState)
    deliveries: dict[str, DeliveryState] = field(default_factory=dict)
    jobs: dict[str, JobState] = field(default_factory=dict)
    subscribers: int = 0
    idle: set[asyncio.Event] = field(default_factory=set)
    """Set, and forgotten, at the next change."""
    to_name: asyncio.Event = field(default_factory=asyncio.Event)
    """There are drivers without a name."""
    to_refresh: asyncio.Event = field(default_factory=asyncio.Event)
    """Something published was missed: the snapshot is wanted again."""
    to_follow: asyncio.Event = field(default_factory=asyncio.Event)
    """There are followed deliveries or jobs that changed."""
    renamed: set[int] = field(default_factory=set)
    changed_deliveries: set[str] = field(default_factory=set)
    changed_jobs: set[str] = field(default_factory=set)
    events_end: int = 0
    """How many events there have been; the last of them are kept."""
    _events: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=_EVENTS_KEPT))
    _sources: dict[int, _Source] = field(default_factory=dict)
    _views: dict[tuple[Selection, int, int, bool], View] = field(default_factory=dict)

    def take_published(self, shard: int, boot: str, n: int, records: NDArray[np.void]) -> None:
        """Take a publication of a shard; one out of turn asks for the snapshot."""
        source = self._sources.get(shard)
        if source is None or source.boot != boot or n > source.n + 1:
            self.to_refresh.set()
        if source is None or source.boot != boot or n > source.n:
            self._sources[shard] = _Source(boot, n)
        self._apply(shard, records)

    def take_snapshot(self, shard: int, boot: str, n: int, records: NDArray[np.void]) -> None:
        """Take a shard's snapshot; what it published meanwhile stays."""
        source = self._sources.get(shard)
        if source is None or source.boot != boot:
            self._sources[shard] = _Source(boot, n)
            self._apply(shard, records)
        elif n >= source.n:
            source.n = n
            self._apply(shard, records)

    def take_event(self, event: Mapping[str, Any]) -> None:
        """Take an event of the tenant."""
        self._events.append(event)
        self.events_end += 1
        self.wake()

    def take_delivery(self, shape: Mapping[str, Any], driver: int | None) -> None:
        """Take the present state of a delivery."""
        self.state.version += 1
        known = self.deliveries.get(shape["id"])
        is_same = known is not None and known.driver == driver and shape["status"] not in CLOSED
        kept = {**shape, "eta": known.shape["eta"]} if known is not None and is_same else shape
        self.deliveries[shape["id"]] = DeliveryState(kept, driver, self.state.version)
        self.wake()

    def take_job(self, shape: Mapping[str, Any]) -> None:
        """Take the present state of a job."""
        self.state.version += 1
        self.jobs[shape["id"]] = JobState(shape, self.state.version)
        self.wake()

    def take_estimate(self, delivery: str, estimate: Mapping[str, Any] | None) -> None:
        """Take when a delivery will be there, if somebody follows it."""
        known = self.deliveries.get(delivery)
        if known is not None and estimate is not None:
            self.state.version += 1
            shape = {**known.shape, "eta": estimate}
            self.deliveries[delivery] = DeliveryState(shape, known.driver, self.state.version)
            self.wake()

    def events_since(self, cursor: int) -> tuple[list[Mapping[str, Any]], int]:
        """Return the events after the first `cursor` ones, and how many of those are no longer kept."""
        kept = list(self._events)
        first = self.events_end - len(kept)
        return kept[max(0, cursor - first) :], max(0, first - cursor)

    def view(self, selection: Selection, seen: int, visible: NDArray[np.bool_], *, packed: bool) -> View:
        """Return what changed in a selection since version `seen`: worked out once for all who look alike.

        What was in view at a version follows from the selection alone, so equal keys have equal `visible`.
        """
        key = (selection, seen, self.state.version, packed)
        view = self._views.get(key)
        if view is None:
            while len(self._views) >= _VIEWS_KEPT:
                del self._views[next(iter(self._views))]
            view = self._views[key] = View(look(self.state, selection, seen, visible))
        return view

    def wake(self) -> None:
        """Wake all that wait for a change."""
        for event in self.idle:
            event.set()
        self.idle.clear()

    def _apply(self, shard: int, records: NDArray[np.void]) -> None:
        before = self.state.version
        if self.state.apply(records, shard):
            self.to_name.set()
        if self.state.version != before:
            self.wake()
