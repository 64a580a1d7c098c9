"""Chunks of history: written once however often a shard replays, read by fix time with the newest included."""

import datetime
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.settings import Settings
from engine.sinks.archive import ArchiveLoop
from engine.sinks.archive_files import DAY_MS, read_days
from engine.sinks.history import HistoryBuffer, Waiting, cut_chunks, read_track
from models.messages.fixes import STORED
from models.store.connections import Database, connect_mongo
from models.store.history import HOUR_MS, HistoryRepository
from models.store.indexes import ensure_indexes
from tests.builders import START_MS
from tests.stack import Stores

SLOT_MS = 3000
_drivers = itertools.count(3_000_000_000)


@pytest.fixture
def driver() -> int:
    """Return a driver number that no other test uses."""
    return next(_drivers)


def a_track(driver: int, count: int, *, start_s: float = 0.0, step_s: float = 1.0) -> NDArray[np.void]:
    """Return fixes of a driver, each received when it was made, an entry a fix."""
    track = np.zeros(count, STORED)
    track["driver"], track["seq"] = driver, -1
    track["time"] = START_MS + np.round((start_s + step_s * np.arange(count)) * 1000).astype(np.int64)
    track["received"] = track["time"]
    track["position"] = track["received"].astype(np.uint64) << np.uint64(20)
    track["lat"] = np.arange(count) * 1000
    return track


async def write(database: Database, *parts: NDArray[np.void], partition: int = 0) -> HistoryBuffer:
    """Let parts go through a buffer, and write what it seals."""
    buffer = HistoryBuffer(SLOT_MS)
    buffer.open(partition, 0, np.empty(0, STORED))
    for part in parts:
        buffer.add(partition, part)
        buffer.read_to(partition, int(part["position"][-1]))
    await flush(database, buffer)
    return buffer


async def flush(database: Database, buffer: HistoryBuffer) -> None:
    slots = buffer.take_sealed()
    await HistoryRepository(database).write([chunk for slot in slots for chunk in cut_chunks(slot, lambda _: "ten_x")])
    buffer.release(slots)


async def test_replay_in_other_batches_writes_the_same_chunks(database: Database, driver: int) -> None:
    track = a_track(driver, 60)
    await write(database, track)
    before = await chunks(database, driver)
    for size in (1, 7, 33):
        await write(database, *(track[start : start + size] for start in range(0, 60, size)))
    assert await chunks(database, driver) == before
    assert sum(count for _, count in before) == len(await read_track(database, driver, 0, 2**45))


async def test_durable_rises_with_what_is_written(database: Database, driver: int) -> None:
    track = a_track(driver, 10)
    buffer = await write(database, track)
    held = await read_track(database, driver, 0, 2**45)
    assert 0 < held.size < 10
    assert int(held["position"].max()) <= buffer.durable(0) < int(track["position"][held.size])
    waiting = buffer.of_driver(0, driver)
    assert held.size + waiting.stored.size == 10
    buffer.read_to(0, int(track["position"][-1]), int(track["received"][-1]) + 2 * SLOT_MS)
    assert buffer.durable(0) < int(track["position"][-1])
    await flush(database, buffer)
    assert buffer.durable(0) == int(track["position"][-1])
    assert buffer.size == 0


async def test_track_includes_what_waits_and_nothing_twice(database: Database, driver: int) -> None:
    track = a_track(driver, 10)
    buffer = await write(database, track)

    async def ask() -> Waiting:
        waiting = buffer.of_driver(0, driver)
        return Waiting(np.concatenate([waiting.stored, track[:3]]), waiting.since_written_s)

    read = await read_track(database, driver, START_MS + 2000, START_MS + 8000, ask)
    assert read["time"].tolist() == track["time"][2:9].tolist()


async def test_what_is_written_between_the_two_answers_is_not_missed(database: Database, driver: int) -> None:
    """History answers before a chunk is written, the shard after it: neither has it, so history is read again."""
    track = a_track(driver, 10)
    buffer = await write(database, track)
    buffer.read_to(0, int(track["position"][-1]), int(track["received"][-1]) + 2 * SLOT_MS)

    async def ask() -> Waiting:
        await HistoryRepository(database).blocks(driver, 0, 2**45)  # in turn: the question before has its answer
        await flush(database, buffer)
        return buffer.of_driver(0, driver)

    read = await read_track(database, driver, 0, 2**45, ask)
    assert read["time"].tolist() == track["time"].tolist()


async def test_late_upload_of_many_hours_is_found_by_the_hour(database: Database, driver: int) -> None:
    late = a_track(driver, 200, step_s=600.0)
    late["received"] = late["received"][-1]
    late["position"] = (int(late["received"][0]) << 20) + np.arange(200)
    after = a_track(driver, 2, start_s=200 * 600.0 + 10)
    await write(database, late, after)
    for hour in range(START_MS // HOUR_MS, START_MS // HOUR_MS + 30):
        read = await read_track(database, driver, hour * HOUR_MS, (hour + 1) * HOUR_MS - 1)
        assert read["time"].tolist() == [at for at in late["time"].tolist() if at // HOUR_MS == hour]


async def test_an_hour_is_read_quickly_and_by_its_index(database: Database, driver: int) -> None:
    await ensure_indexes(database)
    await write(database, a_track(driver, 6 * 3600))
    began = time.perf_counter()
    read = await read_track(database, driver, START_MS + 2 * HOUR_MS, START_MS + 3 * HOUR_MS - 1)
    assert read.size == 3600
    assert time.perf_counter() - began < 0.5  # the target is 0.05 on a quiet machine
    plan: Any = await database.history.find(
        {"d": driver, "to": {"$gte": START_MS, "$lt": START_MS + HOUR_MS}, "from": {"$lte": START_MS + HOUR_MS}}
    ).explain()
    assert plan["executionStats"]["totalKeysExamined"] < 2 * 3600 * 1000 / SLOT_MS


async def test_history_expires_after_the_days_of_the_settings(stores: Stores, prefix: str) -> None:
    own = connect_mongo(stores.mongo_url, f"outrider_{prefix.replace('-', '_')}")
    try:
        for days in (30, 60, 7):
            await ensure_indexes(own, keep_days=days)
            indexes = await own.history.index_information()
            assert indexes["expiry"]["expireAfterSeconds"] == days * 86_400
    finally:
        await own.client.drop_database(own.name)
        own.client.close()


async def test_a_fix_that_comes_after_history_has_forgotten_its_day_is_added_to_the_archive(
    stores: Stores, prefix: str, driver: int, tmp_path: Path
) -> None:
    own = connect_mongo(stores.mongo_url, f"outrider_{prefix.replace('-', '_')}")
    archive, day = ArchiveLoop(own, Settings(var=tmp_path)), START_MS // DAY_MS
    track, late = a_track(driver, 60), a_track(driver, 1, start_s=90.0)

    async def archived(after: datetime.timedelta) -> list[int]:
        await archive.write_due(datetime.datetime.now(tz=datetime.UTC) + after)
        hour = day * DAY_MS, START_MS + HOUR_MS
        times: list[int] = read_days(tmp_path / "archive", "ten_x", driver, *hour)["time"].tolist()
        return times

    try:
        await write_all(own, track)
        earlier = {"$dateSubtract": {"startDate": "$at", "unit": "hour", "amount": 1}}
        await own.history.update_many({}, [{"$set": {"at": earlier}}])
        assert await archived(datetime.timedelta()) == track["time"].tolist()
        await own.history.delete_many({"d": driver})  # as MongoDB does after thirty days
        await write_all(own, np.concatenate([track[:3], late]))
        assert await archived(datetime.timedelta(minutes=2)) == [*track["time"].tolist(), *late["time"].tolist()]
    finally:
        await own.client.drop_database(own.name)
        own.client.close()


async def write_all(database: Database, track: NDArray[np.void]) -> None:
    buffer = await write(database, track)
    buffer.read_to(0, int(track["position"][-1]), int(track["received"][-1]) + 2 * SLOT_MS)
    await flush(database, buffer)


async def chunks(database: Database, driver: int) -> list[tuple[bytes, int]]:
    found = await database.history.find({"d": driver}).sort("_id", 1).to_list(None)
    return [(bytes(chunk["_id"]), chunk["n"]) for chunk in found]
