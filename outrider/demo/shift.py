"""A driver's shift in the demo: asks the driver app where to go next, goes there, and tells what happened."""

import asyncio
import datetime
import math
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import httpx2
import numpy as np
from numpy.typing import NDArray

from models.messages.fixes import FIX
from outrider.client import ApiProblem, OutriderClient
from outrider.demo.clock import FleetClock
from outrider.demo.company import Crew
from pipelines.fleet.gps import Track
from pipelines.fleet.van import Van

__all__ = ["Shift"]

_TO_THE_DOOR = ("assigned", "accepted", "picked_up", "in_transit")
_ON_BOARD = ("accepted", "picked_up")
_REST_S = 30.0
_RETRY_S = 0.5

_T = TypeVar("_T")


class Shift:
    """One driver at work.

    Parameters
    ----------
    crew
        Whose shift it is.
    van
        What is driven; its time is the fleet's, as seconds from `zero_ms`.
    phone
        A client with the phone's own key.
    clock
        The fleet's time.
    zero_ms
        Epoch milliseconds of the van's second 0.
    """

    def __init__(self, crew: Crew, van: Van, phone: OutriderClient, clock: FleetClock, zero_ms: int) -> None:
        self.crew = crew
        self._van, self._phone, self._clock, self._zero_ms = van, phone, clock, zero_ms
        self._tracks: deque[Track] = deque()
        self._reports = 0
        self.is_idle = False
        """Whether it stands at its depot with nothing to do."""
        self.delivered = 0
        self.failed = 0
        """Stops at which nobody was there."""
        self.problems: Counter[str] = Counter()
        """What the API answered instead, by code."""

    async def load(self) -> None:
        """Take the parcels of the whole round on board."""
        found = await self._patiently(self._phone.round)
        waiting = [str(stop["deliveryId"]) for stop in found["stops"] if stop["status"] == "assigned"]
        await self._tell([(delivery, status) for delivery in waiting for status in _ON_BOARD], self._van.now_s)

    async def run(self) -> None:
        """Work for ever."""
        while True:
            found = await self._patiently(self._phone.next_stop)
            self.is_idle = found["stop"] is None and self._van.is_home
            if found["stop"] is not None:
                await self._make(found["stop"])
            else:
                await self._rest()

    def due(self) -> NDArray[np.void]:
        """Return the fixes that the phone sends now, `FIX` records, and forget them."""
        now_ms = self._clock.now_ms()
        due: list[NDArray[np.void]] = []
        for _ in range(len(self._tracks)):
            track = self._tracks.popleft()
            end = int(np.searchsorted(track.sent_ms, now_ms, side="right"))
            due.append(track.fixes[:end])
            if end < len(track.fixes):
                self._tracks.append(Track(track.fixes[end:], track.sent_ms[end:]))
        return np.concatenate(due) if due else np.zeros(0, FIX)

    async def _make(self, stop: Mapping[str, Any]) -> None:
        """Go to a stop and hand the parcel over."""
        begun_s, delivery, status = self._van.now_s, str(stop["deliveryId"]), stop["status"]
        await self._clock.until(self._ms(begun_s))
        if status in _TO_THE_DOOR:
            steps = _TO_THE_DOOR[_TO_THE_DOOR.index(status) + 1 :]
            await self._tell([(delivery, step) for step in steps], begun_s)
        place, weight_kg = (stop["latitude"], stop["longitude"]), stop["weightKg"] or 0.0
        visit = self._van.visit(place, weight_kg, self._opens_s(stop))
        self._tracks.append(visit.track)
        await self._clock.until(self._ms(visit.done_s))
        # who is there may have been seen by the engine: then the first step is refused, and the second counts
        outcome = "delivered" if visit.is_delivered else "failed"
        await self._tell([(delivery, "arrived"), (delivery, outcome)], visit.done_s)
        self.delivered += visit.is_delivered
        self.failed += not visit.is_delivered

    def _opens_s(self, stop: Mapping[str, Any]) -> float:
        """Return when the customer may be called on, seconds of the van's time."""
        window = stop["timeWindow"]
        if window is None:
            return -math.inf
        return datetime.datetime.fromisoformat(window["start"]).timestamp() - self._zero_ms / 1000

    async def _rest(self) -> None:
        self._tracks.append(self._van.stand(_REST_S) if self._van.is_home else self._van.go_home())
        await self._clock.until(self._ms(self._van.now_s))

    async def _tell(self, changes: Sequence[tuple[str, str]], at_s: float) -> None:
        """Report deliveries and the statuses that they took at a moment."""
        if not changes:
            return
        at = datetime.datetime.fromtimestamp(self._ms(at_s) / 1000, datetime.UTC)
        items = []
        for delivery, status in changes:
            self._reports += 1
            item = {"type": "status", "id": f"{self.crew.vehicle}-{self._reports}", "deliveryId": delivery}
            items.append(item | {"status": status, "time": at.isoformat()})
        await self._patiently(lambda: self._phone.upload(items))

    def _ms(self, seconds: float) -> float:
        return self._zero_ms + seconds * 1000

    async def _patiently(self, ask: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Ask until there is an answer, as a phone does; what is sent twice counts once."""
        while True:
            try:
                return await ask()
            except (ApiProblem, httpx2.TransportError) as fault:
                self.problems[fault.code if isinstance(fault, ApiProblem) else "unreachable"] += 1
                wait_s = fault.retry_after_s if isinstance(fault, ApiProblem) else None
                await asyncio.sleep(wait_s or _RETRY_S)
