"""What a load is, and the processes that make it, seen from the benchmark that asks for it."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

__all__ = ["ConnectionReport", "ConnectionSpec", "Load", "LoadReport", "LoadSpec", "Sample"]

Transport = Literal["ws", "http"]
Encoding = Literal["packed", "rows", "json"]

START_LIMIT_S = 60.0  # 1,000 WebSocket handshakes on a busy core take a few seconds
SATURATED_SHARE = 0.9  # of one core: a generator above it may be what limits the run


class ConnectionSpec(msgspec.Struct):
    """One connection of a generator and the drivers that speak over it."""

    first: int
    """Place of its first driver in the fleet."""
    drivers: list[str]
    """Ids of its drivers."""
    frame: int = 0
    """Number of frames that earlier runs have sent: this run goes on from there."""
    phase: float = 0.0
    """With a rate: part of the time between two of its frames by which it begins later: no chorus."""


class LoadSpec(msgspec.Struct):
    """What one generator process does."""

    host: str
    port: int
    path: str
    token: str
    transport: Transport
    encoding: Encoding
    batch: int
    """Pings in a frame or request."""
    seed: int
    seconds: float
    """How long to send."""
    start_ms: float
    """Fix time of ping 0 of every connection, epoch milliseconds; with a rate: set when sending begins."""
    step_ms: float
    """Fix time between two pings of a driver, when there is no rate."""
    window: int
    """Most unanswered frames of a connection."""
    connections: list[ConnectionSpec]
    rate: float = 0.0
    """Pings a second of this process in open loop; 0 sends as fast as answers come."""
    frames: int = 0
    """Frames of each connection after which it ends early; 0 = no such limit."""
    drives: str = ""
    """File of the ways that the drivers drive (`bench.drives`); without one they circle."""
    drain_s: float = 60.0
    """How long to wait for outstanding acknowledgements, and for the durable watermark."""


class ConnectionReport(msgspec.Struct):
    """What became of one connection's frames, counted from its very first run."""

    sent: int
    acked: int
    durable: int


class Sample(msgspec.Struct, array_like=True):
    """Where a generator stood at a time."""

    at: float
    """Seconds since sending began."""
    acked: int
    """Pings acknowledged since sending began."""
    durable: int


class LoadReport(msgspec.Struct):
    """What a generator did."""

    connections: list[ConnectionReport]
    samples: list[Sample]
    sent: int
    """Pings sent."""
    acked: int
    refused: int
    reasons: dict[str, int]
    busy: int
    """Times the server said that it is saturated."""
    drops: int
    """Connections that broke and were opened again."""
    ack_p50_ms: float
    ack_p99_ms: float
    cpu_share: float
    """Share of one core that the generator used while sending."""
    began_ms: float
    """Epoch milliseconds when sending began."""

    @property
    def saturated(self) -> bool:
        """Tell whether the generator itself may have been the limit."""
        return self.cpu_share > SATURATED_SHARE


@dataclass(slots=True)
class Load:
    """Generator processes, one for each spec."""

    specs: Sequence[LoadSpec]
    latest: list[Sample] = field(default_factory=list)
    """Where each process stands, renewed a few times a second."""
    _processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self) -> None:
        """Start the processes and wait until all their connections are open."""
        for spec in self.specs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bench.generator",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=2**26,
            )
            self._processes.append(process)
            _stdin(process).write(msgspec.json.encode(spec) + b"\n")
        self.latest = [Sample(0.0, 0, 0) for _ in self.specs]
        async with asyncio.timeout(START_LIMIT_S):
            for process in self._processes:
                if await _stdout(process).readline() != b"ready\n":
                    raise RuntimeError("the load generator could not open its connections; its errors are above")

    async def run(self) -> list[LoadReport]:
        """Let all processes send, and return their reports."""
        for process in self._processes:
            _stdin(process).write(b"go\n")
        return list(await asyncio.gather(*(self._follow(place) for place in range(len(self._processes)))))

    async def stop(self) -> None:
        """End what is still running."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _follow(self, place: int) -> LoadReport:
        process = self._processes[place]
        async for line in _stdout(process):
            if line.startswith(b"report "):
                await process.wait()
                return msgspec.json.decode(line[7:], type=LoadReport)
            self.latest[place] = msgspec.json.decode(line, type=Sample)
        raise RuntimeError(f"a load generator ended with status {await process.wait()}; its errors are above")


def _stdin(process: asyncio.subprocess.Process) -> asyncio.StreamWriter:
    assert process.stdin is not None  # noqa: S101  # opened as a pipe
    return process.stdin


def _stdout(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    assert process.stdout is not None  # noqa: S101  # opened as a pipe
    return process.stdout
