"""The traffic task on a real store: what shards wrote into history becomes the state that plans ask for."""

import asyncio
import datetime
import threading
from zoneinfo import ZoneInfo

import numpy as np
import pytest

import engine.traffic.watch
from engine.roads.states import read_state, write_state
from engine.settings import Settings
from engine.sinks.history import SealedSlot, cut_chunks
from engine.traffic.learner import TrafficLearner
from engine.traffic.watch import TrafficWatch, ledger_file
from engine.travel.answers import Journey
from engine.travel.chain import travel_of
from models.messages.fixes import DEGREE, STORED
from models.store.history import HistoryRepository
from tests.roads import grid_town

pytestmark = pytest.mark.timeout(400)  # the first run compiles the rules of roads

FIRST = 3_900_000_000  # driver numbers that no other test uses


def a_slow_drive(network, number, ends, now):
    leg = network.leg(*ends, "van")
    seconds = np.append(np.arange(0, leg.duration_s, 4.0), leg.duration_s)
    stored = np.zeros(seconds.size, STORED)
    at_s = now.timestamp() - 4 * (leg.duration_s - seconds)
    stored["driver"], stored["time"] = number, np.round(at_s * 1000)
    stored["received"] = stored["time"]
    stored["position"] = stored["received"].astype(np.uint64) << np.uint64(20)
    for name, line in (("lat", leg.latitudes), ("lon", leg.longitudes)):
        stored[name] = np.rint(np.interp(seconds, leg.seconds, line) * DEGREE)
    return stored


def some_drives(town, network, first, count, at):
    """Return chunks of vans that crawl along the southern street, and its ends."""
    ends = town.at(1, east=20), town.at(8, east=-20)
    drives = np.concatenate([a_slow_drive(network, first + number, ends, at) for number in range(count)])
    return cut_chunks(SealedSlot(0, 1, drives, 0), lambda _: "ten_traffic", at=at), ends


def some_settings(folder):
    travel = {"network": folder / "town.roads", "order": ("roads",), "time_zone": "UTC", "traffic_every_s": 5.0}
    return Settings(var=folder, travel=travel)


async def test_what_came_while_nobody_looked_is_learned_after_the_restart_and_once(database, tmp_path):
    town = grid_town(size=8, block_m=300.0)
    network = town.network(tmp_path)
    then = datetime.datetime.now(tz=datetime.UTC) + datetime.timedelta(days=20)  # no other test is there
    minute, settings = datetime.timedelta(minutes=1), some_settings(tmp_path)
    before, _ = some_drives(town, network, FIRST + 100, 3, then)
    learner = TrafficLearner(network, ZoneInfo("UTC"))
    await HistoryRepository(database).write(before)
    assert (await TrafficWatch(database, settings).follow(learner, then + minute)).steps > 0
    learner.save(ledger_file(settings.traffic_file))
    between, _ = some_drives(town, network, FIRST + 110, 3, then + 10 * minute)
    await HistoryRepository(database).write(between)
    again = TrafficLearner(network, ZoneInfo("UTC"))
    again.resume(ledger_file(settings.traffic_file))
    watch = TrafficWatch(database, settings)
    missed = await watch.follow(again, then + 50 * minute)
    assert missed.fixes == sum(chunk["n"] for chunk in between)
    assert missed.steps > 0
    assert (await watch.follow(again, then + 50 * minute)).fixes == 0


async def test_bikes_teach_nothing_whose_they_are_or_on_whose_route(database, tenant, tmp_path):
    town = grid_town(size=8, block_m=300.0)
    network = town.network(tmp_path)
    at = datetime.datetime.now(tz=datetime.UTC) + datetime.timedelta(days=40)
    chunks, _ = some_drives(town, network, FIRST + 200, 3, at)
    await HistoryRepository(database).write(chunks)
    numbers = {f"drv_{tenant}_{number}": FIRST + 200 + number for number in range(3)}
    for driver, number in numbers.items():
        await database.drivers.insert_one({"_id": driver, "tenant": tenant, "number": number})
    owner, rider, _ = numbers
    await database.tenants.insert_one({"_id": tenant})  # whose business is where is looked up there
    bikes = {f"veh_{tenant}_own": owner, f"veh_{tenant}_pool": None}
    for bike, driver in bikes.items():
        await database.vehicles.insert_one({"_id": bike, "tenant": tenant, "profile": "bike", "driverId": driver})
    route = {"_id": f"rte_{tenant}", "tenant": tenant, "vehicle": f"veh_{tenant}_pool", "status": "dispatched"}
    await database.routes.insert_one(route | {"driver": rider})
    learned = await TrafficWatch(database, some_settings(tmp_path)).follow(
        TrafficLearner(network, ZoneInfo("UTC")), at + datetime.timedelta(minutes=1)
    )
    await database.tenants.delete_one({"_id": tenant})
    assert 0 < learned.fixes == sum(chunk["n"] for chunk in chunks if chunk["d"] == FIRST + 202)


async def test_who_is_stopped_while_publishing_loses_nothing(database, tmp_path, monkeypatch):
    """The ledger is saved for the last time when the state is out, and the loop goes on meanwhile."""
    town = grid_town(size=8, block_m=300.0)
    network, settings = town.network(tmp_path), some_settings(tmp_path)
    publishing, released = threading.Event(), threading.Event()

    def slowly(path, state):
        publishing.set()
        assert released.wait(60)
        write_state(path, state)

    monkeypatch.setattr(engine.traffic.watch, "write_state", slowly)
    now = datetime.datetime.now(tz=datetime.UTC) - datetime.timedelta(seconds=5)
    chunks, _ = some_drives(town, network, FIRST + 300, 6, now)
    await HistoryRepository(database).write(chunks)
    watch = TrafficWatch(database, settings)
    await watch.start()
    try:
        assert await asyncio.to_thread(publishing.wait, 60)
    finally:
        stopping = asyncio.create_task(watch.stop())
        await asyncio.wait([stopping], timeout=0.5)
        saved_early = ledger_file(settings.traffic_file).exists()
        released.set()
        await stopping
    assert not saved_early
    again = TrafficLearner(network, ZoneInfo("UTC"))
    again.resume(ledger_file(settings.traffic_file))
    assert again.arcs == read_state(settings.traffic_file).driven.size > 0
    assert {path.name for path in settings.traffic_file.parent.iterdir()} >= {"roads.state", "roads.ledger"}
    assert not list(settings.traffic_file.parent.glob("*.partial"))


async def test_what_vans_drove_becomes_the_time_that_ways_take(database, tmp_path):
    town = grid_town(size=8, block_m=300.0)
    network = town.network(tmp_path)
    today = datetime.datetime.now(tz=datetime.UTC).replace(hour=10, minute=45)
    now = today + datetime.timedelta(days=9 - today.weekday())  # a Wednesday; the drives are within an hour
    chunks, ends = some_drives(town, network, FIRST, 12, now)
    await HistoryRepository(database).write(chunks)
    settings = some_settings(tmp_path)
    travel = travel_of(settings.travel, settings.traffic_file)
    before = await travel.matrix(ends, Journey("van", now))
    learner = TrafficLearner(network, ZoneInfo("UTC"))
    minute = datetime.timedelta(minutes=1)
    watch = TrafficWatch(database, settings)
    nothing = await watch.look(learner, now - 2 * minute, now - minute)
    assert (nothing.fixes, settings.traffic_file.exists()) == (0, False)
    learned = await watch.look(learner, now, now + minute)
    assert learned.fixes == sum(chunk["n"] for chunk in chunks)
    assert learned.steps > 20
    assert read_state(settings.traffic_file).network == network.mark
    again = travel_of.__wrapped__(settings.travel, settings.traffic_file)  # another process
    after, leg = await again.matrix(ends, Journey("van", now)), await again.leg(*ends, Journey("van", now))
    assert after.duration_s[0, 1] > 1.5 * before.duration_s[0, 1]
    assert after.traffic == leg.traffic
    assert abs((after.traffic - now).total_seconds()) < 30
    assert before.traffic is None
    await again.close()
