"""Phone apps and trackers as they really send, against the running door: answers, units, unknown devices."""

import base64
import contextlib

import httpx2
import numpy as np
import pytest
from pymongo.errors import DuplicateKeyError

from models.documents.user import User
from models.messages.fixes import Source
from tests.door import now_ms, running_door
from tests.rest import Caller

SECOND = now_ms() // 1000


@pytest.fixture
async def door(stores, prefix, tenant):
    async with running_door(stores, prefix, tenant, "websockets-sansio") as running:
        yield running


@pytest.fixture
async def http(door):
    async with httpx2.AsyncClient(base_url=f"{door.url}/api/v1", trust_env=False) as client:
        yield client


def owntracks_location(**fields):
    return {"_type": "location", "lat": 41.15, "lon": -8.61, "tst": SECOND, "vel": 36, "acc": 8, "batt": 57} | fields


def overland_batch(device, count=2):
    feature = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [-8.61, 41.15]},
        "properties": {"timestamp": "2026-06-15T15:06:40Z", "speed": 10, "battery_level": 0.5, "device_id": device},
    }
    return {"locations": [feature] * count}


async def only_fix(door):
    (fix,) = await door.logged()
    return fix


async def test_osmand_query_in_knots(door, http):
    query = {"id": "van-0", "lat": 41.15, "lon": -8.61, "timestamp": SECOND, "speed": 10, "batt": 80}
    answer = await http.get(f"/devices/osmand/{door.gateway}", params=query)
    assert (answer.status_code, answer.content) == (200, b"")
    fix = await only_fix(door)
    assert fix["speed"] == pytest.approx(5.1444, abs=1e-3)
    assert (fix["time"], fix["source"], fix["battery"]) == (SECOND * 1000, Source.OSMAND, 80)


async def test_traccar_client_form_and_json(door, http):
    form = {"id": "van-0", "lat": "41.15", "lon": "-8.61", "timestamp": str(SECOND), "speed": "10"}
    assert (await http.post(f"/devices/osmand/{door.device}", data=form)).status_code == 200
    nine = {
        "device_id": "whatever",
        "location": {
            "timestamp": "2026-06-15T15:06:40.000Z",
            "coords": {"latitude": 41.15, "longitude": -8.61, "speed": 10, "heading": -1, "accuracy": 5},
            "battery": {"level": 0.4},
        },
    }
    assert (await http.post(f"/devices/osmand/{door.device}", json=nine)).status_code == 200
    fixes = np.sort(await door.logged(), order="source")
    assert fixes["speed"].tolist() == pytest.approx([5.1444, 10.0], abs=1e-3)
    assert np.isnan(fixes["heading"]).all()


async def test_owntracks_with_basic_auth_in_kmh(door, http):
    basic = base64.b64encode(f"joana:{door.gateway}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "X-Limit-U": "joana", "X-Limit-D": "van-1"}
    answer = await http.post("/devices/owntracks", json=owntracks_location(), headers=headers)
    assert answer.json() == []
    assert (await only_fix(door))["speed"] == pytest.approx(10.0)
    for body in ({"_type": "waypoints"}, {"_type": "lwt", "tst": 1}, owntracks_location(lat=None)):
        assert (await http.post("/devices/owntracks", json=body, headers=headers)).json() == []
    assert (await http.post("/devices/owntracks", content=b"", headers=headers)).json() == []


async def test_overland_with_bearer_in_metres_a_second(door, http):
    headers = {"Authorization": f"Bearer {door.gateway}"}
    answer = await http.post("/devices/overland", json=overland_batch("van-2"), headers=headers)
    assert answer.json() == {"result": "ok"}
    assert (await door.logged())["speed"].tolist() == [10.0, 10.0]


async def test_gpslogger_in_metres_a_second(door, http):
    query = {"lat": 41.15, "lon": -8.61, "timestamp": SECOND, "spd": 10, "acc": 5, "id": "van-0"}
    assert (await http.get(f"/devices/gpslogger/{door.gateway}", params=query)).status_code == 200
    assert (await only_fix(door))["speed"] == 10.0


@pytest.mark.parametrize("protocol", ["osmand", "owntracks", "overland", "gpslogger"])
async def test_bad_fixes_and_garbage_are_answered_with_success(door, http, protocol):
    for body in (b"", b"{", b"[1,2]", b"\xff\xfe", b'{"lat":"x","lon":1,"tst":1,"_type":"location"}'):
        headers = {"Content-Type": "application/json"}
        answer = await http.post(f"/devices/{protocol}/{door.device}", content=body, headers=headers)
        assert answer.status_code == 200, (body, answer.text)
    assert not len(await door.logged())


@pytest.mark.parametrize("protocol", ["osmand", "owntracks", "overland", "gpslogger"])
async def test_a_wrong_token_is_401_and_overload_503(door, http, protocol, monkeypatch):
    assert (await http.post(f"/devices/{protocol}/wrong", json={})).status_code == 401
    assert (await http.post(f"/devices/{protocol}", json={})).status_code in (401, 404)
    monkeypatch.setattr(door.services.appender.watermark, "lag_s", lambda: 1e9)
    answer = await http.post(f"/devices/{protocol}/{door.device}", json=owntracks_location())
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


async def test_an_unknown_device_waits_in_quarantine_until_it_is_claimed(door, http):
    for _ in range(3):
        answer = await http.post(f"/devices/overland/{door.gateway}", json=overland_batch("new-phone"))
        assert answer.json() == {"result": "ok"}
    assert not len(await door.logged())

    admin = await admin_of(door)
    (waiting,) = (await admin.ask("GET", "quarantine")).json()["items"]
    assert (waiting["device"], waiting["count"]) == ("new-phone", 6)
    answer = await admin.ask("POST", "quarantine/new-phone/claim", json={"driverId": door.drivers[2]})
    assert answer.json() == {"driverId": door.drivers[2], "accepted": 6}
    assert len(await door.logged()) == 6
    assert (await admin.ask("GET", "quarantine")).json()["items"] == []

    await http.post(f"/devices/overland/{door.gateway}", json=overland_batch("new-phone", 1))
    fixes = await door.logged()
    assert len(fixes) == 7
    assert len(set(fixes["driver"].tolist())) == 1


async def test_nobody_sees_or_claims_what_is_not_his(door, http):
    await http.post(f"/devices/overland/{door.gateway}", json=overland_batch("new-phone"))
    stranger = await caller_of(door).registered()
    assert (await stranger.ask("GET", "quarantine")).json()["items"] == []
    own = await stranger.make("drivers", {"name": "a van"})
    answer = await stranger.ask("POST", "quarantine/new-phone/claim", json={"driverId": own["id"]})
    assert answer.status_code == 404
    answer = await (await admin_of(door)).ask("POST", "quarantine/new-phone/claim", json={"driverId": own["id"]})
    assert answer.status_code == 422
    gateway = caller_of(door, door.gateway)
    assert (await gateway.ask("GET", "quarantine")).status_code == 403


def caller_of(door, token=None):
    return Caller(httpx2.AsyncClient(base_url=door.url, trust_env=False), token)


async def admin_of(door):
    """Return an admin of the door's own tenant."""
    user = User(
        id=f"usr_{door.tenant[4:]}",
        tenant=door.tenant,
        email=f"{door.tenant}@test.pt",
        password_hash="none",
        role="admin",
    )
    with contextlib.suppress(DuplicateKeyError):
        await door.services.database.users.insert_one(user.stored())
    return caller_of(door, door.services.authenticator.issue(user)[0])
