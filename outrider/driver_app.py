"""The app in each taxi of the demo: takes deliveries and reports their statuses through the public API.

A recorded trip is a delivery with its pickup at the trip's first fix and its drop-off at the last one.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx2
import numpy as np

from models.messages.fixes import DEGREE
from outrider.client import ApiProblem, Delivery, OutriderClient, Place
from outrider.playback import Playback
from outrider.traces import Trace

__all__ = ["DriverApp", "Trip", "trips_of"]

_ASSIGN_BEFORE_S = 2.0
_ENGINE_FIRST_S = 1.5  # the engine may see an arrival by itself: it gets this long before the driver presses a button
_STEPS = ("pending", "assigned", "accepted", "picked_up", "in_transit", "arrived", "delivered")
_STOPS = ("picked_up", "delivered")  # what a pickup and a drop-off end with
_ATTEMPTS = 20
_RETRY_S = 0.1
_PARALLEL = 8


@dataclass(frozen=True, slots=True)
class Trip:
    """A recorded trip."""

    number: int
    vehicle: int
    """Place in the trace's list of vehicles."""
    first: int
    last: int
    """Rows of its first and last fix."""
    pickup: Place
    dropoff: Place


class DriverApp:
    """Plays the drivers of one run.

    Parameters
    ----------
    client
        Signed in as the demo's planner.
    playback
        Says when a row of the trace is on its way.
    drivers
        Driver ids by place of the vehicle.
    """

    def __init__(self, client: OutriderClient, playback: Playback, drivers: Mapping[int, str]) -> None:
        self._client, self._playback, self._drivers = client, playback, drivers
        self._gate = asyncio.Semaphore(_PARALLEL)
        self.deliveries = 0
        """Created."""
        self.stops_done = 0
        """Pickups and drop-offs that are done."""
        self.problems: Counter[str] = Counter()
        """What the API answered instead, by code."""

    async def run(self) -> None:
        """Create the deliveries of all trips that begin in this run, and drive them; ends after the last drop-off."""
        trips = [trip for trip in trips_of(self._playback.trace) if trip.first < self._playback.count]
        plans = [(f"trip {trip.number}", trip.pickup, trip.dropoff) for trip in trips]
        made = await self._client.create_deliveries(plans)
        self.deliveries = len(made)
        async with asyncio.TaskGroup() as group:
            for trip, delivery in zip(trips, made, strict=True):
                group.create_task(self._drive(trip, delivery), name=f"demo-{delivery.id}")

    async def _drive(self, trip: Trip, delivery: Delivery) -> None:
        due_s, driver = self._playback.due_s, self._drivers[trip.vehicle]
        await self._until(due_s(trip.first) - _ASSIGN_BEFORE_S)
        delivery = await self._bring_to("accepted", delivery, driver)
        await self._until(due_s(trip.first))
        delivery = await self._bring_to("picked_up", delivery, driver)
        if trip.last >= self._playback.count:
            return
        await self._until(due_s(trip.last) + _ENGINE_FIRST_S)
        await self._bring_to("delivered", delivery, driver)

    async def _until(self, due_s: float) -> None:
        await self._playback.started.wait()
        await asyncio.sleep(max(0.0, self._playback.begun + due_s - time.monotonic()))

    async def _bring_to(self, target: str, delivery: Delivery, driver: str) -> Delivery:
        """Bring a delivery to a status by the allowed steps; the engine may take some of them meanwhile."""
        attempts = 0
        while _progress(delivery) < _STEPS.index(target) and attempts < _ATTEMPTS:
            try:
                async with self._gate:
                    delivery = await self._step(delivery, driver)
            except (ApiProblem, httpx2.TransportError) as fault:
                attempts += 1
                delivery = await self._look_again(delivery, fault)
        self.stops_done += target in _STOPS and _STEPS.index(target) <= _progress(delivery) < len(_STEPS)
        return delivery

    async def _step(self, delivery: Delivery, driver: str) -> Delivery:
        if delivery.status == "pending":
            return await self._client.assign(delivery.id, driver, version=delivery.version)
        following = _STEPS[_progress(delivery) + 1]
        return await self._client.set_status(delivery.id, following, version=delivery.version)

    async def _look_again(self, delivery: Delivery, fault: ApiProblem | httpx2.TransportError) -> Delivery:
        """Read a delivery that somebody else has moved, after a pause where the API asks for one."""
        self.problems[fault.code if isinstance(fault, ApiProblem) else "unreachable"] += 1
        pause_s = fault.retry_after_s if isinstance(fault, ApiProblem) else None
        await asyncio.sleep(pause_s or _RETRY_S)
        try:
            return await self._client.delivery(delivery.id)
        except (ApiProblem, httpx2.TransportError):
            return delivery


def _progress(delivery: Delivery) -> int:
    """Return how many steps are done; past the last for one that somebody has cancelled or failed."""
    return _STEPS.index(delivery.status) if delivery.status in _STEPS else len(_STEPS)


def trips_of(trace: Trace) -> Sequence[Trip]:
    """Return the trips of a trace in the order in which they begin; none if it has no column of trips."""
    if trace.trip is None:
        return []
    numbers, first = np.unique(trace.trip, return_index=True)
    last = len(trace.trip) - 1 - np.unique(trace.trip[::-1], return_index=True)[1]
    trips = [
        Trip(
            int(number),
            int(trace.fixes["driver"][begin]),
            int(begin),
            int(end),
            _place(trace, int(begin)),
            _place(trace, int(end)),
        )
        for number, begin, end in zip(numbers, first, last, strict=True)
    ]
    return sorted(trips, key=lambda trip: trip.first)


def _place(trace: Trace, row: int) -> Place:
    fix = trace.fixes[row]
    return Place(latitude=float(fix["lat"]) / DEGREE, longitude=float(fix["lon"]) / DEGREE)
