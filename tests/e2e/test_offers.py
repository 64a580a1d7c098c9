"""Offers through a whole Outrider: positions in the shards, timers in the host, frames to those who watch."""

import contextlib
import datetime

import httpx2
import msgspec
from websockets.asyncio.client import connect

from models.documents.document import now
from tests.rest import Caller
from tests.stack import RunningOutrider, eventually

PORTO = {"latitude": 41.15, "longitude": -8.61}


@contextlib.asynccontextmanager
async def watching(outrider: RunningOutrider, caller: Caller, topic: str, **wish):
    """Subscribe to a topic over the live WebSocket."""
    address = f"ws{outrider.url.removeprefix('http')}/api/v1/ws"
    headers = {"Authorization": f"Bearer {caller.token}"}
    async with connect(address, additional_headers=headers, compression=None, proxy=None) as websocket:
        await websocket.send(msgspec.json.encode({"type": "subscribe", "id": "x", "topic": topic} | wish).decode())
        await frame_where(websocket, lambda frame: frame["full"])
        yield websocket


async def frame_where(websocket, wanted):
    """Return the first frame that is as wanted; the test's own time limit bounds the wait."""
    while True:
        message = msgspec.json.decode(await websocket.recv())
        if message["type"] == "frame" and wanted(message):
            return message


async def told(websocket, kind):
    """Return the data of the first event of a kind."""
    frame = await frame_where(websocket, lambda frame: any(event["type"] == kind for event in frame["events"]))
    return next(event["data"] for event in frame["events"] if event["type"] == kind)


async def a_van(admin: Caller, name: str, north: float):
    """Return a driver who is that far north of the pickup, and its phone."""
    driver = await admin.make("drivers", {"name": name})
    phone = admin.with_token((await admin.make("keys", {"kind": "device", "driverId": driver["id"]}))["key"])
    ping = {"time": now().isoformat(), "latitude": PORTO["latitude"] + north, "longitude": PORTO["longitude"]}
    item = ping | {"type": "ping", "id": "1"}
    uploaded = await phone.ask("POST", "driver-app/batch", json={"items": [item]})
    assert uploaded.json()["items"][0]["outcome"] == "done", uploaded.text

    async def is_seen():
        return (await admin.ask("GET", f"drivers/{driver['id']}/live")).status_code == 200

    await eventually(is_seen, 20)
    return driver["id"], phone


async def test_silence_passes_an_offer_on_and_all_who_watch_hear_of_it(outrider_running: RunningOutrider):
    async with httpx2.AsyncClient(base_url=outrider_running.url, timeout=30) as http:
        admin = await Caller(http).registered()
        near, silent = await a_van(admin, "near", 0.001)
        next_one, phone = await a_van(admin, "next", 0.005)
        await a_van(admin, "far", 0.5)
        delivery = await admin.make("deliveries", {"pickup": PORTO, "dropoff": PORTO})
        async with (
            watching(outrider_running, silent, "alerts") as to_silent,
            watching(outrider_running, phone, "alerts") as to_next,
            watching(outrider_running, admin, "delivery", deliveryId=delivery["id"]) as to_office,
        ):
            begun = await admin.make(f"deliveries/{delivery['id']}/offers", {"timeLimitS": 5})
            assert [one["driverId"] for one in begun["offers"]] == [near]
            first = await told(to_silent, "offer.made")
            assert (first["deliveryId"], first["driverId"]) == (delivery["id"], near)
            second = await told(to_next, "offer.made")  # the first one's time is over: the host's timer says so
            assert second["driverId"] == next_one
            asked = datetime.datetime.fromtimestamp(first["until"] / 1000, tz=datetime.UTC)
            assert now() >= asked
            assert (await silent.ask("POST", f"offers/{first['offerId']}/accept")).status_code == 409
            taken = await phone.ask("POST", f"offers/{second['offerId']}/accept")
            assert (taken.status_code, taken.json()["driverId"]) == (200, next_one)
            seen = await frame_where(
                to_office, lambda frame: any(one["status"] == "accepted" for one in frame["deliveries"])
            )
            assert seen["deliveries"][0]["driverId"] == next_one
            assert (await told(to_next, "delivery.accepted"))["deliveryId"] == delivery["id"]
