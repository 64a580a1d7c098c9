"""The newest events of the feed in memory, so that each is read from the store once for all that keep up. Pure."""

from bisect import bisect_right
from collections.abc import Sequence

from models.documents.event import Event

__all__ = ["RecentEvents"]

_MOST = 5000


class RecentEvents:
    """A run of events without a gap, by number."""

    def __init__(self) -> None:
        self._start = self.last = -1
        self._events: list[Event] = []
        self._numbers: list[int] = []

    def begin(self, number: int) -> None:
        """Forget everything and go on after a number, which becomes the `last` one known."""
        self._start = self.last = number
        self._events.clear()
        self._numbers.clear()

    def add(self, events: Sequence[Event]) -> None:
        """Add what follows the `last` one; the oldest give way."""
        self._events += events
        self._numbers += [event.number or 0 for event in events]
        self.last = self._numbers[-1]
        if (over := len(self._events) - _MOST) > 0:
            self._start = self._numbers[over - 1]
            del self._events[:over], self._numbers[:over]

    def after(self, number: int, limit: int) -> Sequence[Event] | None:
        """Return the events after a number, oldest first; None if some of them are no longer here, or never were."""
        if self._start < 0 or number < self._start:
            return None
        first = bisect_right(self._numbers, number)
        return self._events[first : first + limit]
