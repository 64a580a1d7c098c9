"""`GET /health/detailed` says of every part how it is, and what waits."""

import datetime

import pytest
import pytest_asyncio

from engine.telemetry import metrics
from models.documents.document import now
from models.documents.event import Event
from models.documents.task import Task
from models.ids import new_id
from models.store.backlog import BacklogRepository
from models.store.outbox import Announcement, OutboxRepository
from models.store.tasks import TaskRepository
from models.store.transactions import in_transaction
from tests.rest import Caller, client_of, running_api


@pytest_asyncio.fixture(loop_scope="session")
async def running(stores, prefix):
    async with running_api(stores, prefix) as (app, services), client_of(app) as http:
        yield await Caller(http).registered(), services


async def test_every_part_is_asked_and_without_shards_the_rest_works(running):
    admin, _ = running
    answer = await admin.ask("GET", "health/detailed")
    report = answer.json()
    assert (answer.status_code, report["status"]) == (200, "degraded")  # this application runs without shards
    parts = {name: part["status"] for name, part in report["parts"].items()}
    assert parts.pop("shards") == "down"
    assert parts.keys() == {"mongo", "redis", "log", "events", "tasks", "disk", "providers"}
    assert parts["mongo"] == parts["redis"] == parts["log"] == "ok"
    assert report["parts"]["mongo"]["ms"] > 0
    assert report["parts"]["disk"]["freeBytes"] > 0


async def test_what_waits_is_counted(running, tenant):
    _, services = running
    database, backlog = services.database, BacklogRepository(services.database)
    waited, untold = await backlog.tasks(), await backlog.events()
    long_ago = now() - datetime.timedelta(minutes=5)
    tasks = [
        Task(id=new_id("tsk"), tenant=tenant, kind="late", payload={}, due=long_ago),
        Task(id=new_id("tsk"), tenant=tenant, kind="later", payload={}, due=now() + datetime.timedelta(hours=1)),
    ]
    await TaskRepository(database).put(tasks)
    event = Event(
        id=new_id("evt"), tenant=tenant, time=now(), type="a.b", aggregate="x", sequence=1, actor="t", data={}
    )
    await in_transaction(database, lambda session: OutboxRepository(database).put(session, [Announcement(event)]))
    waits, untold_now = await backlog.tasks(), await backlog.events()
    assert (waits.overdue, waits.waiting) == (waited.overdue + 1, waited.waiting + 2)
    assert untold_now.outbox == untold.outbox + 1
    assert untold_now.unnumbered_s >= 0


@pytest.mark.parametrize(("state", "said", "status"), [(2, "open", "degraded"), (0, "closed", "ok")])
async def test_an_open_circuit_is_degraded(running, state, said, status):
    admin, _ = running
    metrics.PROVIDER_CIRCUIT.labels("test-sms").set(state)
    providers = (await admin.ask("GET", "health/detailed")).json()["parts"]["providers"]
    assert providers["circuits"]["test-sms"] == said
    if state == 2:
        assert providers["status"] == status
