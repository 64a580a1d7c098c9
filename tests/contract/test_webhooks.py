"""Webhooks from the change in MongoDB to the receiver, with the feed and the worker that a host runs."""

import asyncio
import contextlib
import datetime
import uuid
from pathlib import Path

import pytest
import pytest_asyncio
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from engine.feed.feed import Feed
from engine.settings import WebhookSettings
from engine.tasks.worker import TaskWorker
from engine.webhooks import replay
from engine.webhooks.follower import WebhookFollower
from engine.webhooks.tasks import webhook_kind
from models.documents.document import now
from models.documents.webhook import WebhookAttempt
from models.ids import new_id
from models.store.webhooks import WebhookAttemptRepository
from tests.rest import Caller, client_of, running_api
from tests.stack import eventually

LOCAL = WebhookSettings(allow_private=True, timeout_s=2)
PLACE = {"latitude": 41.1, "longitude": -8.6}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stores):
    """Return the API on a database of this module alone, because the feed is one for all tenants."""
    prefix = f"hooks-{uuid.uuid4().hex[:12]}"
    async with running_api(stores, prefix, database=prefix, webhooks=LOCAL) as (app, services):
        yield app, services
        await services.database.client.drop_database(prefix)


@pytest.fixture
def database(running):
    return running[1].database


@pytest_asyncio.fixture(loop_scope="session")
async def admin(running):
    async with client_of(running[0]) as http:
        yield await Caller(http).registered()


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def nothing_left(admin, database):
    """Let no test's webhooks be told of another's events: the receiver is one for all."""
    yield
    await database.webhooks.delete_many({"tenant": await tenant_of(admin)})
    await database.tasks.delete_many({"state": "waiting"})


async def tenant_of(caller):
    return (await caller.ask("GET", "auth/profile")).json()["tenantId"]


@contextlib.asynccontextmanager
async def telling(database, delays_s=(0.02, 0.04), **settings):
    """Run what a host runs for webhooks, with pauses that a test can wait for."""
    kind = webhook_kind(database, LOCAL.model_copy(update=settings), delays_s)
    feed, worker = Feed(database, [WebhookFollower(database)]), TaskWorker(database, {"webhook": kind})
    await feed.start()
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()
        await feed.stop()


async def a_webhook(admin, httpserver, path="/hook", **fields):
    return await admin.make("webhooks", {"url": httpserver.url_for(path), "events": ["delivery.*"]} | fields)


async def a_delivery(admin):
    return await admin.make("deliveries", {"dropoff": PLACE})


def told(httpserver, path="/hook"):
    return [request for request, _ in httpserver.log if request.path == path]


async def items(admin, path):
    return (await admin.ask("GET", path)).json()["items"]


async def test_a_change_reaches_the_receiver_signed_and_as_the_feed_shows_it(admin, httpserver, database):
    httpserver.expect_request("/hook").respond_with_data("", 204)
    webhook = await a_webhook(admin, httpserver)
    async with telling(database):
        await admin.make("drivers", {"name": "Ana"})
        delivery = await a_delivery(admin)
        [attempt] = await eventually(lambda: items(admin, f"webhooks/{webhook['id']}/deliveries"))
    [request] = told(httpserver)
    event = Verifier(webhook["secret"]).verify(request.get_data(), dict(request.headers))
    assert (event["type"], event["aggregate"], event["sequence"]) == ("delivery.created", delivery["id"], 1)
    assert [event] == await items(admin, "events?type=delivery.*")
    assert (attempt["eventId"], attempt["ok"], attempt["status"], attempt["attempt"]) == (event["id"], True, 204, 1)
    assert attempt["nextAttempt"] is None


async def test_a_secret_is_shown_once_and_kept_out_of_the_audit_log(admin, httpserver, database):
    webhook = await a_webhook(admin, httpserver)
    rotated = (await admin.ask("POST", f"webhooks/{webhook['id']}/rotate-secret")).json()
    async with telling(database):
        await eventually(lambda: _count(admin, f"events?aggregate={webhook['id']}", 2))
    for path in ("webhooks", f"webhooks/{webhook['id']}", "audit", "events"):
        answer = (await admin.ask("GET", path)).text
        assert webhook["id"] in answer
        assert webhook["secret"] not in answer
        assert rotated["secret"] not in answer
    stored = str(await database.webhooks.find_one({"_id": webhook["id"], "tenant": await tenant_of(admin)}))
    assert webhook["secret"] not in stored
    assert rotated["secret"] not in stored


async def test_both_secrets_sign_for_a_day_after_a_rotation(admin, httpserver, database):
    httpserver.expect_request("/hook").respond_with_data("")
    webhook = await a_webhook(admin, httpserver)
    rotated = (await admin.ask("POST", f"webhooks/{webhook['id']}/rotate-secret")).json()
    assert rotated["secret"] != webhook["secret"]
    assert rotated["oldSecretsUntil"] is not None
    await admin.ask("POST", f"webhooks/{webhook['id']}/test")
    request = told(httpserver)[-1]
    for secret in (webhook["secret"], rotated["secret"]):
        assert Verifier(secret).verify(request.get_data(), dict(request.headers))["type"] == "webhook.ping"
    past = now() - datetime.timedelta(seconds=1)
    mine = {"_id": webhook["id"], "tenant": await tenant_of(admin)}
    await database.webhooks.update_one(mine, {"$set": {"secrets.1.until": past}})
    await admin.ask("POST", f"webhooks/{webhook['id']}/test")
    request = told(httpserver)[-1]
    assert Verifier(rotated["secret"]).verify(request.get_data(), dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        Verifier(webhook["secret"]).verify(request.get_data(), dict(request.headers))


async def test_rotations_are_bounded(admin, httpserver):
    webhook = await a_webhook(admin, httpserver)
    statuses = [(await admin.ask("POST", f"webhooks/{webhook['id']}/rotate-secret")).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 200, 409]


async def test_a_failure_is_tried_again_with_the_same_id(admin, httpserver, database):
    httpserver.expect_ordered_request("/hook").respond_with_data("", 500)
    httpserver.expect_ordered_request("/hook").respond_with_data("", 200)
    webhook = await a_webhook(admin, httpserver)
    async with telling(database):
        await a_delivery(admin)
        path = f"webhooks/{webhook['id']}/deliveries"
        await eventually(lambda: _count(admin, path, 2))
    second, first = await items(admin, path)
    assert (first["ok"], first["status"], second["ok"], second["attempt"]) == (False, 500, True, 2)
    assert first["nextAttempt"] is not None
    assert len({request.headers["webhook-id"] for request in told(httpserver)}) == 1
    assert [one["id"] for one in await items(admin, f"{path}?ok=false")] == [first["id"]]


async def test_410_disables_and_tells(admin, httpserver, database):
    httpserver.expect_request("/gone").respond_with_data("", 410)
    httpserver.expect_request("/other").respond_with_data("")
    webhook = await a_webhook(admin, httpserver, "/gone")
    await a_webhook(admin, httpserver, "/other", events=["webhook.disabled"])
    async with telling(database):
        await a_delivery(admin)
        [request] = await eventually(lambda: told(httpserver, "/other"))
        await a_delivery(admin)
    assert request.get_json()["data"]["webhookId"] == webhook["id"]
    seen = (await admin.ask("GET", f"webhooks/{webhook['id']}")).json()
    assert (seen["enabled"], seen["whyDisabled"]) == (False, "gone")
    assert len(told(httpserver, "/gone")) == 1
    assert await items(admin, "dead-letters") == []


async def test_nothing_but_failures_for_days_disables(admin, httpserver, database):
    httpserver.expect_request("/hook").respond_with_data("", 500)
    webhook = await a_webhook(admin, httpserver)
    tenant = (await admin.ask("GET", "tenant")).json()["id"]
    long_ago = now() - datetime.timedelta(days=6)
    first = WebhookAttempt(
        id=new_id("att"),
        tenant=tenant,
        webhook=webhook["id"],
        event="evt_1",
        type="delivery.created",
        time=long_ago,
        ok=False,
        duration_ms=1,
    )
    await WebhookAttemptRepository(database).note(first)

    async def state():
        return (await admin.ask("GET", f"webhooks/{webhook['id']}")).json()

    async with telling(database):
        await a_delivery(admin)
        await eventually(lambda: _count(admin, f"webhooks/{webhook['id']}/deliveries", 4))
        assert (await state())["enabled"], "it was made just now, so it has not failed for days"
        mine = {"_id": webhook["id"], "tenant": await tenant_of(admin)}
        await database.webhooks.update_one(mine, {"$set": {"enabledAt": long_ago}})
        await a_delivery(admin)
        assert await eventually(lambda: _is(state, lambda seen: seen["whyDisabled"] == "failing"))


async def test_what_fails_for_good_is_a_dead_letter_that_can_be_replayed(admin, httpserver, database):
    httpserver.expect_request("/other").respond_with_data("")
    for _ in range(3):
        httpserver.expect_oneshot_request("/hook").respond_with_data("", 503)
    await a_webhook(admin, httpserver, events=["delivery.*", "task.*"])
    await a_webhook(admin, httpserver, "/other", events=["task.failed"])
    async with telling(database):
        await a_delivery(admin)
        [letter] = await eventually(lambda: items(admin, "dead-letters"))
        assert (letter["kind"], letter["attempts"], letter["error"]) == ("webhook", 3, "answered 503")
        await eventually(lambda: told(httpserver, "/other"))
        httpserver.expect_request("/hook").respond_with_data("")
        assert (await admin.ask("POST", f"dead-letters/{letter['id']}/replay")).status_code == 202
        await eventually(lambda: len(told(httpserver)) == 4)
    assert len({request.headers["webhook-id"] for request in told(httpserver)}) == 1, "also not of its own failure"
    assert await items(admin, "dead-letters") == []


async def test_what_failed_is_replayed_at_once(admin, httpserver, database):
    for _ in range(6):
        httpserver.expect_oneshot_request("/hook").respond_with_data("", 500)
    webhook = await a_webhook(admin, httpserver)
    async with telling(database):
        await a_delivery(admin)
        await a_delivery(admin)
        await eventually(lambda: _count(admin, "dead-letters", 2))
        httpserver.expect_request("/hook").respond_with_data("")
        answer = await admin.ask("POST", f"webhooks/{webhook['id']}/replay", json={"failed": True})
        assert (answer.status_code, answer.json()) == (202, {"queued": 2, "next": None})
        await eventually(lambda: _count(admin, f"webhooks/{webhook['id']}/deliveries?ok=true", 2))
    assert await items(admin, "dead-letters") == []


async def test_what_failed_before_it_was_disabled_is_replayed_too(admin, httpserver, database):
    httpserver.expect_oneshot_request("/hook").respond_with_data("", 500)
    webhook = await a_webhook(admin, httpserver)
    failed = f"webhooks/{webhook['id']}/deliveries?ok=false"
    async with telling(database, (60.0,)):
        await a_delivery(admin)
        await eventually(lambda: _count(admin, failed, 1))
        replay = await admin.ask("POST", f"webhooks/{webhook['id']}/replay", json={"failed": True})
        assert replay.json()["queued"] == 0, "it is tried again anyway"
    await admin.ask("POST", f"webhooks/{webhook['id']}/disable")
    mine = {"tenant": await tenant_of(admin)}
    await database.tasks.update_many(mine, {"$set": {"due": now()}})
    await database.webhook_attempts.update_many(mine, {"$set": {"nextAttempt": now()}})  # as if the minute had passed
    httpserver.expect_request("/hook").respond_with_data("")
    async with telling(database):
        await eventually(lambda: _is(waiting_of(database, mine), lambda count: count == 0))
        await admin.ask("POST", f"webhooks/{webhook['id']}/enable")
        replay = await admin.ask("POST", f"webhooks/{webhook['id']}/replay", json={"failed": True})
        assert replay.json()["queued"] == 1
        await eventually(lambda: len(told(httpserver)) == 2)


def waiting_of(database, mine):
    return lambda: database.tasks.count_documents({**mine, "state": "waiting"})


async def test_a_disabled_webhook_is_told_nothing_and_a_replay_brings_what_it_missed(admin, httpserver, database):
    httpserver.expect_request("/hook").respond_with_data("")
    webhook = await a_webhook(admin, httpserver)
    async with telling(database):
        place = (await admin.ask("GET", "events?from=newest")).json()["next"]
        assert (await admin.ask("POST", f"webhooks/{webhook['id']}/disable")).json()["whyDisabled"] == "asked"
        began = now()
        missed = [(await a_delivery(admin))["id"] for _ in range(3)]
        await eventually(lambda: _count(admin, "events?type=delivery.created", 3))
        assert (await admin.ask("POST", f"webhooks/{webhook['id']}/enable")).json()["enabled"]
        replay = f"webhooks/{webhook['id']}/replay"
        for body in ({"since": began.isoformat()}, {"cursor": place}):
            httpserver.clear_log()
            answer = await admin.ask("POST", replay, json=body)
            assert answer.json() == {"queued": 3, "next": None}
            await eventually(lambda: len(told(httpserver)) == 3)
            assert {request.get_json()["aggregate"] for request in told(httpserver)} == set(missed)


async def test_a_replay_looks_at_so_many_events_and_says_where_to_go_on(admin, httpserver, database, monkeypatch):
    monkeypatch.setattr(replay, "_READ_AT_ONCE", 2)
    monkeypatch.setattr(replay, "_MOST_READ", 4)
    httpserver.expect_request("/hook").respond_with_data("")
    async with telling(database):
        place = (await admin.ask("GET", "events?from=newest")).json()["next"]
        for _ in range(5):
            await a_delivery(admin)
        webhook = await a_webhook(admin, httpserver)
        await eventually(lambda: _count(admin, "events?type=delivery.created", 5))
        queued = []
        while place is not None:
            answer = await admin.ask("POST", f"webhooks/{webhook['id']}/replay", json={"cursor": place})
            queued.append(answer.json()["queued"])
            place = answer.json()["next"]
    assert (sum(queued), len(queued)) == (5, 2)


@pytest.mark.parametrize("body", [{}, {"failed": False}, {"failed": True, "cursor": "MA"}, {"cursor": "?"}])
async def test_a_replay_says_one_thing(admin, httpserver, body):
    webhook = await a_webhook(admin, httpserver)
    assert (await admin.ask("POST", f"webhooks/{webhook['id']}/replay", json=body)).status_code == 422


async def test_a_slow_webhook_does_not_hold_up_others(admin, httpserver, database):
    """The slow one has more events before it than there are places in all."""
    httpserver.expect_request("/quick").respond_with_data("")
    hanging = asyncio.Event()

    async def hang(reader, writer):
        await hanging.wait()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await admin.make("webhooks", {"url": f"http://127.0.0.1:{port}/", "events": ["delivery.*"]})
        for _ in range(8):
            await a_delivery(admin)
        async with telling(database, at_once=4, at_once_each=2, timeout_s=30):
            await a_webhook(admin, httpserver, "/quick")
            for _ in range(8):
                await a_delivery(admin)
            await eventually(lambda: len(told(httpserver, "/quick")) >= 8)
            hanging.set()


async def test_what_happened_while_nobody_ran_is_told_once(admin, httpserver, database):
    httpserver.expect_request("/hook").respond_with_data("")
    webhook = await a_webhook(admin, httpserver)
    async with telling(database):
        pass
    for _ in range(3):
        await a_delivery(admin)
    for _ in range(2):
        async with telling(database):
            await eventually(lambda: _count(admin, f"webhooks/{webhook['id']}/deliveries", 3))
    assert len(told(httpserver)) == 3


async def test_a_worker_that_dies_after_the_post_repeats_it_with_the_same_id(admin, httpserver, database):
    httpserver.expect_request("/hook").respond_with_data("")
    await a_webhook(admin, httpserver)
    async with telling(database) as worker:
        worker._tasks.done = _never  # as if it died before it could note that it was done
        await a_delivery(admin)
        await eventually(lambda: told(httpserver))
    await database.tasks.update_many({"state": "waiting"}, {"$set": {"due": now()}})  # its lease is over
    async with telling(database):
        await eventually(lambda: len(told(httpserver)) == 2)
    assert len({request.headers["webhook-id"] for request in told(httpserver)}) == 1


async def test_a_test_sends_a_ping_and_tells_how_it_went(admin, httpserver):
    httpserver.expect_request("/hook").respond_with_data("", 418)
    webhook = await a_webhook(admin, httpserver, enabled=False)
    attempt = (await admin.ask("POST", f"webhooks/{webhook['id']}/test")).json()
    assert (attempt["type"], attempt["ok"], attempt["status"]) == ("webhook.ping", False, 418)
    assert attempt["nextAttempt"] is None
    assert await items(admin, f"webhooks/{webhook['id']}/deliveries") == [attempt]


async def test_a_webhook_is_changed_at_its_version_and_deleted(admin, httpserver):
    webhook = await a_webhook(admin, httpserver, description="orders")
    path, body = f"webhooks/{webhook['id']}", {"url": "http://127.0.0.1:9/", "events": ["*"], "version": 1}
    answer = await admin.ask("PUT", path, json=body)
    assert (answer.status_code, answer.headers["etag"], answer.json()["description"]) == (200, '"2"', None)
    assert (await admin.ask("PUT", path, json=body)).json()["current"] == 2
    assert (await admin.ask("DELETE", path, headers={"If-Match": '"1"'})).status_code == 409
    assert (await admin.ask("DELETE", path)).status_code == 204
    assert (await admin.ask("GET", path)).status_code == 404
    assert (await admin.ask("GET", f"{path}/deliveries")).status_code == 404


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://127.0.0.1/", 422),
        ("https://127.0.0.1/", 422),
        ("https://localhost/", 422),
        ("https://[::1]/", 422),
        ("https://169.254.169.254/latest/meta-data", 422),
        ("https://2130706433/", 422),
        ("https://0x7f.1/", 422),
        ("http://93.184.216.34/", 422),
        ("https://93.184.216.34/", 201),
    ],
)
async def test_where_a_webhook_may_lead(stores, prefix, url, status):
    async with running_api(stores, prefix) as (app, _), client_of(app) as http:
        admin = await Caller(http).registered()
        answer = await admin.ask("POST", "webhooks", json={"url": url})
        assert answer.status_code == status, answer.text
        if status == 422:
            assert answer.json()["errors"][0]["field"] == "url"


async def test_a_webhook_is_made_once_for_a_key(admin, httpserver):
    body, headers = {"url": httpserver.url_for("/hook")}, {"Idempotency-Key": "one"}
    first, second = [await admin.ask("POST", "webhooks", json=body, headers=headers) for _ in range(2)]
    assert first.json() == second.json()
    assert len(await items(admin, "webhooks")) == 1


async def _count(admin, path, count):
    return len(await items(admin, path)) == count


async def _is(ask, condition):
    return condition(await ask())


async def _never(_):
    pass


async def test_the_receiver_of_the_manual_takes_what_is_sent(admin, httpserver, capsys):
    page = (Path(__file__).parents[2] / "docs/how-to/receive-webhooks.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0]
    manual = {}
    exec(compile(code, "receive-webhooks.md", "exec"), manual)  # noqa: S102 - the page that people copy from
    httpserver.expect_request("/hook").respond_with_data("")
    webhook = await a_webhook(admin, httpserver)
    await admin.ask("POST", f"webhooks/{webhook['id']}/test")
    [request] = told(httpserver)
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert manual["receive"](webhook["secret"], headers, request.get_data()) == 204
    assert "webhook.ping" in capsys.readouterr().out
    assert manual["receive"](webhook["secret"], headers, request.get_data()) == 204
    assert "webhook.ping" not in capsys.readouterr().out
    assert manual["receive"](webhook["secret"], headers, request.get_data() + b" ") == 401
