"""A company's day in an installation that keeps each company in a database of its own."""

import uuid

import pytest_asyncio

from engine.analytics.rebuild import FigureRebuild
from engine.feed.feed import Feed
from engine.webhooks.follower import WebhookFollower
from models.documents.document import now
from models.documents.notification import Notification
from models.documents.offer import Offer, OfferRound, OfferTerms
from models.documents.webhook import WebhookAttempt
from models.ids import new_id
from models.store.fleet import ClosureRepository, VehicleRepository
from models.store.geofences import GeofenceRepository
from models.store.notifications import NotificationRepository
from models.store.offers import OfferRepository, RoundChange
from models.store.placement import OWNED
from models.store.quarantine import QuarantineRepository
from models.store.scope import Scope
from models.store.webhooks import WebhookAttemptRepository
from tests.rest import Caller, client_of, running_api
from tests.stack import eventually

PLACE = {"latitude": 41.15, "longitude": -8.61}
CLOSURE = {"name": "works", "kind": "line", "points": [PLACE, {"latitude": 41.16, "longitude": -8.61}]}
JPEG = b"\xff\xd8\xff\xe0" + bytes(500)
FENCE = {"name": "yard", "kind": "circle", "points": [PLACE], "radiusM": 100}
NOT_MET = {"import_parts", "geocodes", "proposals"}
"""Parts of an import that is under way, answers of a provider that is not there, and routes that are under way."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def apart(stores):
    name = f"apart{uuid.uuid4().hex[:8]}"
    async with (
        running_api(stores, f"test-{name}", database=name, tenancy="database") as (app, services),
        client_of(app) as http,
    ):
        yield Caller(http), services.database
        for found in await services.database.client.list_database_names():
            if found.startswith(name):
                await services.database.client.drop_database(found)


async def lived(admin, database):
    """Let a company do something of everything, and return its id and the ids that its customers could see."""
    tenant = (await admin.ask("GET", "auth/profile")).json()["tenantId"]
    scope = Scope(tenant, "usr_test")
    driver = (await admin.make("drivers", {"name": "Ana"}))["id"]
    made = {
        "depots": await admin.make("depots", {"name": "north", "place": PLACE}),
        "vehicles": await admin.make("vehicles", {"name": "van"}),
        "closures": await admin.make("closures", CLOSURE),
        "geofences": await admin.make("geofences", FENCE),
        "webhooks": await admin.make("webhooks", {"url": "https://93.184.216.34/"}),
    }
    phone = admin.with_token((await admin.make("keys", {"kind": "device", "driverId": driver}))["key"])
    await delivered(admin, phone, database, scope, driver)
    planned = await admin.make("deliveries", {"dropoff": PLACE})
    made["routes"] = await admin.make("routes", {"stops": [{"deliveryId": planned["id"]}]})
    free = await admin.make("deliveries", {"dropoff": PLACE, "customer": {"phone": "+351912345678"}})
    asked = await admin.ask("POST", "routes/optimize", json={"deliveries": [free["id"]]})
    made["jobs"] = asked.json()
    rules = {"delivery-created": {"channels": ["sms"], "urgent": True}}
    assert (await admin.ask("PUT", "notification-rules", json={"rules": rules})).status_code == 200
    file = {"content": "dropoff.address\nRua das Flores 1\n", "headers": {"Content-Type": "text/csv"}}
    assert (await admin.ask("POST", "deliveries/import", **file)).status_code == 201
    exported = await admin.ask("POST", "privacy/exports", json={"phone": "+351 912 345 678"})
    assert free["id"] in exported.text
    await told(database, scope, made["webhooks"]["id"], free["id"])
    await QuarantineRepository(database).keep(scope, "a phone", [bytes(64)])
    await FigureRebuild(database, scope).run()
    return tenant, made


async def delivered(admin, phone, database, scope, driver):
    """Offer a delivery to a driver, who takes it and brings it with a photo."""
    delivery = await admin.make("deliveries", {"dropoff": PLACE})
    offer = Offer(id=new_id("ofr"), driver=driver, made_at=now(), until=now().replace(year=2999), away_m=1)
    asked = OfferRound(
        id=new_id("rnd"), tenant=scope.tenant, delivery=delivery["id"], terms=OfferTerms(), offers=(offer,), by="usr_a"
    )
    await OfferRepository(database).store(RoundChange(asked, None, ()))
    [shown] = (await phone.ask("GET", "driver-app/offers")).json()["items"]
    assert (await phone.ask("POST", f"offers/{shown['id']}/accept")).json()["driverId"] == driver
    for status in ("picked_up", "in_transit", "arrived"):
        await phone.ask("PATCH", f"deliveries/{delivery['id']}/status", json={"status": status})
    photo = await phone.ask("POST", f"deliveries/{delivery['id']}/proofs", content=JPEG)
    assert photo.status_code == 201, photo.text
    body = {"status": "delivered", "proof": {"photos": [photo.json()["id"]]}}
    done = await phone.ask("PATCH", f"deliveries/{delivery['id']}/status", json=body)
    assert done.status_code == 200, done.text
    assert (await admin.ask("GET", f"proofs/{photo.json()['id']}/content")).content == JPEG


async def told(database, scope, webhook, delivery):
    """Note what the messenger and the sender of webhooks would."""
    fields = {"tenant": scope.tenant, "template": "delivery-created", "audience": "customer", "channels": ("sms",)}
    await NotificationRepository(database).put([Notification(id=new_id("ntf"), delivery=delivery, **fields)])
    fields = {"tenant": scope.tenant, "webhook": webhook, "event": "evt_a", "type": "delivery.created"}
    for ok in (True, False):
        attempt = WebhookAttempt(id=new_id("wat"), ok=ok, duration_ms=1.0, **fields)
        await WebhookAttemptRepository(database).note(attempt)


async def test_a_companys_day_is_in_its_own_database_alone(apart):
    nobody, database = apart
    admin, other = await nobody.registered(), await nobody.registered()
    tenant, made = await lived(admin, database)
    for collection in sorted(OWNED - NOT_MET):
        stored = [one["tenant"] async for one in database.of(tenant)[collection].find()]
        assert stored, f"nothing of {collection} was made"
        assert set(stored) == {tenant}
        assert await database.shared[collection].count_documents({}) == 0
    for path, thing in made.items():
        shown = (await admin.ask("GET", f"{path}/{thing['id']}")).json()
        assert shown["id"] == thing["id"]
        assert thing["id"] in (await admin.ask("GET", path)).text
        assert (await other.ask("GET", f"{path}/{thing['id']}")).status_code == 404
        assert (await other.ask("GET", path)).json()["items"] == []
    [device] = (await admin.ask("GET", "quarantine")).json()["items"]
    assert device["device"] == "a phone"
    assert (await other.ask("GET", "quarantine")).json()["items"] == []


async def test_a_shard_and_the_feed_see_all_companies(apart):
    nobody, database = apart
    feed = Feed(database, [WebhookFollower(database)])
    await feed.start()
    companies, closures, riders = [], [], []
    try:
        await eventually(lambda: database.cursors.find_one({"_id": "webhooks"}))
        for _ in range(2):
            admin = await nobody.registered()
            tenant = (await admin.ask("GET", "auth/profile")).json()["tenantId"]
            await admin.make("webhooks", {"url": "https://93.184.216.34/", "events": ["geofence.*"]})
            fence = await admin.make("geofences", FENCE)
            closure = await admin.make("closures", CLOSURE)
            driver = await admin.make("drivers", {"name": "Rita"})
            await admin.make("vehicles", {"name": "bike", "profile": "bike", "driverId": driver["id"]})
            closures.append((tenant, closure["id"]))
            riders.append((await database.drivers.find_one({"_id": driver["id"], "tenant": tenant}))["number"])
            companies.append((tenant, fence["id"]))
        assert set(closures) <= {(one.tenant, one.id) for one in await ClosureRepository(database).everywhere()}
        assert set(riders) <= await VehicleRepository(database).drivers_on("bike")
        fences = GeofenceRepository(database)
        known = {(fence.tenant, fence.id) for fence in await fences.everywhere()}
        assert set(companies) <= known
        for tenant, fence in companies:
            assert [one.id for one in await fences.of(tenant)] == [fence]
            await eventually(lambda tenant=tenant: database.tasks.find_one({"tenant": tenant, "kind": "webhook"}))
    finally:
        await feed.stop()
