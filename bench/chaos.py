"""What is left after `kill -9` of a part under load: every acknowledged ping, once, and the live state they add up to.

The load goes through the typed client, which keeps what is not durable yet and sends it again after a drop, as a
gateway in the field would. Afterwards history is read the way the API reads it, and every ping is looked for by its
number.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import httpx2
import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.fleet import Clock, Fleet
from bench.report import console, heading
from bench.stack import Account, Stack, running_stack
from bench.traffic import SEED, share_drivers
from engine.sinks.history import read_track
from models.errors import OutriderError
from models.messages.fixes import DEGREE
from models.store.connections import Database, connect_mongo
from outrider.client import IngestStream, LiveDriver, OutriderClient

__all__ = ["FAULTS", "Fault", "FaultReport", "Ordeal", "measure_chaos"]

Fault = Literal["shard", "redis", "mongod", "api"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
_ROLES = {"shard": "shards", "redis": "redis", "mongod": "mongod", "api": "api"}

BATCH = 50
STREAMS = 4
POLL_S = 0.05
DRAIN_S = 60.0
ASKED_AT_ONCE = 16


class FaultReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one fault was survived."""

    fault: str
    sent: int
    acked: int
    lost: int
    """Acknowledged pings that history lacks."""
    double_counted: int
    """Pings that history shows twice, or that moved the live state twice."""
    live_wrong: int
    """Drivers whose live state is not their last ping."""
    recover_s: float
    """From the kill until a ping that was sent after it is live."""
    durable_s: float
    """From the kill until such a ping is durable."""
    reconnects: int


class Ordeal:
    """A load on a stack, a kill in the middle of it, and the reckoning.

    Parameters
    ----------
    rate
        Pings a second.
    seconds
        Length of the load; the kill comes after a third of it.
    """

    def __init__(self, stack: Stack, account: Account, database: Database, *, rate: float, seconds: float) -> None:
        self._stack, self._account, self._database = stack, account, database
        self._rate, self._seconds = rate, seconds
        self._shares = share_drivers(len(account.drivers), STREAMS)
        self._fleets = [Fleet(SEED, first, end - first) for first, end in self._shares]
        self._clocks: list[Clock] = []
        self._frames = [0] * len(self._shares)
        self._counted: Mapping[str, int] = {}

    async def run(self, fault: Fault) -> FaultReport:
        """Send, kill, go on sending, wait until all is durable, and count."""
        self._counted = await self._stack.counts(self._account.token)
        period_ms = 1000.0 * len(self._shares) / self._rate
        self._clocks = [Clock(time.time() * 1000.0, period_ms) for _ in self._shares]
        async with contextlib.AsyncExitStack() as opened:
            client = await opened.enter_async_context(OutriderClient(self._stack.url, token=self._account.token))
            streams = [
                await opened.enter_async_context(IngestStream(self._stack.url, self._account.key)) for _ in self._shares
            ]
            async with asyncio.TaskGroup() as group:
                for place, stream in enumerate(streams):
                    group.create_task(self._send(place, stream), name=f"send-{place}")
                recovery = group.create_task(self._kill(fault, client, streams), name="kill")
            async with asyncio.timeout(DRAIN_S):
                for stream in streams:
                    await stream.drain(durable=True)
            return await self._reckon(fault, client, streams, *recovery.result())

    @property
    def sent(self) -> int:
        """Return how many pings have been sent."""
        return sum(self._frames) * BATCH

    async def _send(self, place: int, stream: IngestStream) -> None:
        first, end = self._shares[place]
        drivers, clock = self._account.drivers[first:end], self._clocks[place]
        stop_ms = clock.start_ms + self._seconds * 1000.0
        while (due_ms := clock.due_ms(self._frames[place] * BATCH)) < stop_ms:
            await asyncio.sleep(max(0.0, due_ms / 1000.0 - time.time()))
            fixes = self._fleets[place].fixes(clock, self._frames[place] * BATCH, BATCH)
            offset = self._frames[place] * BATCH % len(drivers)
            fixes["driver"] = (offset + np.arange(BATCH)) % len(drivers)
            self._frames[place] += 1
            await stream.send_packed(drivers, fixes)

    async def _kill(self, fault: Fault, client: OutriderClient, streams: Sequence[IngestStream]) -> tuple[float, float]:
        """Kill the part; return how long it took until pings sent after that were live, and durable."""
        await asyncio.sleep(self._seconds / 3)
        for pid in self._stack.pids()[_ROLES[fault]]:
            os.kill(pid, signal.SIGKILL)
        killed, killed_ms = time.perf_counter(), time.time() * 1000.0
        marks = [stream.sent + 1 for stream in streams]
        sample = [self._account.drivers[first] for first, _ in self._shares]
        recover_s = durable_s = 0.0
        while not (recover_s and durable_s) and time.perf_counter() < killed + DRAIN_S:
            if not recover_s and await self._all_live(client, sample, killed_ms):
                recover_s = time.perf_counter() - killed
            if not durable_s and all(stream.durable >= mark for stream, mark in zip(streams, marks, strict=True)):
                durable_s = time.perf_counter() - killed
            await asyncio.sleep(POLL_S)
        return recover_s, durable_s

    async def _all_live(self, client: OutriderClient, drivers: Sequence[str], since_ms: float) -> bool:
        try:
            states = await asyncio.gather(*(client.live(driver) for driver in drivers))
        except (OutriderError, httpx2.HTTPError):
            return False
        return all(not state.stale and int(state.time) > since_ms for state in states)

    async def _reckon(
        self,
        fault: Fault,
        client: OutriderClient,
        streams: Sequence[IngestStream],
        recover_s: float,
        durable_s: float,
    ) -> FaultReport:
        lost = repeated = wrong = 0
        last = await self._live_states(client)
        for place, (first, end) in enumerate(self._shares):
            for member in range(end - first):
                sequences = await self._history(first + member)
                expected = self._expected(place, member)
                distinct = np.unique(sequences)
                lost += expected.size - int(np.isin(expected, distinct).sum())
                repeated += sequences.size - distinct.size
                wrong += not self._is_last(place, member, int(expected[-1]), last[first + member])
        counts = await self._stack.counts(self._account.token)
        moved = counts["live"] - self._counted.get("live", 0)
        return FaultReport(
            fault=fault,
            sent=self.sent,
            acked=sum(stream.acked for stream in streams) * BATCH,
            lost=lost,
            double_counted=repeated + max(0, moved - self.sent),
            live_wrong=wrong,
            recover_s=round(recover_s, 2),
            durable_s=round(durable_s, 2),
            reconnects=sum(stream.reconnects for stream in streams),
        )

    def _expected(self, place: int, member: int) -> NDArray[np.int64]:
        size = self._fleets[place].size
        count = (self._frames[place] * BATCH - member + size - 1) // size
        return np.arange(1, count + 1)

    async def _history(self, driver: int) -> NDArray[np.int64]:
        """Return the numbers of a driver's pings as a reader of its track gets them."""
        start_ms = int(self._clocks[0].start_ms) - 1000
        track = await read_track(
            self._database, self._account.numbers[driver], start_ms, start_ms + int(self._seconds * 1000) + 3_600_000
        )
        sequences: NDArray[np.int64] = track["seq"]
        return sequences

    async def _live_states(self, client: OutriderClient) -> list[LiveDriver]:
        gate = asyncio.Semaphore(ASKED_AT_ONCE)

        async def ask(driver: str) -> LiveDriver:
            async with gate:
                return await client.live(driver)

        return list(await asyncio.gather(*(ask(driver) for driver in self._account.drivers)))

    def _is_last(self, place: int, member: int, sequence: int, state: LiveDriver) -> bool:
        fleet, clock = self._fleets[place], self._clocks[place]
        fix = fleet.fixes(clock, member + (sequence - 1) * fleet.size, 1)[0]
        away = abs(state.latitude - fix["lat"] / DEGREE) + abs(state.longitude - fix["lon"] / DEGREE)
        return not state.stale and int(state.time) == int(fix["time"]) and away < 1e-6


async def measure_chaos(
    faults: Sequence[Fault],
    *,
    drivers: int,
    rate: float,
    seconds: float,
    variables: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Measure and return the figures of `outrider bench chaos`: one stack, one fault after another."""
    reports: list[FaultReport] = []
    async with running_stack(variables) as stack, contextlib.AsyncExitStack() as stores:
        database = connect_mongo(stack.store_urls()[0], "outrider")
        stores.callback(database.client.close)
        for fault in faults:
            account = await stack.open_account(drivers)
            console.print(f"{fault}: {rate:,.0f} pings/s for {seconds:g} s, killed after a third")
            reports.append(await Ordeal(stack, account, database, rate=rate, seconds=seconds).run(fault))
            console.print(str(reports[-1]))
    return heading("chaos", seconds=seconds, repeats=1) | {
        "rate": rate,
        "drivers": drivers,
        "faults": [msgspec.to_builtins(report) for report in reports],
    }
