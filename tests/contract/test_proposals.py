"""Routes on the road: what to do about an order, a delay, a breakdown or a stop less, seen before it is done."""

import datetime
import uuid

import pytest
import pytest_asyncio

from engine.routing.automatic import REPLAN, AutomaticReplanning, ReplanFollower
from engine.routing.proposals import ProposalCommands
from engine.tasks.worker import TaskKind, TaskWorker
from models.documents.document import now
from models.documents.event import Event
from models.ids import new_id
from models.store.transactions import in_transaction
from tests.rest import Caller, client_of, running_api
from tests.stack import eventually


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, services):
        yield app, services


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def http(running):
    async with client_of(running[0]) as client:
        yield client


@pytest.fixture
async def admin(http):
    return await Caller(http).registered()


def place(north, east=0):
    return {"latitude": 41.1 + north / 200, "longitude": -8.6 + east / 200}


async def deliveries(admin, places, **fields):
    return [(await admin.make("deliveries", {"dropoff": one} | fields))["id"] for one in places]


async def a_route(admin, places, *, name="Ana", begins=None, dispatched=True, **fields):
    """Return a route of a driver of its own, under way unless it is not to be."""
    driver = await admin.make("drivers", {"name": name})
    ids = await deliveries(admin, places)
    body = {"stops": [{"deliveryId": one} for one in ids], "driverId": driver["id"], "origin": begins or places[0]}
    route = await admin.make("routes", body | fields)
    if dispatched:
        route = (await admin.ask("POST", f"routes/{route['id']}/dispatch")).json()
    return route


async def two_routes(admin):
    """Return a route in the west and one in the east, each from south to north."""
    west = await a_route(admin, [place(north, 0) for north in range(1, 5)], begins=place(0, 0))
    east = await a_route(admin, [place(north, 8) for north in range(1, 5)], begins=place(0, 8), name="Rui")
    return west, east


def instant(moment):
    return datetime.datetime.fromisoformat(moment)


async def now_of(admin, route):
    return (await admin.ask("GET", f"routes/{route['id']}")).json()


def order(route):
    return [(stop["deliveryId"], stop["kind"]) for stop in route["stops"]]


async def test_an_urgent_order_goes_where_it_costs_least_and_nothing_changes_before_it_is_accepted(admin):
    west, east = await two_routes(admin)
    [urgent] = await deliveries(admin, [place(2.5, 8.2)], priority="urgent")
    proposal = await admin.make("routes/proposals", {"insert": [urgent], "traceId": "trace-7"})
    [changed] = proposal["routes"]
    assert (changed["routeId"], changed["driverId"], proposal["unserved"]) == (east["id"], east["driverId"], [])
    assert [one["change"] for one in changed["changes"] if one["deliveryId"] == urgent] == ["new"]
    later = [one for one in changed["changes"] if one["change"] == "shifted"]
    assert {one["deliveryId"] for one in later} == {delivery for delivery, _ in order(east)[2:]}
    assert all(one["shiftS"] > 60 for one in later)
    assert changed["durationS"] > 0
    assert await now_of(admin, east) == east
    accepted = (await admin.ask("POST", f"routes/proposals/{proposal['id']}/accept", json={"version": 1})).json()
    assert (accepted["state"], accepted["version"], accepted["traceId"]) == ("accepted", 2, "trace-7")
    after = await now_of(admin, east)
    assert order(after) == [(one["deliveryId"], one["kind"]) for one in changed["visits"]]
    assert after["version"] == east["version"] + 1
    found = (await admin.ask("GET", f"deliveries/{urgent}")).json()
    assert (found["status"], found["driverId"], found["routeId"]) == ("assigned", east["driverId"], east["id"])
    assert order(await now_of(admin, west)) == order(west)
    again = await admin.ask("POST", f"routes/proposals/{proposal['id']}/accept")
    assert again.status_code == 409


async def test_the_next_stop_of_a_van_and_what_is_locked_stay_first(admin):
    route = await a_route(admin, [place(north) for north in range(1, 6)], begins=place(0))
    await admin.ask("PATCH", f"routes/{route['id']}", json={"lockedStops": 3})
    [urgent] = await deliveries(admin, [place(0.1)])
    proposal = await admin.make("routes/proposals", {"insert": [urgent]})
    [changed] = proposal["routes"]
    assert [one["deliveryId"] for one in changed["visits"]][:3] == [delivery for delivery, _ in order(route)[:3]]
    await admin.ask("PATCH", f"routes/{route['id']}", json={"lockedStops": 0})
    stale = await admin.ask("POST", f"routes/proposals/{proposal['id']}/accept")
    assert (stale.status_code, stale.json()["code"]) == (409, "version-conflict")
    freer = await admin.make("routes/proposals", {"insert": [urgent]})
    visits = [one["deliveryId"] for one in freer["routes"][0]["visits"]]
    assert visits[:2] == [order(route)[0][0], urgent]


async def test_a_locked_route_takes_nothing(admin):
    route = await a_route(admin, [place(1), place(2)])
    await admin.ask("PATCH", f"routes/{route['id']}", json={"locked": True})
    ids = await deliveries(admin, [place(1.5)])
    proposal = await admin.make("routes/proposals", {"insert": ids})
    assert proposal["routes"] == []
    assert [one["deliveryId"] for one in proposal["unserved"]] == ids
    accepted = await admin.ask("POST", f"routes/proposals/{proposal['id']}/accept")
    assert accepted.status_code == 409


async def test_others_take_over_from_a_van_that_breaks_down_but_for_what_it_has_on_board(admin):
    west, east = await two_routes(admin)
    [loaded, *others] = [delivery for delivery, _ in order(west)]
    for status in ("accepted", "picked_up"):
        await admin.ask("PATCH", f"deliveries/{loaded}/status", json={"status": status})
    proposal = await admin.make("routes/proposals", {"breakdowns": [west["id"]]})
    assert [one["deliveryId"] for one in proposal["unserved"]] == [loaded]
    assert "on board" in proposal["unserved"][0]["reason"]
    changes = {one["routeId"]: one["changes"] for one in proposal["routes"]}
    assert {one["deliveryId"] for one in changes[west["id"]] if one["change"] == "removed"} == set(others)
    moved = [one for one in changes[east["id"]] if one["change"] == "moved"]
    assert {(one["deliveryId"], one["fromRouteId"]) for one in moved} == {(one, west["id"]) for one in others}
    await admin.ask("POST", f"routes/proposals/{proposal['id']}/accept")
    for delivery in others:
        found = (await admin.ask("GET", f"deliveries/{delivery}")).json()
        assert (found["driverId"], found["routeId"]) == (east["driverId"], east["id"])
    kept = (await admin.ask("GET", f"deliveries/{loaded}")).json()
    assert (kept["driverId"], kept["routeId"]) == (west["driverId"], west["id"])


async def test_a_delay_that_breaks_a_promise_is_absorbed_by_another_van(admin):
    begin = datetime.datetime.now(tz=datetime.UTC)
    window = {"start": begin.isoformat(), "end": (begin + datetime.timedelta(minutes=40)).isoformat()}
    west, east = await two_routes(admin)
    last, _ = order(west)[-1]
    await admin.ask("PUT", f"deliveries/{last}", json={"dropoff": place(4, 1), "timeWindow": window})
    calm = await admin.make("routes/proposals", {})
    assert calm["routes"] == []
    proposal = await admin.make("routes/proposals", {"delays": [{"routeId": west["id"], "delayS": 3600}]})
    changed = {one["routeId"]: one for one in proposal["routes"]}
    assert [one["kind"] for one in changed[west["id"]]["mended"]] == ["late"]
    assert changed[east["id"]]["broken"] == []
    assert last in [one["deliveryId"] for one in changed[east["id"]]["visits"]]


async def test_the_break_of_a_driver_is_kept_and_moves_with_what_is_taken_up(admin):
    begin = datetime.datetime.now(tz=datetime.UTC)
    opens, closes = (begin + datetime.timedelta(minutes=after) for after in (5, 20))
    lunch = {"window": {"start": f"{opens:%H:%M}", "end": f"{closes:%H:%M}"}, "durationS": 1800}
    van = await admin.make("vehicles", {"name": "rested van", "breaks": [lunch]})
    route = await a_route(admin, [place(20), place(40)], begins=place(0), vehicleId=van["id"], start=begin.isoformat())
    [planned] = route["breaks"]
    calm = await admin.make("routes/proposals", {})
    assert calm["routes"] == []
    [urgent] = await deliveries(admin, [place(1)], priority="urgent", serviceTimeS=1500)
    proposal = await admin.make("routes/proposals", {"insert": [urgent]})
    [changed] = proposal["routes"]
    [taken] = changed["breaks"]
    assert opens.replace(second=0, microsecond=0) <= instant(taken["start"]) <= closes
    assert changed["broken"] == []
    assert [one["start"] for one in changed["breakChanges"]] == [taken["start"]] * (
        abs(instant(taken["start"]) - instant(planned["start"])) >= datetime.timedelta(minutes=1)
    )
    following = changed["stops"][taken["before"] :]
    assert all(one["arrival"] >= taken["end"] for one in following)
    assert all(one["departure"] <= taken["start"] for one in changed["stops"][: taken["before"]])
    await admin.ask("POST", f"routes/proposals/{proposal['id']}/accept")
    after = await now_of(admin, route)
    [kept] = after["breaks"]
    assert kept["before"] == taken["before"]
    assert abs(instant(kept["start"]) - instant(taken["start"])) < datetime.timedelta(seconds=30)
    held_up = await admin.make("routes/proposals", {"delays": [{"routeId": route["id"], "delayS": 3600}]})
    assert held_up["routes"] == []


async def test_a_cancelled_stop_is_left_out_and_the_rest_comes_earlier(admin):
    route = await a_route(admin, [place(1), place(2, 6), place(3)], begins=place(0))
    [_, gone, last] = [delivery for delivery, _ in order(route)]
    proposal = await admin.make("routes/proposals", {"cancel": [gone]})
    [changed] = proposal["routes"]
    by_delivery = {one["deliveryId"]: one for one in changed["changes"]}
    assert by_delivery[gone]["change"] == "removed"
    assert by_delivery[last]["shiftS"] < -60
    assert changed["distanceM"] < 0
    await admin.ask("POST", f"routes/proposals/{proposal['id']}/accept")
    assert gone not in dict(order(await now_of(admin, route)))
    assert (await admin.ask("GET", f"deliveries/{gone}")).json()["routeId"] is None


async def test_what_the_fleet_did_meanwhile_decides_whether_a_proposal_still_holds(admin):
    route = await a_route(admin, [place(north) for north in range(1, 5)], begins=place(0))
    [first, second, *_] = [delivery for delivery, _ in order(route)]
    [urgent] = await deliveries(admin, [place(3.5)])
    proposal = await admin.make("routes/proposals", {"insert": [urgent]})
    await done(admin, first)
    accepted = await admin.ask("POST", f"routes/proposals/{proposal['id']}/accept")
    assert accepted.status_code == 200, accepted.text
    after = order(await now_of(admin, route))
    assert [delivery for delivery, _ in after[:2]] == [first, second]
    [other] = await deliveries(admin, [place(2.01)])
    proposal = await admin.make("routes/proposals", {"insert": [other]})
    assert [one["deliveryId"] for one in proposal["routes"][0]["visits"]][:2] == [second, other]
    await done(admin, second)
    moved_on = await admin.ask("POST", f"routes/proposals/{proposal['id']}/accept")
    assert moved_on.status_code == 409
    assert "on its way" in moved_on.json()["detail"]
    taken = await admin.make("routes/proposals", {"insert": [other]})
    await admin.make("routes", {"stops": [{"deliveryId": other}]})
    assert (await admin.ask("POST", f"routes/proposals/{taken['id']}/accept")).status_code == 409


async def done(admin, delivery):
    for status in ("accepted", "picked_up", "in_transit", "arrived", "delivered"):
        answer = await admin.ask("PATCH", f"deliveries/{delivery}/status", json={"status": status})
        assert answer.status_code == 200, answer.text


async def test_a_delivery_with_a_pickup_is_fetched_first_and_a_full_van_is_passed_over(admin):
    small = await admin.make("vehicles", {"name": "small", "capacity": {"weightKg": 10}})
    near = await a_route(admin, [place(1), place(2)], begins=place(0), vehicleId=small["id"])
    far = await a_route(admin, [place(1, 9), place(2, 9)], begins=place(0, 9), name="Rui")
    heavy = {"pickup": place(1.2), "dropoff": place(1.8), "weightKg": 50}
    order_id = (await admin.make("deliveries", heavy))["id"]
    [changed] = (await admin.make("routes/proposals", {"insert": [order_id]}))["routes"]
    assert changed["routeId"] == far["id"] != near["id"]
    kinds = [one["kind"] for one in changed["visits"] if one["deliveryId"] == order_id]
    assert kinds == ["pickup", "dropoff"]


async def test_a_proposal_can_be_rejected_and_is_listed(admin):
    await a_route(admin, [place(1), place(2)])
    proposal = await admin.make("routes/proposals", {"insert": await deliveries(admin, [place(1.5)])})
    listed = (await admin.ask("GET", "routes/proposals", params={"state": "open"})).json()["items"]
    assert [one["id"] for one in listed] == [proposal["id"]]
    late = await admin.ask("POST", f"routes/proposals/{proposal['id']}/reject", headers={"If-Match": '"9"'})
    assert late.status_code == 409
    rejected = (await admin.ask("POST", f"routes/proposals/{proposal['id']}/reject")).json()
    assert (rejected["state"], rejected["endedBy"]) == ("rejected", rejected["by"])
    assert (await admin.ask("GET", "routes/proposals", params={"state": "open"})).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"insert": ["dlv_0"]}, "insert.0"),
        ({"cancel": ["dlv_0"]}, "cancel.0"),
        ({"breakdowns": ["rte_0"]}, "breakdowns.0"),
        ({"delays": [{"routeId": "rte_0", "delayS": 60}]}, "delays.0.routeId"),
        ({"delays": [{"routeId": "rte_0", "delayS": -1}]}, "delays.0.delayS"),
        ({"insert": ["dlv_0"] * 500}, "insert"),
    ],
)
async def test_what_is_wrong_with_a_cause_is_named_by_its_path(admin, body, field):
    await a_route(admin, [place(1)])
    answer = await admin.ask("POST", "routes/proposals", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def at_risk(services, tenant, delivery, trace):
    """Let a delivery be at risk of being late, as a shard tells it."""
    event = Event(
        id=new_id("evt"),
        tenant=tenant,
        time=now(),
        type="delivery.late_risk",
        aggregate=delivery,
        sequence=1,
        data={"deliveryId": delivery, "traceId": trace},
    )
    follower = ReplanFollower(services.database)
    wanted = await follower.sift([event, event])
    if wanted:
        await in_transaction(services.database, lambda session: follower.take(wanted, session))
    return len(wanted)


async def a_late_route(admin):
    """Return a route whose last stop is late unless it is made sooner."""
    begin = datetime.datetime.now(tz=datetime.UTC)
    window = {"start": begin.isoformat(), "end": (begin + datetime.timedelta(minutes=12)).isoformat()}
    route = await a_route(admin, [place(north) for north in range(1, 6)], begins=place(0))
    last = order(route)[-1][0]
    await admin.ask("PUT", f"deliveries/{last}", json={"dropoff": place(5), "timeWindow": window})
    return route, last


@pytest_asyncio.fixture(loop_scope="session")
async def replanning(running):
    _, services = running
    commands = ProposalCommands(services.database, services.settings.log.partitions, services.engine, services.travel)
    kind = TaskKind(AutomaticReplanning(services.database, commands).handle)
    worker = TaskWorker(services.database, {REPLAN: kind})
    await worker.start()
    yield services
    await worker.stop()


@pytest.mark.parametrize(("mode", "ends"), [("accept", "accepted"), ("propose", "open")])
async def test_a_delivery_at_risk_is_answered_within_the_companys_limits_under_its_trace(admin, replanning, mode, ends):
    wish = {"mode": mode, "maxDetourS": 1800, "quietStops": 1}
    await admin.ask("PATCH", "tenant", json={"settings": {"replanning": wish}})
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    route, late = await a_late_route(admin)
    assert await at_risk(replanning, tenant, late, "trace-9") == 2

    async def proposals():
        found = (await admin.ask("GET", "routes/proposals")).json()["items"]
        return [one for one in found if one["state"] == ends]

    [proposal] = await eventually(proposals, within_s=30)
    assert (proposal["by"], proposal["traceId"]) == ("engine", "trace-9")
    assert [one["kind"] for one in proposal["routes"][0]["mended"]] == ["late"]
    places = [delivery for delivery, _ in order(await now_of(admin, route))]
    assert (places.index(late) < 4) == (ends == "accepted")
    events = (await admin.ask("GET", "events", params={"limit": 200})).json()["items"]
    told = [one for one in events if one["type"].startswith("proposal.")]
    assert all(one["data"]["traceId"] == "trace-9" for one in told)


async def test_nothing_is_replanned_by_itself_unless_a_company_wants_it(admin, replanning):
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    _, late = await a_late_route(admin)
    assert await at_risk(replanning, tenant, late, "trace-1") == 0
