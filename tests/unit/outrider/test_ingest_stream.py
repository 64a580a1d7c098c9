"""The ingest stream against a WebSocket server of ours that drops connections as it is told."""

import asyncio
import contextlib

import msgspec
import pytest
from websockets.asyncio.server import serve

from outrider.client import IngestStream, Ping, StreamEnded
from tests.stack import eventually


class Door:
    """Speaks the ingest protocol of docs/architecture.md; keeps what it was sent."""

    def __init__(self):
        self.received = []
        self.established = []
        self.accepted = 0
        self.durable = 0
        self.answering = True
        self.close_with = None
        self.connections = set()

    async def talk(self, connection):
        self.connections.add(connection)
        if self.close_with is not None:
            await connection.close(*self.close_with)
            return
        hello = {"type": "connection_established", "session": "s", "accepted": 0, "durable": self.durable}
        await connection.send(msgspec.json.encode(hello).decode())
        async for message in connection:
            frame = msgspec.msgpack.decode(message)
            self.received.append(frame["seq"])
            if self.answering:
                await self.acknowledge(connection, frame["seq"])

    async def acknowledge(self, connection, seq, refused=()):
        answer = {"type": "ack", "seq": seq, "durable": self.durable, "refused": list(refused)}
        await connection.send(msgspec.msgpack.encode(answer))


@contextlib.asynccontextmanager
async def a_door():
    door = Door()
    async with serve(door.talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield door, f"http://127.0.0.1:{port}"


PING = Ping(driver_id="van", latitude=41.0, longitude=-8.0, time=1)


async def test_what_is_acknowledged_but_not_durable_is_sent_again():
    async with a_door() as (door, url), IngestStream(url, "token") as stream:
        for _ in range(3):
            await stream.send([PING])
        await stream.drain()
        door.durable = 1
        await next(iter(door.connections)).close()
        await eventually(lambda: stream.reconnects == 1 and len(door.received) == 5)
        assert door.received == [1, 2, 3, 2, 3]
        assert (stream.acked, stream.durable) == (3, 1)


async def test_durable_frames_are_forgotten_and_make_room():
    async with a_door() as (door, url):
        stream = IngestStream(url, "token", max_waiting_pings=2)
        async with stream:
            await stream.send([PING])
            await stream.send([PING])
            third = asyncio.ensure_future(stream.send([PING]))
            await stream.drain()
            assert not third.done()
            door.durable = 1
            await door.acknowledge(next(iter(door.connections)), 2)
            assert await third == 3


async def test_a_refusal_is_counted_once_even_when_its_frame_is_sent_twice():
    refusal = {"seq": 1, "index": 0, "reason": "out-of-range", "field": "latitude"}
    async with a_door() as (door, url), IngestStream(url, "token") as stream:
        door.answering = False
        await stream.send([PING])
        connection = await eventually(lambda: door.received and next(iter(door.connections)))
        await door.acknowledge(connection, 1, [refusal])
        await stream.drain()
        await connection.close()
        await eventually(lambda: len(door.received) == 2)
        newest = await eventually(lambda: next((each for each in door.connections if each is not connection), None))
        await door.acknowledge(newest, 1, [refusal])
        door.answering = True
        await stream.send([PING])
        await stream.drain()
        assert dict(stream.refused) == {"out-of-range": 1}


async def test_a_wrong_token_ends_the_stream_at_once():
    async with a_door() as (door, url):
        door.close_with = (1008, "no valid token")
        with pytest.raises(StreamEnded, match="1008"):
            await IngestStream(url, "wrong").__aenter__()


async def test_frames_that_the_server_cannot_read_are_not_sent_for_ever():
    async with a_door() as (door, url):
        stream = IngestStream(url, "token")
        await stream.__aenter__()
        door.answering = False
        await stream.send([PING])
        connection = await eventually(lambda: door.received and next(iter(door.connections)))
        await connection.close(1007, "broken")
        with pytest.raises(StreamEnded, match="1007"):
            await stream.drain()
        await stream.close()
