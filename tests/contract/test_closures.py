"""Closures: what a company closes is driven around by its plans, lines and estimates, while it is closed."""

import datetime
import json
import re
import textwrap
import uuid

import numpy as np
import pytest
import pytest_asyncio

from engine.eta.bases import PROFILES, Ends, RoadBases
from engine.roads.network import RoadNetwork
from engine.routing.optimize import OptimizeRequest, RouteRequests
from engine.settings import TravelSettings
from engine.shards.memory import ShardMemory
from engine.shards.tenant_desk import TenantDesk
from models.store.fleet import ClosureRepository
from models.store.scope import Scope
from outrider.client import ApiProblem, OutriderClient
from tests.door import address_of
from tests.pages import DOCS
from tests.rest import Caller, client_of, running_api
from tests.roads import grid_town

pytestmark = pytest.mark.timeout(400)  # the first run compiles the rules of roads

TOWN = grid_town()
MORNING = datetime.datetime(2027, 3, 2, 8, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)


def place(node, **off):
    latitude, longitude = TOWN.at(node, **off)
    return {"latitude": latitude, "longitude": longitude}


STREET = {"name": "works", "kind": "line", "points": [place(11, east=20), place(12, east=-20)]}
"""Of the street between two crossings."""


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("town")
    TOWN.network(folder)
    return folder / "town.roads"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(stores, network):
    travel = TravelSettings(order=("roads",), network=network, learned_pace=False)
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}", travel=travel) as (app, services):
        async with client_of(app) as http, address_of(app) as url:
            yield http, services, url
        await services.travel.close()


@pytest.fixture
async def admin(api):
    return await Caller(api[0]).registered()


async def a_route(admin, start=MORNING):
    """Return a route from one crossing to the next, and where its line goes."""
    delivery = await admin.make("deliveries", {"dropoff": place(12)})
    body = {"stops": [{"deliveryId": delivery["id"]}], "origin": place(11), "start": start.isoformat()}
    route = await admin.make("routes", body)
    drawn = (await admin.ask("GET", f"routes/{route['id']}/geometry")).json()
    [line] = [one["geometry"]["coordinates"] for one in drawn["features"] if one["geometry"]["type"] == "LineString"]
    return route, {(round(lat, 7), round(lon, 7)) for lon, lat in line}


def middle_lat(line):
    return max(abs(lat - TOWN.at(11)[0]) for lat, _ in line)


async def test_a_route_goes_around_a_closed_street_and_through_it_when_it_is_open_again(admin):
    free, line = await a_route(admin)
    assert free["distanceM"] == pytest.approx(100, abs=2)
    assert middle_lat(line) < 1e-5
    times = {"beginsAt": MORNING.isoformat(), "endsAt": (MORNING + 2 * HOUR).isoformat()}
    closure = await admin.make("closures", STREET | times)
    around, line = await a_route(admin)
    assert around["distanceM"] == pytest.approx(300, abs=3)
    assert around["stops"][0]["arrival"] > free["stops"][0]["arrival"]
    assert middle_lat(line) > 5e-4  # by the next street
    ended, line = await a_route(admin, MORNING + 2 * HOUR)
    assert ended["distanceM"] == free["distanceM"]
    assert middle_lat(line) < 1e-5
    answer = await admin.ask("DELETE", f"closures/{closure['id']}")
    assert answer.status_code == 204
    assert (await a_route(admin))[0]["distanceM"] == free["distanceM"]


async def test_a_closure_is_its_companys_and_its_vehicles(admin, api):
    closure = await admin.make("closures", STREET | {"profiles": ["truck"]})
    assert (await a_route(admin))[0]["distanceM"] == pytest.approx(100, abs=2)  # by van
    shown = await admin.ask("GET", f"closures/{closure['id']}")
    assert shown.json()["profiles"] == ["truck"]
    changed = await admin.ask(
        "PUT", f"closures/{closure['id']}", json=STREET, headers={"If-Match": shown.headers["ETag"]}
    )
    assert (changed.status_code, changed.json()["version"], changed.json()["profiles"]) == (200, 2, [])
    assert (await a_route(admin))[0]["distanceM"] == pytest.approx(300, abs=3)
    other = await Caller(api[0]).registered()
    assert (await a_route(other))[0]["distanceM"] == pytest.approx(100, abs=2)
    stale = await admin.ask("PUT", f"closures/{closure['id']}", json=STREET | {"version": 1})
    assert stale.status_code == 409
    events = await admin.ask("GET", "audit", params={"entity": closure["id"]})
    assert len(events.json()["items"]) == 2


async def test_a_plan_of_the_optimizer_says_how_many_closures_it_goes_around(admin, api):
    await admin.make("closures", STREET)
    await admin.make("closures", STREET | {"name": "over", "endsAt": (MORNING - HOUR).isoformat()})
    await admin.make("vehicles", {"name": "van"})
    deliveries = [(await admin.make("deliveries", {"dropoff": place(node)}))["id"] for node in (11, 12)]
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    services = api[1]
    requests = RouteRequests(services.database, services.settings.log.partitions, services.travel)
    request = OptimizeRequest.model_validate({"deliveries": deliveries, "start": MORNING})
    plan = await requests.plan(Scope(tenant, "test"), request)
    assert [told.closures for told in plan.ways.told] == [1]
    assert plan.ways.leg("van", TOWN.at(11), TOWN.at(12)).distance_m == pytest.approx(300, abs=3)


async def test_what_lies_deep_in_a_zone_is_refused_by_its_field(admin):
    await admin.make("vehicles", {"name": "van"})
    deliveries = [(await admin.make("deliveries", {"dropoff": place(node)}))["id"] for node in (1, 12)]
    asked = {"deliveries": deliveries, "seconds": 0.5}
    assert (await admin.ask("POST", "routes/optimize", json=asked)).status_code == 202
    wide = [place(1, east=east, north=north) for east, north in ((-2e3, -2e3), (2e3, -2e3), (2e3, 2e3), (-2e3, 2e3))]
    await admin.make("closures", {"name": "flood", "kind": "polygon", "points": wide})
    refused = await admin.ask("POST", "routes/optimize", json=asked)
    assert refused.status_code == 422
    assert {fault["field"] for fault in refused.json()["errors"]} == {"deliveries.0", "deliveries.1"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"points": [place(11)]}, "points"),
        ({"kind": "polygon"}, ""),
        ({"points": [place(11), place(11)]}, ""),
        ({"points": [place(11), {"latitude": 3, "longitude": 0}]}, ""),
        ({"beginsAt": "2027-03-02T08:00:00Z", "endsAt": "2027-03-02T08:00:00Z"}, ""),
        ({"points": [place(11), {"latitude": "NaN", "longitude": 0}]}, "points.1.latitude"),
        ({"profiles": ["boat"]}, "profiles.0"),
        ({"halfWidthM": -3}, "halfWidthM"),
    ],
)
async def test_what_can_not_be_is_refused_with_its_field(admin, wrong, field):
    answer = await admin.ask("POST", "closures", json=STREET | wrong)
    assert answer.status_code == 422, answer.text
    assert field in [fault["field"] for fault in answer.json()["errors"]]


async def test_what_the_page_sends_is_taken(admin):
    page = (DOCS / "how-to" / "close-a-street.md").read_text()
    bodies = re.findall(r"-d '(\{.*?\})'\n", page, re.DOTALL)
    assert [(await admin.make("closures", json.loads(body)))["kind"] for body in bodies] == ["line", "polygon"]


async def test_the_python_client_closes_lists_and_reopens(admin, api):
    page = (DOCS / "how-to" / "close-a-street.md").read_text()
    [shown] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    url, said = api[2], []
    scope = {"OutriderClient": OutriderClient}
    exec(f"async def follow(url, token, print):\n{textwrap.indent(shown, '    ')}", scope)  # noqa: S102  # as a reader
    await scope["follow"](url, admin.token, said.append)
    assert said == [["Rua das Flores, works"]]
    async with OutriderClient(url, token=admin.token) as client:
        assert [one async for one in client.closures()] == []
        held = await client.create_closure(**STREET)
        assert [one async for one in client.closures()] == [held]
        assert (await admin.ask("GET", "closures")).json()["items"] == [held]
        with pytest.raises(ApiProblem) as refused:
            await client.create_closure(**STREET | {"points": []})
        assert refused.value.status == 422


async def test_a_shards_estimates_go_around_what_their_company_has_closed(admin, api, network):
    database = api[1].database
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    memory, closures = ShardMemory(), ClosureRepository(database)
    desk = TenantDesk(closures.everywhere, closures.coming, memory.take_closures)
    await desk.refresh()
    base = RoadBases(RoadNetwork.load(network))
    ends = Ends(*(np.array([value]) for value in (*TOWN.at(11), *TOWN.at(12))), np.array([PROFILES.index("van")]))

    def metres():
        held = memory.etas.closures.get(memory.tenant_index(tenant), ())
        return float(base.between(ends, barriers={held: np.ones(1, np.bool_)}).metres[0])

    assert metres() == pytest.approx(100, abs=2)
    closure = await admin.make("closures", STREET)
    desk.note_changed(tenant)
    await desk.refresh()
    assert metres() == pytest.approx(300, abs=3)
    await admin.ask("DELETE", f"closures/{closure['id']}")
    desk.note_changed(tenant)
    await desk.refresh()
    assert metres() == pytest.approx(100, abs=2)
