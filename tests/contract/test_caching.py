"""What is kept of MongoDB is never older than the last change that was answered."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import uuid

import bson
import httpx2
import pytest
import pytest_asyncio

from engine.caching import DocumentCache, Generations, generations_of
from engine.feed.feed import Feed
from engine.outbox.relay import OutboxRelay
from engine.settings import Settings
from engine.telemetry.metrics import CACHE_READS
from engine.webhooks.commands import WebhookCommands
from models.documents.tenant import Tenant
from models.documents.user import User
from models.documents.webhook import WebhookShape
from models.store.accounts import AccountRepository
from models.store.connections import connect_redis
from models.store.scope import Scope
from models.store.transactions import in_transaction
from models.store.webhooks import WebhookRepository
from tests.rest import PASSWORD, Caller
from tests.stack import connected, eventually, running_stores

_LEVELS = ("process", "redis", "store")


class Source:
    """A tenant as MongoDB would have it, and how often it was read."""

    def __init__(self, tenant: str) -> None:
        self.tenant = Tenant(id=tenant, tenant=tenant, name="first")
        self.reads = 0

    async def read(self) -> Tenant:
        """Return it as it was when the question came; the answer takes its time."""
        self.reads += 1
        read = self.tenant
        await asyncio.sleep(0)
        return read

    def change(self, name: str) -> None:
        """Change it, as a commit does."""
        self.tenant = self.tenant.model_copy(update={"name": name, "version": self.tenant.version + 1})


class TenantCache(DocumentCache):
    """A cache of which only tenants are asked."""

    async def tenant(self, tenant, read) -> Tenant:
        async def stored():
            return (await read()).stored()

        return await self.get("tenant", tenant, "itself", stored, Tenant.restored)

    async def renew_tenant(self, tenant) -> None:
        await self.renew("tenant", tenant)


def cache_of(redis, prefix, **bounds) -> TenantCache:
    return TenantCache(Generations(redis, prefix), redis, prefix, **bounds)


def counts(group="tenant") -> tuple[float, ...]:
    return tuple(CACHE_READS.labels(group, level)._value.get() for level in _LEVELS)


async def test_a_tenant_is_found_in_the_process_then_in_redis_then_at_its_source(redis, prefix, tenant):
    source, here, there = Source(tenant), cache_of(redis, prefix), cache_of(redis, prefix)
    before = counts()
    for cache in (here, here, there, there):
        assert await cache.tenant(tenant, source.read) == source.tenant
    assert source.reads == 1
    assert tuple(after - then for after, then in zip(counts(), before, strict=True)) == (2, 1, 1)


async def test_a_change_is_seen_by_the_next_read_of_every_cache(redis, prefix, tenant):
    source, here, there = Source(tenant), cache_of(redis, prefix), cache_of(redis, prefix)
    for number in range(50):
        source.change(f"name {number}")
        await here.renew_tenant(tenant)
        names = [(await cache.tenant(tenant, source.read)).name for cache in (there, here)]
        assert names == [f"name {number}"] * 2
    assert source.reads == 50


async def test_what_was_read_before_a_change_is_not_kept_after_it(redis, prefix, tenant):
    source, here, there = Source(tenant), cache_of(redis, prefix), cache_of(redis, prefix)

    async def overtaken() -> Tenant:
        read = await source.read()
        source.change("second")
        await there.renew_tenant(tenant)
        return read

    assert (await here.tenant(tenant, overtaken)).name == "first"
    for cache in (here, there):
        assert (await cache.tenant(tenant, source.read)).name == "second"


async def test_requests_that_miss_together_read_once(redis, prefix, tenant):
    source, cache = Source(tenant), cache_of(redis, prefix)
    await asyncio.gather(*(cache.tenant(tenant, source.read) for _ in range(100)))
    assert source.reads == 1


async def test_whoever_gives_up_leaves_the_others_their_answer(redis, prefix):
    generations = Generations(redis, prefix)
    asking = [asyncio.create_task(generations.current(f"ten_{number % 3}")) for number in range(12)]
    await asyncio.sleep(0)
    for task in asking[:3]:
        task.cancel()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(answer, bytes) for answer in answers[3:])


async def test_a_redis_that_lost_its_data_makes_nothing_old_good(redis, prefix, tenant):
    source, cache = Source(tenant), cache_of(redis, prefix)
    await cache.tenant(tenant, source.read)
    source.change("second")
    await redis.delete(f"{prefix}:generation:tenant:{tenant}")
    assert (await cache.tenant(tenant, source.read)).name == "second"


async def test_what_redis_keeps_ends_by_itself(redis, prefix, tenant):
    await cache_of(redis, prefix).tenant(tenant, Source(tenant).read)
    for key in (f"{prefix}:kept:tenant:{tenant}:itself", f"{prefix}:generation:tenant:{tenant}"):
        assert await redis.ttl(key) > 0


async def test_one_tenants_change_leaves_the_others_kept(redis, prefix, tenant):
    source, cache = Source(tenant), cache_of(redis, prefix)
    await cache.tenant(tenant, source.read)
    await cache.renew_tenant("ten_another")
    await cache.tenant(tenant, source.read)
    assert source.reads == 1


async def test_what_was_not_asked_for_longest_goes_when_it_becomes_too_much(redis, prefix, tenant):
    source = Source(tenant)
    cache = cache_of(redis, prefix, most_bytes=3 * len(bson.encode(source.tenant.stored())))
    names = [f"{tenant}{place}" for place in range(4)]
    await cache.tenant(names[0], source.read)
    for name in names[1:]:
        await cache.tenant(name, source.read)
        await cache.tenant(names[0], source.read)
    before = counts()
    await cache.tenant(names[0], source.read)
    await cache.tenant(names[1], source.read)
    assert tuple(after - then for after, then in zip(counts(), before, strict=True)) == (1, 1, 0)


async def test_without_redis_tenants_come_from_their_source(prefix, tenant):
    async with running_stores() as stores:
        redis = connect_redis(stores.redis_url)
        source, cache = Source(tenant), cache_of(redis, prefix)
        await cache.tenant(tenant, source.read)
        os.kill(stores.redis.pid, signal.SIGSTOP)
        try:
            source.change("second")
            await cache.renew_tenant(tenant)
            assert (await cache.tenant(tenant, source.read)).name == "second"
        finally:
            os.kill(stores.redis.pid, signal.SIGCONT)
        await eventually(lambda: redis.ping())
        source.change("third")
        await cache.renew_tenant(tenant)
        assert (await cache.tenant(tenant, source.read)).name == "third"
        await redis.aclose()


@pytest.mark.parametrize(
    ("event", "groups"),
    [
        ("tenant.changed", ("tenant:ten_a",)),
        ("vehicle.created", ("fleet:ten_a",)),
        ("depot.deleted", ("fleet:ten_a",)),
        ("geofence.changed", ("geofences:ten_a",)),
        ("geofence.entered", ()),
        ("webhook.disabled", ("webhooks:ten_a",)),
        ("notification_rules.changed", ("rules:ten_a",)),
        ("user.role_changed", ("identities",)),
        ("key.deleted", ("identities",)),
        ("driver.deleted", ("identities",)),
        ("delivery.created", ()),
    ],
)
def test_events_say_what_is_no_longer_good(event, groups):
    assert generations_of(event, "ten_a") == groups


async def test_the_relay_heals_a_change_whose_writer_died_before_telling(stores, redis, prefix, tenant):
    settings = Settings(prefix=prefix, database=f"relay_{uuid.uuid4().hex[:8]}")
    database = connected(stores.mongo_url, settings.database)
    database.kept = cache_of(redis, prefix)
    accounts, scope = AccountRepository(database), Scope(tenant, "usr_a")
    company = Tenant(id=tenant, tenant=tenant, name="first")
    await accounts.register(company, User(id="usr_a", tenant=tenant, email="a@test.pt", password_hash="", role="admin"))
    assert (await accounts.tenant(scope)).name == "first"

    async def rename(session) -> None:
        await database.tenants.update_one({"_id": tenant}, {"$set": {"name": "second"}}, session=session)

    await in_transaction(database, rename)
    assert (await accounts.tenant(scope)).name == "first"  # nobody has told
    feed = Feed(database, [], OutboxRelay(database, redis, settings))
    running = asyncio.create_task(feed.run())
    try:
        await eventually(lambda: _is_named(accounts, scope, "second"))
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await database.client.drop_database(settings.database)
        database.client.close()


async def _is_named(accounts: AccountRepository, scope: Scope, name: str) -> bool:
    return (await accounts.tenant(scope)).name == name


@contextlib.contextmanager
def a_process(stores, prefix):
    """Run one API process of its own, without the host and the shards; give its address."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen(64)
        given = {
            "mongo_url": stores.mongo_url,
            "redis_url": stores.redis_url,
            "prefix": prefix,
            "descriptor": door.fileno(),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.api_process", json.dumps(given)], pass_fds=(door.fileno(),)
        )
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two_processes(stores):
    """Return callers of two API processes that share nothing but the stores."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    with a_process(stores, prefix) as one, a_process(stores, prefix) as other:
        async with (
            httpx2.AsyncClient(base_url=one, timeout=60) as here,
            httpx2.AsyncClient(base_url=other, timeout=60) as there,
        ):
            yield Caller(here), Caller(there)


async def test_a_write_through_one_process_is_in_the_next_read_of_another(two_processes):
    here, there = two_processes
    admin = await here.registered()
    person = {"email": f"{uuid.uuid4().hex}@test.pt", "password": PASSWORD}
    user = await admin.make("users", {**person, "role": "planner"})
    token = (await admin.ask("POST", "auth/login", json=person)).json()["accessToken"]
    writers = (here.with_token(admin.token), there.with_token(admin.token))
    for number in range(40):
        writer, reader = writers[number % 2], writers[(number + 1) % 2]
        name, role = f"Name {number}", ("admin", "planner")[number % 2]
        body = {"name": name, "settings": {"proofRequired": bool(number % 2)}}
        assert (await writer.ask("PATCH", "tenant", json=body)).status_code == 200
        seen = (await reader.ask("GET", "tenant")).json()
        assert (seen["name"], seen["settings"]["proofRequired"]) == (name, bool(number % 2))
        assert (await writer.ask("PATCH", f"users/{user['id']}/role", json={"role": role})).status_code == 200
        profile = (await reader.with_token(token).ask("GET", "auth/profile")).json()
        assert (profile["role"], profile["tenantName"]) == (role, name)


FENCE = {"name": "yard", "kind": "circle", "points": [{"latitude": 41, "longitude": -8}], "radiusM": 100}
SEEN = {
    "vehicles": {"name": "van"},
    "depots": {"name": "north", "place": {"latitude": 41, "longitude": -8}},
    "closures": {"name": "works", "kind": "line", "points": FENCE["points"] + [{"latitude": 41.1, "longitude": -8}]},
    "geofences": FENCE,
}


@pytest.mark.parametrize("kind", SEEN)
async def test_the_fleet_and_fences_are_as_another_process_left_them(two_processes, kind):
    """By id and in lists: made, changed and deleted by one process, seen by the next read of the other."""
    here, there = two_processes
    here = await here.registered()
    writer, reader = here, there.with_token(here.token)
    thing = await writer.make(kind, SEEN[kind])
    for number in range(20):
        assert [one["name"] for one in await _list(reader, kind)] == [thing["name"]]
        body = SEEN[kind] | {"name": f"name {number}"}
        answer = await writer.ask("PUT", f"{kind}/{thing['id']}", json=body)
        assert answer.status_code == 200, answer.text
        thing = answer.json()
        assert (await reader.ask("GET", f"{kind}/{thing['id']}")).json() == thing
        writer, reader = reader, writer
    assert (await writer.ask("DELETE", f"{kind}/{thing['id']}")).status_code == 204
    assert (await reader.ask("GET", f"{kind}/{thing['id']}")).status_code == 404
    assert await _list(reader, kind) == []


async def test_rules_are_as_another_process_left_them(two_processes):
    here, there = two_processes
    here = await here.registered()
    writer, reader = here, there.with_token(here.token)
    for channels in (["sms"], ["email"], [], ["sms", "email"]) * 3:
        rules = {"delivery-created": {"channels": channels, "urgent": True}}
        assert (await writer.ask("PUT", "notification-rules", json={"rules": rules})).status_code == 200
        seen = (await reader.ask("GET", "notification-rules")).json()
        assert seen["rules"]["delivery-created"]["channels"] == channels
        writer, reader = reader, writer


async def _list(caller, kind):
    return (await caller.ask("GET", kind)).json()["items"]


async def test_whether_there_are_webhooks_is_never_older_than_the_last_one(stores, redis, prefix, tenant):
    here = connected(stores.mongo_url, "outrider_test")
    there = connected(stores.mongo_url, "outrider_test")
    here.kept, there.kept = cache_of(redis, prefix), cache_of(redis, prefix)
    webhooks, scope = WebhookRepository(here), Scope(tenant, "usr_a")
    commands = WebhookCommands(there, Settings().webhooks)
    for _ in range(5):
        assert not await webhooks.is_listening(scope)
        made = (await commands.create(scope, WebhookShape(url="https://93.184.216.34/"))).webhook
        before = counts("webhooks")
        assert await webhooks.is_listening(scope)
        assert await webhooks.is_listening(scope)
        assert counts("webhooks")[0] == before[0] + 1, "the second look needs nothing"
        await commands.delete(scope, made.id, None)
    for database in (here, there):
        database.client.close()
