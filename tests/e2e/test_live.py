"""Live frames over the real gateway of a whole Outrider."""

import contextlib
import time
import uuid
from collections.abc import AsyncIterator

import msgspec
import numpy as np
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from models.messages.live import LIVE
from outrider.client import ApiProblem, Frame, OutriderClient, Ping, Place
from tests.stack import RunningOutrider, eventually

pytestmark = pytest.mark.long

PASSWORD = "correct horse battery"


@pytest_asyncio.fixture(loop_scope="session")
async def client(outrider_running: RunningOutrider) -> AsyncIterator[OutriderClient]:
    async with OutriderClient(outrider_running.url) as client:
        await client.register("Blue Vans", f"{uuid.uuid4().hex}@outrider.example", PASSWORD)
        yield client


@contextlib.asynccontextmanager
async def a_socket(client: OutriderClient, query: str = "", token: str | None = None):
    address = f"ws{client.url.removeprefix('http')}/api/v1/ws{query}"
    headers = {"Authorization": f"Bearer {token or client.token}"}
    async with connect(address, additional_headers=headers, compression=None, proxy=None) as websocket:
        yield websocket


async def say(websocket, **message):
    await websocket.send(msgspec.json.encode(message).decode())


async def hear(websocket, kind):
    """Return the next message of a kind; the test's own time limit bounds the wait."""
    while True:
        message = await websocket.recv()
        if isinstance(message, bytes):
            if kind == "packed":
                return message
            continue
        said = msgspec.json.decode(message)
        if said["type"] == kind:
            return said


async def frame_with(stream, driver, where=lambda _: True) -> Frame:
    """Return the first frame that shows a driver as wanted."""
    async for frame in stream:
        if any(each.id == driver and where(each) for each in frame.drivers):
            return frame
    raise AssertionError("the stream ended")


async def put(client, driver, latitude, longitude, **more):
    async with client.ingest() as stream:
        await stream.send([Ping(driver_id=driver, latitude=latitude, longitude=longitude, **more)])


def now_ms():
    return time.time_ns() // 1_000_000


async def test_a_ping_reaches_who_looks_at_the_place(client):
    van = await client.create_driver("Van 1", external_id="van-1")
    async with client.subscribe("viewport", bbox=(41.1, -8.7, 41.2, -8.6), interval_ms=20) as stream:
        assert (await anext(stream)).full
        await put(client, "van-1", 41.15, -8.61, speed=8.3, accuracy=5, battery=80)
        frame = await frame_with(stream, van.id)
        seen = frame.drivers[0]
        assert (seen.name, seen.latitude, seen.longitude) == ("Van 1", 41.15, -8.61)
        assert (seen.speed, seen.battery, seen.online) == (8.3, 80, True)
        await put(client, "van-1", 41.15, -8.59, time=now_ms() + 60_000)
        while van.id not in frame.gone:
            frame = await anext(stream)


async def test_the_last_state_always_arrives(client):
    van = await client.create_driver("Van 2")
    base = now_ms() - 100_000
    async with client.subscribe("driver", driver_id=van.id, interval_ms=50) as stream, client.ingest() as pings:
        for step in range(200):
            await pings.send([Ping(driver_id=van.id, latitude=41 + step * 1e-5, longitude=-8, time=base + step * 400)])
        await frame_with(stream, van.id, lambda seen: seen.time == base + 199 * 400)


async def test_frames_are_numbered_and_a_resume_is_answered_in_full(client):
    van = await client.create_driver("Van 3")
    await put(client, van.id, 41.1, -8.1)
    async with a_socket(client) as websocket:
        await say(websocket, type="subscribe", id="map", topic="fleet")
        frames = [await hear(websocket, "frame")]
        while not frames[-1]["drivers"]:
            frames.append(await hear(websocket, "frame"))
        await say(websocket, type="resume", n=0)
        again = await hear(websocket, "frame")
        assert [frame["n"] for frame in [*frames, again]] == list(range(1, len(frames) + 2))
        assert again["full"]
        assert [driver["id"] for driver in again["drivers"]] == [van.id]


async def test_packed_frames_carry_records_and_their_names(client):
    van = await client.create_driver("Van 4")
    await put(client, van.id, 41.1, -8.1)
    async with a_socket(client, "?encoding=packed") as websocket:
        await say(websocket, type="subscribe", id="map", topic="fleet", intervalMs=20)
        names = await hear(websocket, "names")
        packed = await hear(websocket, "packed")
        (number,) = [number for number, driver in names["drivers"].items() if driver["id"] == van.id]
        assert packed[:3] == b"O1\x01"
        records = np.frombuffer(packed, LIVE, offset=16 + len("map"))
        assert records["driver"].tolist() == [int(number)]


async def test_a_delivery_is_followed_with_its_driver(client):
    van = await client.create_driver("Van 5")
    await put(client, van.id, 41.1, -8.1)
    delivery = await client.create_delivery(Place(latitude=41.2, longitude=-8.2))
    async with client.subscribe("delivery", delivery_id=delivery.id, interval_ms=20) as stream:
        first = await anext(stream)
        assert [each["status"] for each in first.deliveries] == ["pending"]
        await client.assign(delivery.id, van.id)
        statuses, drivers = set(), set()
        while "assigned" not in statuses or van.id not in drivers:
            frame = await anext(stream)
            statuses |= {each["status"] for each in frame.deliveries}
            drivers |= {each.id for each in frame.drivers}


async def test_a_delivery_has_the_track_of_those_who_had_it(client):
    first, second = await client.create_driver("Van 20"), await client.create_driver("Van 21")
    delivery = await client.create_delivery(Place(latitude=41.2, longitude=-8.2), driver=first.id)
    await put(client, first.id, 41.11, -8.1)
    await put(client, second.id, 41.12, -8.1)  # not its driver yet
    await client.assign(delivery.id, second.id)
    await put(client, first.id, 41.13, -8.1)  # no more its driver
    await put(client, second.id, 41.14, -8.1)
    track = {"count": 0}
    while track["count"] < 2:
        track = await client.delivery_track(delivery.id, now_ms() - 60_000, now_ms())
    assert (track["deliveryId"], track["latitude"]) == (delivery.id, [41.11, 41.14])


async def test_where_a_driver_was_is_told_for_any_instant(client):
    van = await client.create_driver("Van 22")
    start = now_ms() - 600_000
    await put(client, van.id, 41.10, -8.1, time=start)
    await put(client, van.id, 41.12, -8.1, time=start + 120_000)
    await put(client, van.id, 41.11, -8.1, time=start + 60_000)  # came late

    async def has_all() -> bool:
        return (await client.track(van.id, start, start + 200_000))["count"] == 3

    await eventually(has_all)
    seen = [await client.live_at(van.id, start + after_s * 1000) for after_s in (0, 59, 61, 119, 130)]
    assert [round(each.latitude, 2) for each in seen] == [41.10, 41.10, 41.11, 41.11, 41.12]
    with pytest.raises(ApiProblem, match="404"):
        await client.live_at(van.id, start - 1)


async def test_alerts_bring_events(client):
    van = await client.create_driver("Van 6")
    delivery = await client.create_delivery(Place(latitude=41.2, longitude=-8.2))
    async with client.subscribe("alerts", interval_ms=20) as stream:
        await anext(stream)
        await client.assign(delivery.id, van.id)
        while True:
            frame = await anext(stream)
            if any(event["type"] == "delivery.assigned" for event in frame.events):
                break


async def test_no_tenant_sees_another(client, outrider_running):
    van = await client.create_driver("Van 7")
    async with OutriderClient(outrider_running.url) as other:
        await other.register("Red Vans", f"{uuid.uuid4().hex}@outrider.example", PASSWORD)
        own = await other.create_driver("Red 1")
        async with other.subscribe("fleet", interval_ms=20) as stream:
            await anext(stream)
            await put(client, van.id, 41.1, -8.1)
            await put(other, own.id, 41.1, -8.1)
            frame = await frame_with(stream, own.id)
            assert {driver.id for driver in frame.drivers} == {own.id}
        async with a_socket(other) as websocket:
            await say(websocket, type="subscribe", id="spy", topic="driver", driverId=van.id)
            assert (await hear(websocket, "error"))["code"] == "not-found"


async def test_a_device_key_sees_its_driver_alone(client):
    mine, other = await client.create_driver("Van 8"), await client.create_driver("Van 9")
    key = await client.create_key("device", "phone", driver=mine.id)
    await put(client, other.id, 41.1, -8.1)
    await put(client, mine.id, 41.1, -8.1)
    async with a_socket(client, token=key) as websocket:
        await say(websocket, type="subscribe", id="all", topic="fleet", intervalMs=20)
        frame = await hear(websocket, "frame")
        while not frame["drivers"]:
            frame = await hear(websocket, "frame")
        assert [driver["id"] for driver in frame["drivers"]] == [mine.id]
        await say(websocket, type="subscribe", id="spy", topic="driver", driverId=other.id)
        assert (await hear(websocket, "error"))["code"] == "not-found"


async def closes_with(websocket) -> int:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await websocket.recv()
    return websocket.close_code


@pytest.mark.parametrize(
    ("message", "code"), [("{broken", 1007), (b"\xff\xfe", 1007), ('{"pad":"' + "x" * 40_000 + '"}', 1009)]
)
async def test_garbage_ends_the_connection_with_a_reason(client, message, code):
    async with a_socket(client) as websocket:
        await websocket.send(message)
        assert await closes_with(websocket) == code


async def test_a_wrong_token_is_told_and_closed_with_1008(client):
    async with a_socket(client, token="nonsense") as websocket:
        assert (await hear(websocket, "error"))["code"] == "not-authenticated"
        assert await closes_with(websocket) == 1008


@pytest.mark.parametrize(
    "message",
    [
        {"type": "subscribe", "id": "m", "topic": "viewport"},
        {"type": "subscribe", "id": "m", "topic": "viewport", "bbox": [42, 0, 41, 1]},
        {"type": "subscribe", "id": "m", "topic": "weather"},
        {"type": "subscribe", "id": "", "topic": "fleet"},
        {"type": "sing"},
        {},
        [],
    ],
    ids=str,
)
async def test_a_wrong_wish_is_refused_and_the_connection_goes_on(client, message):
    async with a_socket(client) as websocket:
        await websocket.send(msgspec.json.encode(message).decode())
        assert (await hear(websocket, "error"))["code"] == "invalid-input"
        await say(websocket, type="ping")
        await hear(websocket, "pong")


async def test_a_token_may_come_as_first_message_or_subprotocol(client):
    address = f"ws{client.url.removeprefix('http')}/api/v1/ws"
    async with connect(address, proxy=None) as websocket:
        await say(websocket, type="authenticate", token=client.token)
        await hear(websocket, "connection_established")
    async with connect(address, proxy=None, subprotocols=["outrider", client.token]) as websocket:
        await hear(websocket, "connection_established")
        assert websocket.subprotocol == "outrider"


async def test_a_connection_has_so_many_subscriptions_and_no_more(client):
    async with a_socket(client) as websocket:
        for number in range(65):
            await say(websocket, type="subscribe", id=f"s{number}", topic="alerts")
        assert (await hear(websocket, "error"))["code"] == "invalid-input"


async def test_who_does_not_read_holds_up_nobody_and_is_cut_off(client):
    """The deaf one asks for full frames all the time; the other must see each state, and the deaf one's end comes."""
    vans = await client.create_drivers({f"van-{number}": f"Van {number}" for number in range(300)})
    base = now_ms() - 200_000
    async with client.ingest() as pings:
        await pings.send([Ping(driver_id=van.id, latitude=41, longitude=-8, time=base) for van in vans])
    async with a_socket(client) as deaf, client.subscribe("driver", driver_id=vans[0].id, interval_ms=20) as stream:
        await say(deaf, type="subscribe", id="map", topic="fleet", intervalMs=20)
        await hear(deaf, "frame")
        deaf.transport.pause_reading()
        slowest_s, is_cut = 0.0, False
        async with client.ingest() as pings:
            for step in range(1, 1000):
                is_cut = not await can_say(deaf, type="resume", n=0)
                if is_cut:
                    break
                begun = time.monotonic()
                ping = Ping(driver_id=vans[0].id, latitude=41 + step * 1e-6, longitude=-8, time=base + step * 200)
                await pings.send([ping])
                await frame_with(stream, vans[0].id, lambda seen, last=ping.time: seen.time == last)
                slowest_s = max(slowest_s, time.monotonic() - begun)
        assert is_cut
        assert slowest_s < 3


async def can_say(websocket, **message) -> bool:
    try:
        await say(websocket, **message)
    except ConnectionClosed:
        return False
    return True


async def test_a_driver_who_is_renamed_or_deleted_is_so_on_every_map(client):
    van = await client.create_driver("Van 9", external_id="van-9")
    async with client.subscribe("fleet", interval_ms=20) as stream:
        await put(client, "van-9", 41.15, -8.61)
        await frame_with(stream, van.id)
        await client.change_driver(van.id, name="Van nine")
        await frame_with(stream, van.id, lambda each: each.name == "Van nine")
        await client.delete_driver(van.id)
        async for frame in stream:
            if van.id in frame.gone:
                break
    async with client.subscribe("fleet", interval_ms=20) as stream:
        assert van.id not in {each.id for each in (await anext(stream)).drivers}
    with pytest.raises(ApiProblem, match=r"404|no driver"):
        await client.live(van.id)
