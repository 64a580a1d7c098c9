"""Durable tasks against a real MongoDB: tried again, kept when dead, given to another when a worker dies."""

import asyncio
import contextlib
import datetime

import pytest

from engine.tasks.worker import TaskKind, TaskWorker
from models.documents.document import now
from models.documents.task import Task
from models.errors import NotFound, Postponed, Undoable
from models.ids import new_id
from models.store.paging import PageRequest
from models.store.scope import Scope
from models.store.tasks import Room, TaskRepository
from models.store.transactions import in_transaction
from tests.stack import eventually

SOON = (0.02, 0.04)


@pytest.fixture
def database(alone):
    """Return a database of this test alone: a worker serves all tenants of one."""
    return alone


@contextlib.asynccontextmanager
async def working(database, handle, **options):
    worker = TaskWorker(database, {"test": TaskKind(handle, **{"delays_s": SOON, **options})})
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


def a_task(tenant, **fields):
    return Task(**{"id": new_id("tsk"), "tenant": tenant, "kind": "test", "payload": {"n": 1}} | fields)


async def state_of(database, task):
    return (await database.tasks.find_one({"_id": task.id}))["state"]


async def test_a_task_is_done_and_its_payload_dropped(database, tenant):
    seen = []

    async def handle(task):
        seen.append(task.payload)

    task = a_task(tenant)
    async with working(database, handle):
        await TaskRepository(database).put([task])
        assert await eventually(lambda: _is(database, task, "done"))
    assert seen == [{"n": 1}]
    assert "payload" not in await database.tasks.find_one({"_id": task.id})


async def test_the_same_task_put_twice_is_done_once(database, tenant):
    done = []

    async def handle(task):
        done.append(task.id)

    task, last = a_task(tenant), a_task(tenant)
    async with working(database, handle):
        await TaskRepository(database).put([task])
        await eventually(lambda: _is(database, task, "done"))
        await TaskRepository(database).put([task, last])
        await eventually(lambda: _is(database, last, "done"))
    assert done == [task.id, last.id]


async def test_a_task_is_tried_three_times_then_dead_and_told(database, tenant):
    attempts = []

    async def handle(task):
        attempts.append(task.attempts)
        raise ConnectionError("the gateway hangs up")

    task = a_task(tenant)
    await TaskRepository(database).put([task])
    async with working(database, handle):
        assert await eventually(lambda: _is(database, task, "dead"))
    assert attempts == [1, 2, 3]
    event = await database.events.find_one({"tenant": tenant, "type": "task.failed"})
    assert event["data"] == {"taskId": task.id, "kind": "test", "attempts": 3, "error": "the gateway hangs up"}


async def test_pauses_grow_as_the_kind_says(database, tenant):
    async def handle(task):
        raise ConnectionError("no")

    task = a_task(tenant)
    await TaskRepository(database).put([task])
    begun = now()
    async with working(database, handle, delays_s=(3600.0, 7200.0)):
        await eventually(lambda: database.tasks.find_one({"_id": task.id, "error": "no"}))
    stored = await database.tasks.find_one({"_id": task.id})
    assert 3595 <= (stored["due"] - begun).total_seconds() <= 3610


async def test_what_no_attempt_can_help_is_dead_at_once(database, tenant):
    async def handle(task):
        raise Undoable("there is no such number")

    task = a_task(tenant)
    await TaskRepository(database).put([task])
    async with working(database, handle):
        assert await eventually(lambda: _is(database, task, "dead"))
    assert (await database.tasks.find_one({"_id": task.id}))["attempts"] == 1


async def test_what_is_put_off_counts_no_attempt(database, tenant):
    async def handle(task):
        raise Postponed(now() + datetime.timedelta(hours=9))

    task = a_task(tenant)
    await TaskRepository(database).put([task])
    async with working(database, handle):
        put_off = await eventually(
            lambda: database.tasks.find_one({"_id": task.id, "attempts": 0, "claim": {"$ne": None}})
        )
    assert put_off["due"] > now() + datetime.timedelta(hours=8)


async def test_a_dead_letter_can_be_replayed_by_its_tenant_alone(database, tenant):
    is_up = asyncio.Event()

    async def handle(task):
        if not is_up.is_set():
            raise Undoable("down")

    task, tasks = a_task(tenant), TaskRepository(database)
    await tasks.put([task])
    async with working(database, handle):
        await eventually(lambda: _is(database, task, "dead"))
        page = await tasks.dead(Scope(tenant, "x"), PageRequest(10))
        assert [letter.error for letter in page.items] == ["down"]
        with pytest.raises(NotFound):
            await tasks.revive(Scope("ten_other", "x"), task.id)
        is_up.set()
        await tasks.revive(Scope(tenant, "x"), task.id)
        assert await eventually(lambda: _is(database, task, "done"))


async def test_a_backlog_of_one_lane_or_kind_holds_up_no_other(database, tenant):
    stuck, others = asyncio.Event(), []

    async def wait(task):
        await stuck.wait()

    async def note(task):
        others.append(task.id)

    async def either(task):
        await (wait if task.lane == "slow" else note)(task)

    slow = [a_task(tenant, lane="slow") for _ in range(40)]
    full = [a_task(tenant, kind="full") for _ in range(40)]
    quick = [a_task(tenant, lane="quick"), a_task(tenant, kind="other")]
    tasks = TaskRepository(database)
    for some in (slow, full, quick):  # those that wait longest first
        await tasks.put(some)
    kinds = {
        "test": TaskKind(either, at_once=6, at_once_each=3),
        "full": TaskKind(wait, at_once=2),
        "other": TaskKind(note, at_once=1),
    }
    worker = TaskWorker(database, kinds)
    await worker.start()
    try:
        await eventually(lambda: _all_done(database, tenant, len(quick)))  # which is written after it is so
        assert set(others) == {task.id for task in quick}
        begun = await database.tasks.count_documents({"attempts": 1, "state": "waiting"})
        assert begun == 3 + 2, "no more than there is room for"
    finally:
        stuck.set()
        await worker.stop()


async def test_a_task_of_a_worker_that_died_is_done_by_another(database, tenant):
    task, done = a_task(tenant), asyncio.Event()
    tasks = TaskRepository(database)
    await tasks.put([task])
    [taken] = await tasks.claim({"test": Room(10, 0.05)})
    assert await tasks.claim({"test": Room(10, 0.05)}) == []

    async def handle(task):
        done.set()

    async with working(database, handle):
        await asyncio.wait_for(done.wait(), 5)
        await eventually(lambda: _is(database, task, "done"))
    await tasks.again(taken, now(), "late word of the dead worker", counts=True)
    assert await state_of(database, task) == "done"


async def test_two_workers_share_the_tasks(database, tenant):
    done = []

    async def handle(task):
        done.append(task.id)

    tasks = [a_task(tenant) for _ in range(120)]
    async with working(database, handle), working(database, handle):
        await TaskRepository(database).put(tasks)
        assert await eventually(lambda: _all_done(database, tenant, 120), within_s=15)
    assert sorted(done) == sorted(task.id for task in tasks)


async def test_a_timer_waits_for_its_time_also_when_its_worker_is_another(database, tenant):
    rung = []

    async def handle(task):
        rung.append(now())

    due = now() + datetime.timedelta(seconds=0.4)
    task = a_task(tenant, due=due)
    async with working(database, handle):
        await TaskRepository(database).put([task])
    assert rung == []
    async with working(database, handle):
        await eventually(lambda: _is(database, task, "done"))
    assert rung[0] >= due


async def test_a_task_of_a_transaction_that_fails_is_never_done(database, tenant):
    tasks = TaskRepository(database)

    async def change(session):
        await tasks.put([a_task(tenant)], session)
        raise RuntimeError("the change fails")

    with pytest.raises(RuntimeError):
        await in_transaction(database, change)
    assert await database.tasks.count_documents({"tenant": tenant}) == 0


async def test_a_cancelled_task_is_not_done(database, tenant):
    tasks, task = TaskRepository(database), a_task(tenant, due=now() + datetime.timedelta(hours=1))
    await tasks.put([task])
    await tasks.cancel(Scope("ten_other", "x"), [task.id])
    assert await state_of(database, task) == "waiting"
    await tasks.cancel(Scope(tenant, "x"), [task.id])
    assert await database.tasks.find_one({"_id": task.id}) is None


async def _is(database, task, state):
    return await state_of(database, task) == state


async def _all_done(database, tenant, count):
    return await database.tasks.count_documents({"tenant": tenant, "state": "done"}) == count
