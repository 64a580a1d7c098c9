"""The load generator: a process of its own that sends prepared frames as fast as they are answered, or at a rate.

`python -m bench.generator` reads a `LoadSpec` from its input, opens its connections, prints `ready`, waits for `go`,
and prints samples and in the end a report. `bench.load` is its other side.
"""

import asyncio
import math
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator

import msgspec
import numpy as np
import uvloop

from bench import wire
from bench.frames import Frames
from bench.load import ConnectionReport, ConnectionSpec, LoadReport, LoadSpec, Sample

__all__ = ["main"]

SAMPLE_S = 0.2
RECONNECT_S = 0.2


class _Refusal(msgspec.Struct):
    reason: str
    count: int = 1


class _Answer(msgspec.Struct):
    """Any message of the ingest stream; fields that it lacks keep their defaults."""

    type: str = ""
    seq: int = 0
    durable: int = 0
    refused: list[_Refusal] = []
    retry_after: float = msgspec.field(default=1.0, name="retryAfter")


class _HttpAnswer(msgspec.Struct):
    accepted: int = 0
    refused: list[_Refusal] = []


_msgpack = msgspec.msgpack.Decoder(_Answer)
_json = msgspec.json.Decoder(_Answer)
_http = msgspec.json.Decoder(_HttpAnswer)


class Connection(asyncio.Protocol):
    """One connection: what it has sent, what has been answered."""

    def __init__(self, generator: "Generator", spec: ConnectionSpec) -> None:
        self.generator, self.spec = generator, spec
        self.first = self.sent = self.acked = self.durable = spec.frame
        self.open = asyncio.Event()
        self.frames: Iterator[bytes] = iter(())
        self.times: deque[float] = deque()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._reader: wire.FrameReader | None = None
        self._writable = True
        self._closed = False

    async def connect(self) -> None:
        """Open the connection, or open it again, and go on after the last answered frame."""
        load = self.generator.spec
        self._buffer, self._reader, self._writable = b"", None, True
        await asyncio.get_running_loop().create_connection(lambda: self, load.host, load.port)
        if self._transport is None:
            return
        if load.transport == "http":
            self.open.set()
        else:
            self._transport.write(wire.handshake(load.host, load.port, load.path, load.token))

    def begin(self) -> None:
        """Send from the last answered frame on."""
        self.sent = self.acked
        self.times.clear()
        self.frames = self.generator.frames(self.spec).from_frame(self.acked)
        self.pump()

    def pump(self) -> None:
        """Send what the window, the rate and the time allow."""
        generator, transport = self.generator, self._transport
        if transport is None or not self._writable or not self.open.is_set() or not generator.sending:
            return
        room = generator.spec.window - (self.sent - self.acked)
        if generator.spec.frames:
            room = min(room, self.spec.frame + generator.spec.frames - self.sent)
        if generator.spec.rate:
            room = min(room, generator.frames_due(self.spec) - self.sent)
        if room <= 0:
            return
        now = time.perf_counter()
        ready = [next(self.frames) for _ in range(room)]
        self.times.extend([now] * room)
        self.sent += room
        transport.write(b"".join(ready))

    def finish(self) -> None:
        """Close for good."""
        self._closed = True
        if self._transport is not None:
            self._transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # TCP gives a Transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.open.clear()
        if not self._closed:
            self.generator.reopen(self)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self.pump()

    def data_received(self, data: bytes) -> None:
        if self.generator.spec.transport == "http":
            self._take_response(data)
        elif self._reader is None:
            self._take_handshake(data)
        else:
            self._take_messages(data)

    def _take_handshake(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        if not self._buffer.startswith(b"HTTP/1.1 101"):
            self.generator.fail(self._buffer[:200].decode(errors="replace"))
            return
        self._reader = wire.FrameReader()
        if rest := self._buffer[end + 4 :]:
            self._take_messages(rest)

    def _take_messages(self, data: bytes) -> None:
        assert self._reader is not None and self._transport is not None  # noqa: S101, PT018  # the handshake is over
        for opcode, payload in self._reader.feed(data):
            if opcode == wire.PING:
                self._transport.write(wire.client_frame(wire.PONG, payload))
            elif opcode == wire.CLOSE:
                self.generator.reasons[f"close {int.from_bytes(payload[:2], 'big')} {payload[2:].decode()}"] += 1
            elif opcode in (wire.BINARY, wire.TEXT):
                self._take_answer((_msgpack if opcode == wire.BINARY else _json).decode(payload))
        self.pump()

    def _take_answer(self, answer: _Answer) -> None:
        match answer.type:
            case "ack":
                self._take_ack(answer)
            case "connection_established":
                self.open.set()
                self.generator.opened(self)
            case "busy":
                self.generator.busy += 1

    def _take_ack(self, answer: _Answer) -> None:
        now = time.perf_counter()
        for _ in range(answer.seq - self.acked):
            if self.times:
                self.generator.waits.append(now - self.times.popleft())
        self.acked = max(self.acked, answer.seq)
        self.durable = max(self.durable, answer.durable)
        for refusal in answer.refused:
            self.generator.reasons[refusal.reason] += refusal.count
            self.generator.refused += refusal.count

    def _take_response(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body, self._buffer = self._buffer[end + 4 : end + 4 + length], self._buffer[end + 4 + length :]
            self._take_status(int(head[9:12]), body)
        self.pump()

    def _take_status(self, status: int, body: bytes) -> None:
        generator = self.generator
        wait_s = time.perf_counter() - self.times.popleft()
        if status >= 400:
            generator.reasons[f"status {status}"] += 1
            generator.busy += status == 503
            self.sent -= 1
            self.frames = generator.frames(self.spec).from_frame(self.acked)
            return
        generator.waits.append(wait_s)
        self.acked += 1
        answer = _http.decode(body)
        for refusal in answer.refused:
            generator.reasons[refusal.reason] += refusal.count
            generator.refused += refusal.count


class Generator:
    """All connections of one process."""

    def __init__(self, spec: LoadSpec) -> None:
        self.spec = spec
        self.sending = False
        self.reasons: Counter[str] = Counter()
        self.refused = self.busy = self.drops = 0
        self.waits: deque[float] = deque(maxlen=2_000_000)
        self.connections = [Connection(self, connection) for connection in spec.connections]
        self._failure: str | None = None
        self._began = self._began_ms = 0.0
        self._frames: dict[int, Frames] = {}
        self._samples: list[Sample] = []
        self._reopening: set[asyncio.Task[None]] = set()

    def frames(self, spec: ConnectionSpec) -> Frames:
        """Return the frames of a connection."""
        frames = self._frames.get(spec.first)
        if frames is None:
            start_ms = self._began_ms if self.spec.rate else self.spec.start_ms
            frames = self._frames[spec.first] = Frames(self.spec, spec, start_ms)
        return frames

    def frames_due(self, spec: ConnectionSpec) -> int:
        """Return how many frames of a connection should be on their way by now, in open loop."""
        clock = self.frames(spec).clock
        elapsed = time.time() * 1000.0 - clock.start_ms
        return math.floor(elapsed / (clock.period_ms * self.spec.batch)) + 1

    def fail(self, answer: str) -> None:
        """End the run: the server does not speak our language."""
        self._failure = answer

    def reopen(self, connection: Connection) -> None:
        """Open a broken connection again, after a pause."""
        self.drops += 1
        task = asyncio.get_running_loop().create_task(self._reopen(connection), name="reopen")
        self._reopening.add(task)
        task.add_done_callback(self._reopening.discard)

    def opened(self, connection: Connection) -> None:
        """Let a connection that is back go on."""
        if self.sending:
            connection.begin()

    async def _reopen(self, connection: Connection) -> None:
        while self._failure is None:
            await asyncio.sleep(RECONNECT_S)
            try:
                await connection.connect()
            except OSError:
                continue
            break

    async def open(self) -> None:
        """Open all connections, a hundred at a time."""
        gate = asyncio.Semaphore(100)

        async def one(connection: Connection) -> None:
            async with gate:
                await connection.connect()
                while not connection.open.is_set():
                    if self._failure is not None:
                        raise ConnectionError(self._failure)
                    await asyncio.sleep(0.005)

        async with asyncio.TaskGroup() as group:
            for connection in self.connections:
                group.create_task(one(connection))

    async def run(self) -> LoadReport:
        """Send for as long as the spec says, wait for the answers, and report."""
        self._began, self._began_ms = time.perf_counter(), time.time() * 1000.0
        cpu = time.process_time()
        self.sending = True
        for connection in self.connections:
            connection.begin()
        await self._send_until(self._began + self.spec.seconds)
        self.sending = False
        cpu_share = (time.process_time() - cpu) / (time.perf_counter() - self._began)
        waits = np.array(self.waits or [0.0]) * 1000.0
        await self._drain(durable=False)
        if self.spec.transport == "ws":
            await self._drain(durable=True)
        self._sample()
        for connection in self.connections:
            connection.finish()
        return LoadReport(
            connections=[ConnectionReport(c.sent, c.acked, c.durable) for c in self.connections],
            samples=self._samples,
            sent=sum(c.sent - c.first for c in self.connections) * self.spec.batch,
            acked=self._samples[-1].acked,
            refused=self.refused,
            reasons=dict(self.reasons),
            busy=self.busy,
            drops=self.drops,
            ack_p50_ms=float(np.percentile(waits, 50)),
            ack_p99_ms=float(np.percentile(waits, 99)),
            cpu_share=cpu_share,
            began_ms=self._began_ms,
        )

    async def _send_until(self, deadline: float) -> None:
        next_sample = 0.0
        while (now := time.perf_counter()) < deadline and not self._all_sent():
            if self.spec.rate:
                for connection in self.connections:
                    connection.pump()
            if now >= next_sample:
                self._sample()
                next_sample = now + SAMPLE_S
            await asyncio.sleep(0.001 if self.spec.rate else 0.02)

    def _all_sent(self) -> bool:
        limit = self.spec.frames
        return bool(limit) and all(c.acked >= c.spec.frame + limit for c in self.connections)

    async def _drain(self, *, durable: bool) -> None:
        deadline = time.perf_counter() + self.spec.drain_s
        while time.perf_counter() < deadline:
            if all((c.durable if durable else c.acked) >= c.sent for c in self.connections):
                return
            self._sample()
            await asyncio.sleep(0.05)

    def _sample(self) -> None:
        batch = self.spec.batch
        sample = Sample(
            time.perf_counter() - self._began,
            sum(c.acked - c.first for c in self.connections) * batch,
            sum(c.durable - c.first for c in self.connections) * batch,
        )
        self._samples.append(sample)
        _say(msgspec.json.encode(sample))


def main() -> None:
    """Run one generator process."""
    spec = msgspec.json.decode(sys.stdin.buffer.readline(), type=LoadSpec)

    async def work() -> LoadReport:
        generator = Generator(spec)
        await generator.open()
        _say(b"ready")
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.readline)
        return await generator.run()

    report = uvloop.run(work())
    _say(b"report " + msgspec.json.encode(report))


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
