"""Migrations on a real mongod: up, down, status, and two starters at once."""

import asyncio
import contextlib
import datetime
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from engine.shards.drivers import DRIVER
from models.documents.document import now
from models.store.connections import Database, connect_mongo
from models.store.etas import EtaRepository
from models.store.event_queue import EventQueue
from models.store.migrating import Migrations
from models.store.migrations import m0006_passive_layouts
from models.store.motion import MotionRepository
from models.store.scope import Scope

COUNTING = '''"""Counts how often it ran."""
name = "{name}"
dependencies = {needs}
def upgrade(db):
    seen = (db.ran.find_one({{"_id": name}}) or {{}}).get("times", 0)
    if "{gate}":
        open("{gate}").read()  # a pipe: until its other end is closed
    db.ran.replace_one({{"_id": name}}, {{"times": seen + 1}}, upsert=True)
def downgrade(db):
    db.ran.update_one({{"_id": name}}, {{"$inc": {{"times": -1}}}})
'''


@pytest_asyncio.fixture(loop_scope="session")
async def store(stores) -> AsyncIterator[Database]:
    """Return a database of the test's own."""
    database = connect_mongo(stores.mongo_url, f"migrations-{uuid.uuid4().hex[:8]}")
    yield database
    await database.client.drop_database(database.name)
    database.client.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return two migrations that count."""
    (tmp_path / "first.py").write_text(COUNTING.format(name="first", needs=[], gate=""))
    (tmp_path / "second.py").write_text(COUNTING.format(name="second", needs=["first"], gate=""))
    return tmp_path


async def times(store: Database) -> dict[str, int]:
    return {one["_id"]: one["times"] async for one in store.ran.find()}


async def test_the_version_is_given_and_taken_away(store):
    await store.shared.drivers.insert_many([{"_id": "old"}, {"_id": "new", "version": 7}])
    apart = store.client[f"{store.name}-ten_1"]
    await apart.deliveries.insert_one({"_id": "old"})
    migrations = Migrations(store)
    names = [
        "m0001_versions",
        "m0002_event_queue",
        "m0003_fewer_indexes",
        "m0004_due_tasks",
        "m0005_eta_blocks",
        "m0006_passive_layouts",
    ]
    assert await migrations.up() == names
    assert {one["_id"]: one.get("version") async for one in store.shared.drivers.find()} == {"old": 1, "new": 7}
    assert (await apart.deliveries.find_one())["version"] == 1
    assert await migrations.down("m0001_versions") == names[::-1]
    assert {one["_id"]: one.get("version") async for one in store.shared.drivers.find()} == {"old": None, "new": 7}
    await store.client.drop_database(apart.name)


async def test_a_driver_put_aside_by_the_release_before_is_read_by_this_one(store):
    before = np.zeros(1, np.dtype(m0006_passive_layouts.BEFORE))
    before["number"], before["lat"], before["odometer_m"] = 7, 41.15, 1200.0
    await store.shared.passive.insert_one({"_id": 7, "b": before.tobytes()})
    await Migrations(store).up()
    states = await MotionRepository(store).passive([7], DRIVER)
    [driver] = np.frombuffer(states[7], DRIVER)
    assert (driver["number"], driver["lat"], driver["odometer_m"], driver["stood_n"]) == (7, 41.15, 1200.0, 0)
    await Migrations(store).down("m0006_passive_layouts")
    assert await store.shared.passive.find().to_list(None) == [{"_id": 7, "b": before.tobytes()}]


async def test_what_an_outbox_had_not_told_goes_into_its_events_and_back(store):
    event = {"tenant": "ten_1", "time": now(), "type": "delivery.created", "aggregate": "dlv_1", "sequence": 1}
    await store.shared.events.insert_many(
        [{**event, "_id": "evt_1", "number": 7}, {**event, "_id": "evt_2", "queued": now()}, {**event, "_id": "evt_3"}]
    )
    messages = [{"partition": 3, "bytes": b"said"}]
    errand = {"tenant": "ten_1", "event": b"\x80", "messages": messages}
    told = {**errand, "_id": "evt_3", "relayed": now()}
    waiting = [{**errand, "_id": identifier, "waiting": True} for identifier in ("evt_1", "evt_2")]
    await store.shared.outbox.insert_many([*waiting, told])
    migrations = Migrations(store)
    await migrations.up()
    queue = EventQueue(store)
    assert [(one.event.id, one.messages) for one in await queue.late(9)] == [("evt_1", ((3, b"said"),))]
    assert [(one.event.id, one.messages) for one in await queue.waiting(9)] == [("evt_2", ((3, b"said"),))]
    assert "outbox" not in await store.shared.list_collection_names()
    assert (await migrations.down("m0002_event_queue"))[-1] == "m0002_event_queue"
    again = {one["_id"]: one["messages"] async for one in store.shared.outbox.find({"waiting": True})}
    assert again == {"evt_1": messages, "evt_2": messages}
    assert await queue.late(9) == []


async def test_points_of_estimates_become_blocks_and_points_again(store):
    moments = [now().replace(microsecond=0) + datetime.timedelta(seconds=after) for after in range(3)]
    said = {"estimated": now(), "earliest": now(), "latest": now(), "confidence": "low", "promise": False, "model": "m"}
    points = [
        {
            "_id": f"dlv_1:{stop}:{round(at.timestamp() * 1000)}",
            "tenant": "ten_1",
            "delivery": "dlv_1",
            "stop": stop,
            "at": at,
            **said,
        }
        for at, stop in zip(moments, ("dropoff", "pickup", "dropoff"), strict=True)
    ]
    await store.shared.eta_history.insert_many(points)
    migrations = Migrations(store)
    await migrations.up()
    found = await EtaRepository(store).points(Scope("ten_1", "test"), "dlv_1")
    assert [(one["at"], one["confidence"]) for one in found] == [(moments[0], "low"), (moments[2], "low")]
    assert await EtaRepository(store).points(Scope("ten_2", "test"), "dlv_1") == []
    await migrations.down("m0005_eta_blocks")
    again = {one["_id"]: one["at"] async for one in store.shared.eta_history.find()}
    assert again == {points[0]["_id"]: moments[0], points[2]["_id"]: moments[2]}


async def test_two_starters_at_once_apply_each_migration_once(store, folder):
    gate = folder / "gate"
    os.mkfifo(gate)
    (folder / "first.py").write_text(COUNTING.format(name="first", needs=[], gate=gate))
    async with asyncio.TaskGroup() as group:
        starting = [group.create_task(Migrations(store, folder).up()) for _ in range(3)]
        opened = await asyncio.to_thread(gate.open, "w")  # when a starter is in the midst of the first
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await asyncio.gather(*map(asyncio.shield, starting))  # none of the others may get in meanwhile
        opened.close()
    done = [one.result() for one in starting]
    assert sorted(done) == [[], [], ["first", "second"]]
    assert await times(store) == {"first": 1, "second": 1}


async def test_down_undoes_the_last_or_all_from_the_one_named(store, folder):
    migrations = Migrations(store, folder)
    await migrations.up()
    assert await migrations.down() == ["second"]
    assert [one.applied is not None for one in await migrations.status()] == [True, False]
    await migrations.up()
    assert await migrations.down("first") == ["second", "first"]
    assert await times(store) == {"first": 0, "second": 0}
    assert await migrations.down() == []
    with pytest.raises(KeyError):
        await migrations.down("third")


async def test_what_failed_is_not_applied_and_lets_the_next_starter_in(store, folder):
    (folder / "third.py").write_text(
        'name, dependencies = "third", ["second"]\ndef upgrade(db):\n    raise ValueError("no")\n'
    )
    migrations = Migrations(store, folder)
    with pytest.raises(ValueError, match="no"):
        await migrations.up()
    assert [one.applied is not None for one in await migrations.status()] == [True, True, False]
    assert await migrations.down() == ["second"]
