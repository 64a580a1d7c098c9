"""The load of REST requests: what is asked how often, and the process that asks, seen from the benchmark."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

__all__ = ["MIX", "Kind", "Known", "RestLoad", "RestReport", "RestSpec"]

Kind = Literal["get", "list", "track", "locate", "move", "create", "assign", "edit"]

MIX: Mapping[Kind, int] = {
    "get": 40,  # one delivery, by id
    "list": 20,  # a screen of 20: newest, by status, by driver, by two statuses and priority, in turns
    "track": 12,  # status and live position of a delivery under way
    "locate": 3,  # one position of a delivery's driver
    "move": 10,  # the next status of its life, at the version that was seen
    "create": 8,  # every second one is given to a driver at once
    "assign": 2,
    "edit": 5,  # the whole of what it says, at the version that was seen
}
"""Share of each kind of request, percent: a dispatcher's screens, drivers' phones and an order system together."""

START_LIMIT_S = 60.0
SATURATED_SHARE = 0.9  # of one core: a generator above it may be what limits the run


class Known(msgspec.Struct, array_like=True):
    """A delivery that the generator knows of."""

    id: str
    status: str
    version: int


class RestSpec(msgspec.Struct):
    """What a generator process does."""

    host: str
    port: int
    tokens: list[str]
    """Planners' tokens, which connections take in turns; none sends no token."""
    key: str
    """Gateway key, which sends positions."""
    connections: int
    seed: int
    drivers: list[str]
    closed: list[str]
    """Deliveries that are only read."""
    waiting: list[Known]
    """Deliveries that nobody has."""
    running: list[Known]
    """Deliveries that a driver has."""


class RestReport(msgspec.Struct):
    """What one run was answered."""

    seconds: float
    done: int
    """Requests that were answered as they should."""
    waits_ms: dict[str, list[float]]
    """Time from request to whole answer, by kind."""
    errors: dict[str, int]
    """What went wrong, such as `move 409`, and how often."""
    cpu_share: float
    """Share of one core that the generator used."""
    created: int
    """Deliveries whose creation was acknowledged, of all runs."""
    versions: dict[str, int]
    """The last acknowledged version of every delivery that was changed, of all runs."""

    @property
    def saturated(self) -> bool:
        """Tell whether the generator itself may have been the limit."""
        return self.cpu_share > SATURATED_SHARE


@dataclass(slots=True)
class RestLoad:
    """One generator process; it keeps its connections and what it knows from run to run."""

    spec: RestSpec
    _process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process and wait until its connections are open."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.rest_generator"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**28,
        )
        self._write(msgspec.json.encode(self.spec))
        async with asyncio.timeout(START_LIMIT_S):
            if await self._read() != b"ready\n":
                raise RuntimeError("the load generator could not open its connections; its errors are above")

    async def run(self, seconds: float) -> RestReport:
        """Ask for some seconds, and return what was answered."""
        self._write(msgspec.json.encode(seconds))
        line = await self._read()
        if not line:
            raise RuntimeError("the load generator ended; its errors are above")
        return msgspec.json.decode(line, type=RestReport)

    async def stop(self) -> None:
        """End the process. May be called twice."""
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()

    def _write(self, line: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None  # noqa: S101, PT018  # after `start`
        self._process.stdin.write(line + b"\n")

    async def _read(self) -> bytes:
        assert self._process is not None and self._process.stdout is not None  # noqa: S101, PT018  # after `start`
        return await self._process.stdout.readline()
