"""What the load tool puts on the wire is what a server reads from it."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol
from websockets.streams import StreamReader

from bench import wire
from bench.fleet import Clock, Fleet
from models.messages.fixes import DEGREE, FIX

DRIVERS = [f"drv_{place:026d}" for place in range(7)]


def parse(data: bytes, *, mask: bool) -> Frame:
    """Return the one frame in `data`, by the `websockets` library."""
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    parsing = Frame.parse(reader.read_exact, mask=mask)
    with pytest.raises(StopIteration) as done:
        next(parsing)
    frame: Frame = done.value.value
    return frame


@given(st.one_of(st.binary(max_size=300), st.integers(65_000, 66_000).map(bytes)))
def test_a_client_frame_is_one_masked_binary_message(payload: bytes) -> None:
    frame = parse(wire.client_frame(wire.BINARY, payload[:10], payload[10:]), mask=True)
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.BINARY, True, payload)


@given(payloads=st.lists(st.binary(max_size=300), max_size=8), cuts=st.lists(st.integers(1, 60), min_size=1))
def test_messages_of_a_server_survive_any_cut(payloads: list[bytes], cuts: list[int]) -> None:
    data = b"".join(Frame(Opcode.BINARY, payload).serialize(mask=False) for payload in payloads)
    reader, found, at = wire.FrameReader(), [], 0
    for cut in cuts * (len(data) + 1):
        found += reader.feed(data[at : at + cut])
        at += cut
        if at >= len(data):
            break
    assert found == [(wire.BINARY, payload) for payload in payloads]


def test_a_fragmented_message_comes_as_one() -> None:
    parts = [Frame(Opcode.TEXT, b"a", fin=False), Frame(Opcode.PING, b"p"), Frame(Opcode.CONT, b"b")]
    data = b"".join(part.serialize(mask=False) for part in parts)
    assert wire.FrameReader().feed(data) == [(wire.PING, b"p"), (wire.TEXT, b"ab")]


def test_the_handshake_is_accepted_by_a_server() -> None:
    server = ServerProtocol()
    server.receive_data(wire.handshake("127.0.0.1", 80, "/live", "secret"))
    [request] = server.events_received()
    assert server.accept(request).status_code == 101  # type: ignore[arg-type]  # the only event there is
    assert request.headers["Authorization"] == "Bearer secret"  # type: ignore[union-attr]  # a request


def test_rows_and_records_say_the_same() -> None:
    fixes = Fleet(7, 0, 7).fixes(Clock(1_760_000_000_000.0, 10.0), 0, 20)
    fixes["driver"] = np.arange(20) % 7
    rows = msgspec.msgpack.decode(wire.packed_rows(fixes, DRIVERS))
    before, after = wire.packed_head(DRIVERS, fixes.nbytes)
    frame = msgspec.msgpack.decode(before + (5).to_bytes(4, "big") + after + fixes.tobytes())
    records = np.frombuffer(frame["packed"], FIX)
    assert frame["seq"] == 5
    for row, record in zip(rows, records, strict=True):
        assert row["driverId"] == frame["drivers"][record["driver"]]
        assert (row["time"], row["sequence"]) == (record["time"], record["seq"])
        assert row["latitude"] == record["lat"] / DEGREE
        assert row["speed"] == record["speed"]
    plain = msgspec.json.decode(wire.json_rows(fixes, DRIVERS))["pings"]
    assert [ping["sequence"] for ping in plain] == [row["sequence"] for row in rows]
