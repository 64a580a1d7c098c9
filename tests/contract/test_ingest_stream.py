"""The ingest stream over real sockets, on each of its two kinds of socket: acknowledgements, refusals, bad clients."""

import asyncio
import contextlib
import gzip
import os
import struct

import httpx2
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed

from api.ingest.takeover import TakeoverProtocol
from tests.door import a_ping, acknowledged, hear, now_ms, packed_fixes, running_door
from tests.stack import eventually

pack = msgspec.msgpack.encode


@pytest.fixture(params=[TakeoverProtocol, "websockets-sansio"], ids=["own-socket", "asgi"])
async def door(request, stores, prefix, tenant):
    async with running_door(stores, prefix, tenant, request.param) as running:
        yield running


async def closed(stream):
    async with asyncio.timeout(15):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await stream.recv()
    return stream.close_code


async def test_rows_in_json_and_msgpack_and_packed_records_are_accepted(door):
    async with door.stream() as stream:
        assert (await hear(stream))["type"] == "connection_established"
        await stream.send(msgspec.json.encode({"seq": 1, "pings": [a_ping(door.drivers[0], speed=3.5)]}).decode())
        assert await acknowledged(stream, 1) == []
        await stream.send(pack({"seq": 2, "pings": [a_ping("van-1")]}))
        assert await acknowledged(stream, 2) == []
        packed = packed_fixes(9, 3).tobytes()
        await stream.send(pack({"seq": 3, "drivers": door.drivers, "packed": packed}))
        assert await acknowledged(stream, 3) == []
    fixes = await door.logged()
    assert len(fixes) == 11
    refs = await door.services.registry.resolve(door.tenant, door.drivers)
    assert set(fixes["driver"].tolist()) == {ref.number for ref in refs.values()}
    assert set(fixes["source"].tolist()) == {1}


async def test_bad_pings_are_refused_by_index_and_the_rest_goes_on(door):
    pings = [
        a_ping(door.drivers[0]),
        a_ping(door.drivers[0], latitude=95),
        a_ping("nobody"),
        a_ping(door.drivers[1], time=now_ms() + 3_600_000),
        a_ping(door.drivers[1], longitude="west"),
        a_ping(None),
    ]
    async with door.stream() as stream:
        await hear(stream)
        await stream.send(msgspec.json.encode({"seq": 7, "pings": pings}).decode())
        refused = await acknowledged(stream, 7)
    assert [(one["seq"], one["index"], one["reason"], one["field"]) for one in refused] == [
        (7, 1, "out-of-range", "latitude"),
        (7, 2, "unknown-driver", "driverId"),
        (7, 3, "in-the-future", "time"),
        (7, 4, "wrong-type", "longitude"),
        (7, 5, "missing", "driverId"),
    ]
    assert len(await door.logged()) == 1


async def test_a_device_speaks_for_itself_alone(door):
    async with door.stream(door.device) as stream:
        await hear(stream)
        await stream.send(pack({"seq": 1, "pings": [a_ping(), a_ping(door.drivers[1]), a_ping("nobody")]}))
        refused = await acknowledged(stream, 1)
    assert [(one["index"], one["reason"]) for one in refused] == [(1, "not-your-driver"), (2, "not-your-driver")]


async def test_packed_refusals_name_the_record(door):
    fixes = packed_fixes(4, 2)
    fixes["lat"][1] = 2**31 - 1
    fixes["driver"][3] = 2
    async with door.stream() as stream:
        await hear(stream)
        await stream.send(pack({"seq": 1, "drivers": [door.drivers[0], "nobody"], "packed": fixes.tobytes()}))
        refused = await acknowledged(stream, 1)
    assert [(one["index"], one["reason"]) for one in refused] == [
        (1, "unknown-driver"),
        (3, "unknown-driver"),
    ]
    assert len(await door.logged()) == 2


async def test_durable_follows_history_and_a_session_is_resumed(door):
    async with door.stream(query="?session=van-stream") as stream:
        await hear(stream)
        await stream.send(pack({"seq": 5, "pings": [a_ping(door.drivers[0])]}))
        await acknowledged(stream, 5)
        await door.history_catches_up()
        said = await asyncio.wait_for(hear(stream), 5)
        assert (said["seq"], said["durable"]) == (5, 5)
    async with door.stream(query="?session=van-stream") as stream:
        hello = await hear(stream)
        assert (hello["session"], hello["accepted"], hello["durable"]) == ("van-stream", 5, 5)
        await stream.send(pack({"seq": 6, "pings": [a_ping(door.drivers[0])]}))
        await acknowledged(stream, 6)
    async with door.stream(door.device, query="?session=van-stream") as stream:
        assert (await hear(stream))["accepted"] == 0


async def test_frames_before_the_greeting_are_taken_in_order(door):
    async with door.stream("") as stream:
        await stream.send(msgspec.json.encode({"type": "authenticate", "token": door.gateway}).decode())
        for seq in range(1, 51):
            await stream.send(pack({"seq": seq, "pings": [a_ping(door.drivers[seq % 3], sequence=seq)]}))
        assert (await hear(stream))["type"] == "connection_established"
        assert await acknowledged(stream, 50) == []
    assert sorted((await door.logged())["seq"].tolist()) == list(range(1, 51))


async def test_ping_is_answered(door):
    async with door.stream() as stream:
        await hear(stream)
        await stream.send('{"type":"ping"}')
        assert await hear(stream) == {"type": "pong"}
        await (await stream.ping())


@pytest.mark.parametrize("token", ["wrong", "ork_" + "0" * 26 + "_" + "0" * 64])
async def test_a_wrong_token_is_told_so(door, token):
    async with door.stream(token) as stream:
        assert await closed(stream) == 1008


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\xc1\xc1\xc1", 1007),
        ("{", 1007),
        ('{"seq":1}', 1007),
        ('{"seq":"one","pings":[]}', 1007),
        (pack({"seq": 1, "drivers": [], "packed": b"odd"}), 1007),
        (pack({"seq": 1, "pings": [1] * 5001}), 1009),
        (bytes(8 * 2**20 + 1), 1009),
    ],
)
async def test_garbage_closes_its_own_stream_alone(door, message, code):
    async with door.stream() as good, door.stream(write_limit=2**24) as bad:
        await hear(good)
        await hear(bad)
        await bad.send(message)
        assert await closed(bad) == code
        await good.send(pack({"seq": 1, "pings": [a_ping(door.drivers[0])]}))
        assert await acknowledged(good, 1) == []


async def test_seq_has_to_rise(door):
    async with door.stream() as stream:
        await hear(stream)
        for _ in range(2):
            await stream.send(pack({"seq": 1, "pings": []}))
        assert await closed(stream) == 1007


async def test_a_fragmented_message_is_one(door):
    data = pack({"seq": 1, "drivers": door.drivers, "packed": packed_fixes(100, 3).tobytes()})
    async with door.stream() as stream:
        await hear(stream)
        await stream.send([data[at : at + 1000] for at in range(0, len(data), 1000)])
        assert await acknowledged(stream, 1) == []


async def test_bytes_that_trickle_in_are_put_together(door):
    _, writer = await door.raw_stream()
    payload = pack({"seq": 1, "pings": [a_ping(door.drivers[0])] * 2})
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    for byte in b"\x82" + bytes([0x80 | 126]) + struct.pack("!H", len(payload)) + mask + masked:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)
    await eventually(lambda: door.services.appender.accepted == 2)
    writer.close()


async def test_an_unmasked_frame_ends_the_connection(door):
    reader, writer = await door.raw_stream()
    writer.write(b"\x82\x7d" + bytes(125))
    received = await asyncio.wait_for(reader.read(), 15)
    assert b"\x88" in received
    assert (1002).to_bytes(2, "big") in received
    writer.close()


async def test_a_client_that_reads_no_acknowledgements_is_cut_off_and_memory_stays_bounded(door):
    _, writer = await door.raw_stream()
    writer.transport.pause_reading()
    ping = b'{"type":"ping"}'
    frame = b"\x81" + bytes([0x80 | len(ping)]) + bytes(4) + ping

    async def flood():
        while True:
            writer.write(frame * 5000)
            await writer.drain()

    with pytest.raises((ConnectionError, TimeoutError)):
        await asyncio.wait_for(flood(), 60)
    writer.transport.abort()
    async with door.stream() as other:
        await hear(other)
        await other.send(pack({"seq": 1, "pings": [a_ping(door.drivers[0])]}))
        assert await acknowledged(other, 1) == []


async def test_a_saturated_engine_says_busy(door, monkeypatch):
    async with door.stream() as stream:
        await hear(stream)
        monkeypatch.setattr(door.services.appender.watermark, "lag_s", lambda: 1e9)
        await stream.send(pack({"seq": 1, "pings": [a_ping(door.drivers[0])]}))
        said = await hear(stream)
        assert said["type"] == "busy"
        assert said["retryAfter"] > 0
        assert await closed(stream) == 1013


async def test_a_restarted_log_asks_for_what_is_not_durable(door):
    async with door.stream(query="?session=restart") as stream:
        await hear(stream)
        await stream.send(pack({"seq": 1, "pings": [a_ping(door.drivers[0])]}))
        await acknowledged(stream, 1)
        for lose in door.services.appender.watermark.on_loss:
            lose()
        assert await closed(stream) == 1012
    async with door.stream(query="?session=restart") as stream:
        assert (await hear(stream))["accepted"] == 0


async def test_many_streams_at_once(door):
    async def one(number):
        async with door.stream() as stream:
            await hear(stream)
            for seq in range(1, 6):
                await stream.send(pack({"seq": seq, "pings": [a_ping(door.drivers[number % 3], sequence=seq)]}))
            return await acknowledged(stream, 5)

    refused = await asyncio.gather(*[one(number) for number in range(40)])
    assert not any(refused)
    assert len(await door.logged()) == 200


class TestBatches:
    """`POST /api/v1/pings`."""

    async def post(self, door, content, token=None, query="", **headers):
        async with httpx2.AsyncClient(base_url=door.url, trust_env=False) as http:
            return await http.post(
                f"/api/v1/pings{query}",
                content=content,
                headers={"Authorization": f"Bearer {token or door.gateway}"} | headers,
            )

    async def test_a_batch_is_accepted_and_bad_pings_are_named(self, door):
        body = msgspec.json.encode({"pings": [a_ping(door.drivers[0]), a_ping(door.drivers[1], heading=500)]})
        answer = await self.post(door, body, **{"Content-Type": "application/json"})
        assert answer.status_code == 200
        assert answer.json() == {
            "accepted": 1,
            "refused": [{"index": 1, "reason": "out-of-range", "field": "heading"}],
            "durable": False,
        }

    async def test_packed_msgpack_in_gzip(self, door):
        body = gzip.compress(pack({"drivers": door.drivers, "packed": packed_fixes(300, 3).tobytes()}))
        headers = {"Content-Type": "application/msgpack", "Content-Encoding": "gzip"}
        assert (await self.post(door, body, **headers)).json()["accepted"] == 300

    async def test_waiting_for_durable(self, door):
        body = msgspec.json.encode({"pings": [a_ping(door.drivers[0])]})
        asking = asyncio.ensure_future(self.post(door, body, query="?ack=durable"))
        await eventually(lambda: door.services.appender.accepted == 1)
        await door.history_catches_up()
        assert (await asking).json()["durable"] is True

    @pytest.mark.parametrize(
        ("content", "headers", "status"),
        [
            (b"{", {}, 400),
            (b'{"pings":3}', {}, 400),
            (b"{}", {}, 400),
            (b"x", {"Content-Type": "text/csv"}, 415),
            (b"\x1f\x8b\x08", {"Content-Encoding": "gzip"}, 400),
            (gzip.compress(bytes(50_000_000)), {"Content-Encoding": "gzip"}, 413),
            (bytes(10 * 2**20), {}, 413),
            (b"{}", {"Content-Encoding": "br"}, 422),
        ],
    )
    async def test_bad_bodies_are_problems(self, door, content, headers, status):
        answer = await self.post(door, content, **headers)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"

    async def test_no_token_is_401_and_saturation_503(self, door, monkeypatch):
        assert (await self.post(door, b"{}", token="wrong")).status_code == 401
        monkeypatch.setattr(door.services.appender.watermark, "lag_s", lambda: 1e9)
        answer = await self.post(door, b"{}")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
