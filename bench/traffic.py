"""The load on one stack over several runs: each goes on where the one before ended, so no ping is sent twice."""

import itertools
import time
from typing import Literal

import msgspec
import numpy as np

from bench.load import ConnectionSpec, Load, LoadReport, LoadSpec, Transport
from bench.stack import Account
from bench.verify import HistoryCount, missing, sequences_before

__all__ = ["Traffic", "TrafficOptions", "share_drivers"]

SEED = 7
START_BEHIND_MS = 4 * 3600 * 1000.0  # fix clocks run ahead of the wall's: they begin long enough ago never to pass it
STEP_MS = 1000.0  # drivers report once a second of their own time


class TrafficOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the load is like."""

    transport: Transport = "ws"
    encoding: Literal["packed", "rows", "json"] = "packed"
    batch: int = 100
    connections: int = 50
    window: int = 8
    """Unanswered frames of a connection."""
    generators: int = 1
    rate: float = 0.0
    """Pings a second in open loop; 0 sends as fast as frames are answered."""
    path: str = ""
    """Where to send, if not to our own door."""
    drives: str = ""
    """File of the ways that the drivers drive; without one they circle."""


class Traffic:
    """What has been sent to a server for the drivers of an account, and what was acknowledged."""

    def __init__(self, options: TrafficOptions, address: tuple[str, int], account: Account) -> None:
        self.options, self.address, self.account = options, address, account
        self.shares = share_drivers(len(account.drivers), options.connections)
        """Of each connection: its drivers, a half-open range."""
        self._start_ms = time.time() * 1000.0 - START_BEHIND_MS
        self._ranges: list[list[tuple[int, int]]] = [[] for _ in self.shares]
        self._next = [0] * len(self.shares)

    @property
    def acked(self) -> int:
        """Return how many pings have been acknowledged so far."""
        return sum(end - start for ranges in self._ranges for start, end in ranges) * self.options.batch

    @property
    def sent(self) -> int:
        """Return how many pings have been sent so far."""
        return sum(self._next) * self.options.batch

    def load(self, seconds: float, *, frames: int = 0) -> Load:
        """Return the processes that go on sending, for some seconds or some frames of each connection."""
        return Load([self._spec(seconds, frames, group) for group in self._groups()])

    def note(self, reports: list[LoadReport]) -> None:
        """Take over what a load has done."""
        answered = itertools.chain.from_iterable(report.connections for report in reports)
        for place, report in enumerate(answered):
            self._ranges[place].append((self._next[place], report.acked))
            self._next[place] = report.sent

    async def send(self, seconds: float, *, frames: int = 0) -> list[LoadReport]:
        """Go on sending, wait for all answers, and return the processes' reports."""
        load = self.load(seconds, frames=frames)
        try:
            await load.start()
            reports = await load.run()
        finally:
            await load.stop()
        self.note(reports)
        return reports

    def lost(self, count: HistoryCount) -> int:
        """Return how many acknowledged pings history lacks."""
        batch, lost = self.options.batch, 0
        for (first, end), ranges in zip(self.shares, self._ranges, strict=True):
            for start_frame, end_frame in ranges:
                after = sequences_before(start_frame, end - first, batch)
                upto = sequences_before(end_frame, end - first, batch)
                numbers = self.account.numbers[first:end]
                lost += sum(missing(count, *row) for row in zip(numbers, after.tolist(), upto.tolist(), strict=True))
        return lost

    def last_sequences(self) -> list[int]:
        """Return the number of the last ping that was sent for each driver, 0 for none."""
        return [
            int(sequence)
            for (first, end), frame in zip(self.shares, self._next, strict=True)
            for sequence in sequences_before(frame, end - first, self.options.batch)
        ]

    def _groups(self) -> list[list[ConnectionSpec]]:
        connections = [
            ConnectionSpec(first, list(self.account.drivers[first:end]), frame, place / len(self.shares))
            for place, ((first, end), frame) in enumerate(zip(self.shares, self._next, strict=True))
        ]
        edges = np.linspace(0, len(connections), self.options.generators + 1).astype(int).tolist()
        return [connections[start:end] for start, end in itertools.pairwise(edges)]

    def _spec(self, seconds: float, frames: int, group: list[ConnectionSpec]) -> LoadSpec:
        options, (host, port) = self.options, self.address
        is_ws = options.transport == "ws"
        return LoadSpec(
            host=host,
            port=port,
            path=options.path or ("/api/v1/ws/ingest" if is_ws else "/api/v1/pings"),
            token=self.account.key,
            transport=options.transport,
            encoding="rows" if options.encoding == "packed" and not is_ws else options.encoding,
            batch=options.batch,
            seed=SEED,
            seconds=seconds,
            start_ms=self._start_ms,
            step_ms=STEP_MS,
            window=options.window if is_ws else 1,
            connections=group,
            rate=options.rate * len(group) / len(self.shares),
            frames=frames,
            drives=options.drives,
        )


def share_drivers(drivers: int, connections: int) -> list[tuple[int, int]]:
    """Return the half-open ranges of drivers that connections speak for, as equal as can be."""
    edges = np.linspace(0, drivers, min(connections, drivers) + 1).astype(int).tolist()
    return list(itertools.pairwise(edges))
