"""The process that asks: some kept-alive connections, each with one request at a time, as browsers and apps do.

`python -m bench.rest_generator` reads a `RestSpec` from its input, opens its connections and prints `ready`. Then for
each line with a number of seconds it asks for so long and prints a `RestReport`. `bench.rest_load` is its other side.
"""

import asyncio
import sys
import time
from collections import Counter, defaultdict

import msgspec
import uvloop

from bench.rest_load import RestReport, RestSpec
from bench.rest_requests import Requests, Sent

__all__ = ["main"]

_ANSWER_WITHIN_S = 30.0


class Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, generator: "Generator", token: str) -> None:
        self._generator, self._token = generator, token
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._sent: Sent | None = None
        self._began = 0.0

    @property
    def waits(self) -> bool:
        """Tell whether an answer is outstanding."""
        return self._sent is not None

    async def connect(self) -> None:
        """Open the connection, unless it is open: servers close those that were idle between two runs."""
        if self._transport is not None and not self._transport.is_closing():
            return
        spec = self._generator.spec
        await asyncio.get_running_loop().create_connection(lambda: self, spec.host, spec.port)

    def ask(self) -> None:
        """Send the next request, if the run goes on."""
        if self._transport is None or not self._generator.asking:
            return
        self._sent = self._generator.requests.next(self._token)
        self._began = time.perf_counter()
        self._transport.write(self._sent.data)

    def give_up(self) -> None:
        """Count an answer that never came."""
        if self._sent is not None:
            self._generator.fail(self._sent, "no answer")
            self._sent = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # TCP gives a Transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._sent is not None:
            self._generator.fail(self._sent, "connection lost")
            self._sent = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._sent is None:
            return
        head = bytes(self._buffer[:end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        body = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        self._generator.answered(self._sent, int(head[9:12]), body, time.perf_counter() - self._began)
        self._sent = None
        self.ask()


class Generator:
    """All connections of the process, and the count."""

    def __init__(self, spec: RestSpec) -> None:
        self.spec, self.requests = spec, Requests(spec)
        self.asking = False
        self._waits: defaultdict[str, list[float]] = defaultdict(list)
        self._errors: Counter[str] = Counter()
        tokens = spec.tokens or [""]
        self._connections = [Connection(self, tokens[place % len(tokens)]) for place in range(spec.connections)]

    async def open(self) -> None:
        """Open all connections."""
        await asyncio.gather(*(connection.connect() for connection in self._connections))

    def answered(self, sent: Sent, status: int, body: bytes, wait_s: float) -> None:
        """Count an answer."""
        if status != sent.expected:
            self.fail(sent, str(status))
            return
        self._waits[sent.kind].append(round(wait_s * 1000.0, 3))
        self.requests.take(sent, body)

    def fail(self, sent: Sent, what: str) -> None:
        """Count what went wrong."""
        self._errors[f"{sent.kind} {what}"] += 1
        self.requests.give_back(sent)

    async def run(self, seconds: float) -> RestReport:
        """Ask for some seconds, wait for the answers, and report."""
        await self.open()
        self._waits.clear()
        self._errors.clear()
        began, cpu = time.perf_counter(), time.process_time()
        self.asking = True
        for connection in self._connections:
            connection.ask()
        await asyncio.sleep(seconds)
        self.asking = False
        done = sum(map(len, self._waits.values()))
        took_s = time.perf_counter() - began
        cpu_share = (time.process_time() - cpu) / took_s
        await self._drain()
        return RestReport(
            seconds=took_s,
            done=done,
            waits_ms=dict(self._waits),
            errors=dict(self._errors),
            cpu_share=cpu_share,
            created=self.requests.created,
            versions=self.requests.versions,
        )

    async def _drain(self) -> None:
        deadline = time.perf_counter() + _ANSWER_WITHIN_S
        while time.perf_counter() < deadline and any(connection.waits for connection in self._connections):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # the answers' own callbacks end the waiting
        for connection in self._connections:
            connection.give_up()


def main() -> None:
    """Run one generator process."""
    spec = msgspec.json.decode(sys.stdin.buffer.readline(), type=RestSpec)

    async def work() -> None:
        generator = Generator(spec)
        await generator.open()
        _say(b"ready")
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            _say(msgspec.json.encode(await generator.run(msgspec.json.decode(line, type=float))))

    uvloop.run(work())


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
