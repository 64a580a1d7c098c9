"""Companies that tell their customers and drivers things, with the feed and the worker that do it."""

import contextlib
import uuid

from pydantic import SecretStr

from engine.feed.feed import Feed
from engine.notifications.follower import MESSAGE, NotificationFollower
from engine.notifications.messenger import message_kind
from engine.settings import NotificationSettings, Settings, SmsSettings
from engine.tasks.worker import TaskWorker
from models.store.indexes import ensure_indexes
from tests.rest import Caller, client_of, running_api
from tests.stack import connected, eventually

CUSTOMER = {"name": "Ana", "phone": "+351 912 345 678", "email": "ana@test.pt"}


@contextlib.asynccontextmanager
async def telling(database, **providers):
    """Run follower and worker of messages with these providers."""
    settings = Settings(notifications=NotificationSettings(**providers))
    feed = Feed(database, [NotificationFollower(database, settings)])
    worker = TaskWorker(database, {MESSAGE: message_kind(database, settings, delays_s=(0.02, 0.02))})
    await feed.start()
    await worker.start()
    try:
        await eventually(lambda: database.cursors.find_one({"_id": "notifications"}))
        yield
    finally:
        await worker.stop()
        await feed.stop()


def sms_of(gateway, **fields):
    return SmsSettings(url=SecretStr(gateway.url()), **{"timeout_s": 1.0} | fields)


async def an_office(api, *channels, urgent=True, template="delivery-created", **settings):
    """Return the admin of a new company that tells its customers of new deliveries over these channels."""
    admin = await api.registered()
    rules = {template: {"channels": channels or ["sms"], "urgent": urgent}}
    answer = await admin.ask("PUT", "notification-rules", json={"rules": rules})
    assert answer.status_code == 200, answer.text
    if settings:
        assert (await admin.ask("PATCH", "tenant", json={"settings": settings})).status_code == 200
    return admin


async def a_delivery(admin, customer=CUSTOMER, **fields):
    place = {"address": "Rua de Cedofeita 1", "latitude": 41.15, "longitude": -8.61}
    return await admin.make("deliveries", {"dropoff": place, "reference": "A-17", "customer": customer} | fields)


async def told(admin, state=None, **wanted):
    params = wanted | ({"state": state} if state else {})
    return (await admin.ask("GET", "notifications", params=params)).json()["items"]


async def settled(admin, state, **wanted):
    [one] = await eventually(lambda: told(admin, state, **wanted))
    return one


def mails_to(mails, email):
    """Return the mails to one person; admins of earlier tests may be alerted still."""
    return [mail for mail in mails.mails if mail["To"] == email]


@contextlib.asynccontextmanager
async def api_on(stores, database):
    """Yield a caller of an API on a database of its own: feed and worker serve all tenants of one."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    async with running_api(stores, prefix, database=database) as (app, _), client_of(app) as http:
        yield Caller(http)


@contextlib.asynccontextmanager
async def database_named(stores, name):
    """Yield a database with all indexes, and drop it in the end."""
    own = connected(stores.mongo_url, name)
    await ensure_indexes(own)
    yield own
    await own.client.drop_database(name)
    own.client.close()


async def both_sent(admin):
    sent = await told(admin, "sent")
    return sent if len(sent) == 2 else None


async def dead_letters(admin):
    return (await admin.ask("GET", "dead-letters")).json()["items"]
