"""One subscription of one connection: what it looks at, and what of it has been sent. Pure: time is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.gateway.feed import TenantFeed, View
from api.gateway.topics import Topic
from api.gateway.viewport import Selection

__all__ = ["Subscription", "Update"]

_NOTHING_SEEN = -1
_NAMING = ("driver", "driverId", "previousDriverId")  # fields of events that say which driver they concern


@dataclass(frozen=True, slots=True)
class Update:
    """What the next frame of a subscription holds."""

    full: bool
    view: View | None
    deliveries: Sequence[Mapping[str, Any]] = ()
    events: Sequence[Mapping[str, Any]] = ()
    jobs: Sequence[Mapping[str, Any]] = ()
    missed: int = 0

    def __bool__(self) -> bool:
        moved = self.view is not None and (self.view.delta.rows.size or self.view.delta.gone.size)
        return bool(self.full or moved or self.deliveries or self.events or self.jobs or self.missed)


@dataclass(slots=True, eq=False)
class Subscription:
    """State of one subscription.

    `selection` says which drivers it shows (none for alerts and jobs); `delivery` whose status; `job` whose progress;
    `about` limits alerts to those about one driver.
    """

    id: str
    topic: Topic
    interval_s: float
    selection: Selection | None = None
    delivery: str | None = None
    job: str | None = None
    about: str | None = None
    packed: bool = False
    cursor: int = 0
    """Events taken."""
    next_at: float = 0.0
    """When the next frame may go, loop time."""
    _seen: int = _NOTHING_SEEN
    _visible: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    def restart(self) -> None:
        """Send everything in view with the next frame."""
        self._seen = _NOTHING_SEEN

    def is_behind(self, feed: TenantFeed) -> bool:
        """Tell whether anything happened that this subscription has not looked at."""
        if self.topic == "alerts":
            return self._seen == _NOTHING_SEEN or feed.events_end > self.cursor
        return feed.state.version > self._seen

    def take_update(self, feed: TenantFeed, now: float) -> Update:
        """Return what the next frame holds, and count it as sent; false when there is nothing to send."""
        full, seen = self._seen == _NOTHING_SEEN, self._seen
        self.next_at = now + self.interval_s
        self._seen = feed.state.version
        if self.topic == "alerts":
            return self._take_events(feed, full=full)
        if self.job is not None:
            return self._take_job(self.job, feed, seen)
        deliveries: Sequence[Mapping[str, Any]] = ()
        if self.delivery is not None and (state := feed.deliveries.get(self.delivery)) is not None:
            if full or state.version > seen:
                deliveries = [state.shape]
            seen = self._aim_at(state.driver, seen)
        return Update(full, self._take_view(feed, seen), deliveries)

    def _take_job(self, job: str, feed: TenantFeed, seen: int) -> Update:
        state = feed.jobs.get(job)
        is_news = state is not None and state.version > seen
        return Update(seen == _NOTHING_SEEN, None, jobs=[state.shape] if state is not None and is_news else ())

    def _aim_at(self, driver: int | None, seen: int) -> int:
        """Look at the delivery's driver; a new one is sent in full."""
        wanted = None if driver is None else Selection(number=driver)
        if wanted == self.selection:
            return seen
        self.selection = wanted
        return _NOTHING_SEEN

    def _take_view(self, feed: TenantFeed, seen: int) -> View | None:
        if self.selection is None:
            return None
        if seen == _NOTHING_SEEN:
            self._visible[:] = False
        if len(self._visible) < feed.state.size:
            wider = np.zeros(len(feed.state.records), np.bool_)
            wider[: len(self._visible)] = self._visible
            self._visible = wider
        view = feed.view(self.selection, seen, self._visible, packed=self.packed)
        self._visible[view.delta.rows] = True
        self._visible[view.delta.gone] = False
        return view

    def _take_events(self, feed: TenantFeed, *, full: bool) -> Update:
        events, missed = feed.events_since(self.cursor)
        self.cursor = feed.events_end
        if self.about is not None:
            events = [event for event in events if _is_about(event, self.about)]
        return Update(full, None, events=events, missed=missed)


def _is_about(event: Mapping[str, Any], driver: str) -> bool:
    data = event.get("data")
    named = [data.get(name) for name in _NAMING] if isinstance(data, Mapping) else []
    return driver in (event.get("aggregate"), *named)
