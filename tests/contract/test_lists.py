"""Every list of the OpenAPI document comes in pages by cursor, in an order that stays while others write."""

import uuid
from dataclasses import dataclass

import numpy as np
import pytest
import pytest_asyncio

from api.app import create_app
from api.paging import MAX_LIMIT
from engine.analytics.rebuild import FigureRebuild
from engine.feed.feed import Feed
from engine.motion.trips import record_id
from engine.settings import Settings
from models.documents.document import now
from models.documents.notification import Notification
from models.documents.offer import Offer, OfferRound, OfferTerms
from models.documents.proposal import Cause, Proposal
from models.documents.task import Task
from models.documents.webhook import WebhookAttempt
from models.ids import new_id
from models.messages.fixes import FIX
from models.store.motion import MotionRepository
from models.store.notifications import NotificationRepository
from models.store.offers import OfferRepository, RoundChange
from models.store.quarantine import QuarantineRepository
from models.store.scope import Scope
from models.store.tasks import TaskRepository
from models.store.webhooks import WebhookAttemptRepository
from tests.rest import PASSWORD, Caller, client_of, running_api
from tests.stack import eventually

DOCUMENT = create_app(Settings()).openapi()
COUNT = 5
BEGAN_MS = 1_750_000_000_000
PLACE = {"latitude": 41.15, "longitude": -8.61}

WHOLE = {
    "/api/v1/drivers/nearest": "the nearest few, by distance that changes while one reads",
    "/api/v1/analytics/deliveries": "a row a period, of which there are a bounded number",
    "/api/v1/analytics/drivers/{driver_id}": "the same",
    "/api/v1/analytics/me": "the same",
    "/api/v1/eta/models": "the few bundles of the registry, with who serves and why",
    "/api/v1/deliveries/{delivery_id}/history": "one delivery's past, told whole as of an instant",
}
"""Answers with `items` that are no lists to be leafed through, and why."""


def _properties(schema):
    if "$ref" in schema:
        return _properties(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    return set().union(schema.get("properties", {}), *(_properties(one) for one in schema.get("anyOf", ())))


def _answer(operation):
    return operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})


def _parameters(operation):
    return {one["name"]: one["schema"] for one in operation.get("parameters", ())}


READS = {path: item["get"] for path, item in DOCUMENT["paths"].items() if "get" in item}
PAGED = sorted(path for path, operation in READS.items() if "cursor" in _parameters(operation))


@dataclass(frozen=True)
class World:
    """A company, and who asks for it."""

    admin: Caller
    phone: Caller
    tenant: str
    database: object
    ids: dict[str, str]

    @property
    def scope(self) -> Scope:
        return Scope(self.tenant, "usr_test")

    async def each(self, path, *bodies):
        return [await self.admin.make(path, body) for body in bodies]

    async def delivery(self):
        return (await self.admin.make("deliveries", {"dropoff": PLACE}))["id"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(stores):
    name = f"lists_{uuid.uuid4().hex[:12]}"
    async with running_api(stores, name, database=name) as (app, services), client_of(app) as http:
        admin = await Caller(http).registered()
        driver = (await admin.make("drivers", {"name": "Ana"}))["id"]
        await admin.make("vehicles", {"name": "van"})  # jobs need one
        key = await admin.make("keys", {"kind": "device", "driverId": driver})
        ids = {"driver_id": driver}
        ids["delivery_id"] = (await admin.make("deliveries", {"dropoff": PLACE}))["id"]
        ids["webhook_id"] = (await admin.make("webhooks", _webhook()))["id"]
        tenant = (await admin.ask("GET", "tenant")).json()["id"]
        yield World(admin, admin.with_token(key["key"]), tenant, services.database, ids)
        await services.database.client.drop_database(name)


def _webhook():
    return {"url": "https://93.184.216.34/", "enabled": False}


async def imports(world):
    for _ in range(COUNT):
        file = {"content": "dropoff.address\nRua das Flores 1\n", "headers": {"Content-Type": "text/csv"}}
        assert (await world.admin.ask("POST", "deliveries/import", **file)).status_code == 201


async def people(world):
    emails = [f"{uuid.uuid4().hex}@test.pt" for _ in range(COUNT)]
    await world.each("users", *({"email": email, "password": PASSWORD, "role": "planner"} for email in emails))


async def invitations(world):
    emails = [f"{uuid.uuid4().hex}@test.pt" for _ in range(COUNT)]
    await world.each("users/invitations", *({"email": email, "role": "planner"} for email in emails))


async def geofences(world):
    fence = {"name": "yard", "kind": "circle", "points": [PLACE], "radiusM": 100}
    await world.each("geofences", *[fence] * COUNT)


async def routes(world):
    await world.each("routes", *[{"stops": [{"deliveryId": await world.delivery()}]} for _ in range(COUNT)])


async def jobs(world):
    for _ in range(COUNT):
        answer = await world.admin.ask("POST", "routes/optimize", json={"deliveries": [await world.delivery()]})
        assert answer.status_code == 202, answer.text


async def events(world):
    feed = Feed(world.database, [])
    await feed.start()
    await world.each("depots", *[{"name": "north", "place": PLACE}] * COUNT)
    made = await world.admin.make("deliveries", {"dropoff": PLACE})
    try:
        await eventually(lambda: _is_last(world, made["id"]))
    finally:
        await feed.stop()


async def _is_last(world, aggregate):
    page = (await world.admin.ask("GET", "events", params={"aggregate": aggregate})).json()
    return page["items"]


async def figures(world):
    for name in range(COUNT):
        driver = await world.admin.make("drivers", {"name": f"driver {name}"})
        delivery = await world.admin.make("deliveries", {"dropoff": PLACE, "driverId": driver["id"]})
        route = {"$set": {"route": new_id("rte")}}
        await world.database.deliveries.update_one({"_id": delivery["id"], "tenant": world.tenant}, route)
    await FigureRebuild(world.database, Scope(world.tenant, "engine")).run()


async def letters(world):
    dead = [Task(id=new_id("tsk"), tenant=world.tenant, kind="test", state="dead") for _ in range(COUNT)]
    await TaskRepository(world.database).put(dead)


async def attempts(world):
    fields = {"tenant": world.tenant, "webhook": world.ids["webhook_id"], "event": "evt_a", "type": "delivery.created"}
    for _ in range(COUNT):
        attempt = WebhookAttempt(id=new_id("wat"), ok=True, duration_ms=1.0, **fields)
        await WebhookAttemptRepository(world.database).note(attempt)


async def messages(world):
    fields = {"tenant": world.tenant, "template": "delivery-created", "audience": "customer", "channels": ("sms",)}
    told = [Notification(id=new_id("ntf"), state="failed", **fields) for _ in range(COUNT)]
    await NotificationRepository(world.database).put(told)


async def offers(world, delivery=None):
    """Ask one driver, about one delivery again and again or about several."""
    for _ in range(COUNT):
        offer = Offer(id=new_id("ofr"), driver=world.ids["driver_id"], made_at=now(), until=now(), away_m=1)
        asked = OfferRound(
            id=new_id("rnd"),
            tenant=world.tenant,
            delivery=delivery or await world.delivery(),
            state="cancelled" if delivery else "asking",
            terms=OfferTerms(),
            offers=(offer,),
            by="usr_test",
        )
        await OfferRepository(world.database).store(RoundChange(asked, None, ()))


async def proposals(world):
    for _ in range(COUNT):
        made = Proposal(id=new_id("prp"), tenant=world.tenant, by="usr_test", cause=Cause(), expires_at=now())
        await world.database.proposals.insert_one(made.stored())


async def rounds(world):
    await offers(world, world.ids["delivery_id"])


async def driving(world):
    """Trips and visits by turns, as shards store them; one of each begins in the same instant."""
    motion, driver = MotionRepository(world.database), world.ids["driver_id"]
    begun = BEGAN_MS + 100_000 * await world.database.trips.count_documents({"driver": driver})
    for place in range(COUNT):
        since = begun + 100_000 * place
        common = {"tenant": world.tenant, "driver": driver}
        trip = {"_id": record_id("trp", 1, since), "from": since, "to": since + 50_000, "distanceM": 12.5, **common}
        await motion.save_trips([{**trip, "start": [41.0, -8.0], "end": [41.1, -8.0]}])
        stood = since if place == 0 else since + 50_000
        visit = {"_id": record_id("vst", 1, stood), "from": stood, "place": [41.1, -8.0], **common}
        await motion.save_visits([visit | ({"to": since + 100_000} if place < COUNT - 1 else {})])


async def devices(world):
    quarantine = QuarantineRepository(world.database)
    for _ in range(COUNT):
        await quarantine.keep(world.scope, uuid.uuid4().hex, [np.zeros(1, FIX).tobytes()])


def many(path, body):
    """Return who makes some things of a kind."""

    async def make(world):
        await world.each(path, *[body] * COUNT)

    return make


MAKERS = {
    "analytics/drivers": figures,
    "analytics/routes": figures,
    "audit": many("depots", {"name": "north", "place": PLACE}),
    "dead-letters": letters,
    "deliveries": many("deliveries", {"dropoff": PLACE}),
    "deliveries/imports": imports,
    "deliveries/{delivery_id}/offers": rounds,
    "closures": many(
        "closures", {"name": "works", "kind": "line", "points": [PLACE, {"latitude": 41, "longitude": -8}]}
    ),
    "depots": many("depots", {"name": "north", "place": PLACE}),
    "driver-app/offers": offers,
    "drivers": many("drivers", {"name": "Rui"}),
    "drivers/{driver_id}/trips": driving,
    "events": events,
    "geofences": geofences,
    "jobs": jobs,
    "keys": many("keys", {"kind": "gateway"}),
    "notifications": messages,
    "quarantine": devices,
    "routes": routes,
    "routes/proposals": proposals,
    "users": people,
    "users/invitations": invitations,
    "vehicles": many("vehicles", {"name": "van"}),
    "webhooks": many("webhooks", _webhook()),
    "webhooks/{webhook_id}/deliveries": attempts,
}
"""Who makes at least five things that a list shows, by its path."""

SPAN = {"from": BEGAN_MS - 1, "to": 9_999_999_999_999}
ASKED = {"drivers/{driver_id}/trips": SPAN}
"""What else a list has to be asked with."""


def items_of(page):
    """Return what names the items of a page, in its order; trips and visits in theirs, which is time."""
    if "visits" in page:
        both = [(one["from"], one["id"]) for kind in ("trips", "visits") for one in page[kind]]
        return [identifier for _, identifier in sorted(both)]
    return [one.get("id") or one.get("device") or one.get("driverId") or one["routeId"] for one in page["items"]]


async def page_of(world, path, **asked):
    caller = world.phone if path.startswith("driver-app/") else world.admin
    params = ASKED.get(path, {}) | {name: value for name, value in asked.items() if value is not None}
    return await caller.ask("GET", path.format(**world.ids), params=params)


async def walked(world, path, limit, begun=None):
    """Return what the pages of a list hold, from a cursor on."""
    found, cursor = [], begun
    while True:
        answer = await page_of(world, path, limit=limit, cursor=cursor)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(items_of(page)) <= limit
        found += items_of(page)
        cursor = page["next"] if page.get("more", True) else None
        if cursor is None:
            return found


def test_every_list_has_pages():
    for path, operation in READS.items():
        answered = _properties(_answer(operation))
        if {"items", "trips"} & answered or _answer(operation).get("type") == "array":
            asked = _parameters(operation)
            assert path in WHOLE or {"cursor", "limit"} <= set(asked), f"{path} gives all at once"
            assert path in WHOLE or "next" in answered, path


@pytest.mark.parametrize("path", PAGED)
def test_no_page_is_longer_than_the_longest(path):
    limit = _parameters(READS[path])["limit"]
    assert (limit["minimum"], limit["maximum"]) == (1, MAX_LIMIT)


@pytest.mark.parametrize("path", [path.removeprefix("/api/v1/") for path in PAGED])
async def test_a_list_can_be_leafed_through(world, path):
    """However long the pages are, they hold the same in the same order, and what comes meanwhile moves nothing."""
    assert path in MAKERS, "say above how some of these are made"
    await MAKERS[path](world)
    whole = await walked(world, path, MAX_LIMIT)
    assert len(whole) >= COUNT
    assert len(set(whole)) == len(whole)
    for limit in (1, 2, 3, len(whole)):
        assert await walked(world, path, limit) == whole
    first = (await page_of(world, path, limit=2)).json()
    await MAKERS[path](world)
    onwards = items_of(first) + await walked(world, path, 2, first["next"])
    assert [one for one in onwards if one in set(whole)] == whole
    assert len(set(onwards)) == len(onwards)
    for asked in ({"limit": 0}, {"limit": MAX_LIMIT + 1}, {"cursor": "eyIkZ3QiOiIifQ"}, {"cursor": "%00"}):
        answer = await page_of(world, path, **asked)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-input"), (asked, answer.text)
