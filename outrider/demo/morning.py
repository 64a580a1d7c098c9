"""The demo's morning: a fleet is planned, sent out and driven, and planned again when all are back."""

import asyncio
import contextlib
import datetime
from typing import Self

import httpx2
import numpy as np

from models.errors import OutriderError
from outrider.client import IngestStream, OutriderClient
from outrider.demo.clock import FleetClock
from outrider.demo.company import Crew, Plan, deliver_urgently, hire, order, plan, together
from outrider.demo.shift import Shift
from outrider.demo.town import Town
from outrider.probe import LatencyProbe
from pipelines.fleet.gps import Phone
from pipelines.fleet.van import Van

__all__ = ["HURRY_S", "Morning"]

HURRY_S = 60.0
"""How long the fleet lives faster than the clock, seconds."""

_PHONE = Phone(every_s=2.0, silences_a_day=0.0, dead_zones_a_day=0.01)
_SEARCH_S = 8.0
_PLANNING_S = 15.0  # until the first van may leave: search, storing, sending out
_LEAVE_WITHIN_S = 60.0
_TICK_S = 0.04
_URGENT_AFTER_S = 5.0
_LOOK_S = 5.0
_DRAIN_WITHIN_S = 15.0


class Morning:
    """The company's day.

    Parameters
    ----------
    client
        Signed in as the company's admin.
    town
        Where it works.
    vans
        How many it has.
    speed
        How many times faster than the clock the first minute goes by.
    probe
        Is told what is sent.
    seed
        Of the dice.
    """

    def __init__(
        self, client: OutriderClient, town: Town, *, vans: int, speed: float, probe: LatencyProbe, seed: int = 1
    ) -> None:
        self._client, self._town, self._vans, self._speed, self._probe = client, town, vans, speed, probe
        self._rng = np.random.default_rng(seed)
        self._phones = contextlib.AsyncExitStack()
        self._crews: list[Crew] = []
        self._shifts: list[Shift] = []
        self.clock: FleetClock | None = None
        """The fleet's time, once it runs."""
        self.plan: Plan | None = None
        """The newest."""
        self.pings = 0
        self.deliveries = 0
        self.refused = 0

    async def __aenter__(self) -> Self:
        await self._phones.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._phones.aclose()

    @property
    def drivers(self) -> int:
        """How many are at work."""
        return len(self._shifts)

    @property
    def stops_done(self) -> int:
        """How many stops were made."""
        return sum(shift.delivered + shift.failed for shift in self._shifts)

    async def hire(self) -> list[str]:
        """Set the company up and return its drivers, van by van."""
        self._crews = await hire(self._client, self._vans)
        return [crew.driver for crew in self._crews]

    async def prepare(self, seconds: float | None) -> None:
        """Plan the morning of those who were hired.

        Parameters
        ----------
        seconds
            How long it will be driven; None is until somebody stops it.
        """
        behind_s = (self._speed - 1) * min(HURRY_S, seconds or HURRY_S)
        begins = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=_PLANNING_S - behind_s)
        await self._plan(begins)
        self.clock = FleetClock(round(begins.timestamp() * 1000), self._speed)
        self._shifts = self._hand_out(begins, self.clock)
        await together([shift.load for shift in self._shifts])

    async def drive(self, seconds: float | None) -> None:
        """Drive for so long; all that was sent has arrived when it returns."""
        assert self.clock is not None  # noqa: S101 - `prepare` comes first
        self.clock.start()
        async with self._client.ingest() as stream:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                    for shift in self._shifts:
                        group.create_task(shift.run(), name=f"demo-{shift.crew.name}")
                    group.create_task(self._send(stream), name="demo-phones")
                    group.create_task(self._be_surprised(self.clock), name="demo-urgent-order")
                    group.create_task(self._go_on(self.clock), name="demo-next-round")
            async with asyncio.timeout(_DRAIN_WITHIN_S):
                await stream.drain()
            self.refused = sum(stream.refused.values())

    async def _plan(self, begins: datetime.datetime) -> None:
        orders = await order(self._client, self._rng, self._town.city, self._vans, begins)
        self.deliveries += len(orders)
        self.plan = await plan(self._client, orders, begins, _SEARCH_S)

    def _hand_out(self, begins: datetime.datetime, clock: FleetClock) -> list[Shift]:
        """Give each crew its van and its phone."""
        traffic = self._town.traffic
        leaves_s = begins.timestamp() - traffic.begins.timestamp()
        shifts = []
        paces, rngs = self._town.paces[: len(self._crews)], self._rng.spawn(len(self._crews))
        for crew, pace, rng in zip(self._crews, paces, rngs, strict=True):
            at_s = leaves_s + rng.uniform(0.0, _LEAVE_WITHIN_S)
            van = Van(rng, self._town.city, traffic, crew.depot, at_s, _PHONE, pace)
            phone = OutriderClient(self._client.url, token=crew.key)
            self._phones.push_async_callback(phone.close)
            shifts.append(Shift(crew, van, phone, clock, round(traffic.begins.timestamp() * 1000)))
        return shifts

    async def _send(self, stream: IngestStream) -> None:
        """Send for ever what the phones have to send."""
        while True:
            sent = [(shift.crew.driver, fixes) for shift in self._shifts if (fixes := shift.due()).size]
            if sent:
                fixes = np.concatenate([phone for _, phone in sent])
                fixes["driver"] = np.repeat(np.arange(len(sent)), [len(phone) for _, phone in sent])
                drivers = [driver for driver, _ in sent]
                self._probe.note_sent([drivers[place] for place in fixes["driver"].tolist()], fixes["time"])
                await stream.send_packed(drivers, fixes)
                self.pings += len(fixes)
                self.refused = sum(stream.refused.values())
            await asyncio.sleep(_TICK_S)

    async def _be_surprised(self, clock: FleetClock) -> None:
        """Let an urgent order come in once the fleet lives by the clock; before, it would look late to the planner."""
        await clock.caught_up()
        with contextlib.suppress(OutriderError, httpx2.TransportError):  # nothing hangs on it
            await self._client.change_tenant(settings={"replanning": {"mode": "propose"}})
            await asyncio.sleep(_URGENT_AFTER_S)
            await deliver_urgently(self._client, self._rng, self._town.city)
            self.deliveries += 1

    async def _go_on(self, clock: FleetClock) -> None:
        """Plan the next round whenever everybody is back."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if all(shift.is_idle for shift in self._shifts):
                begins = datetime.datetime.fromtimestamp(clock.now_ms() / 1000 + _PLANNING_S, datetime.UTC)
                with contextlib.suppress(OutriderError, httpx2.TransportError):  # else in the next look
                    await self._plan(begins)
                    await together([shift.load for shift in self._shifts])
                    for shift in self._shifts:
                        shift.is_idle = False
