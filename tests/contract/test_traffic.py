"""The traffic task on a real store: what shards wrote into history becomes the state that plans ask for."""

import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.roads.states import read_state
from engine.settings import Settings
from engine.sinks.history import SealedSlot, cut_chunks
from engine.traffic.learner import TrafficLearner
from engine.traffic.watch import TrafficWatch
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


async def test_what_vans_drove_becomes_the_time_that_ways_take(database, tmp_path):
    town = grid_town(size=8, block_m=300.0)
    network = town.network(tmp_path)
    ends = town.at(1, east=20), town.at(8, east=-20)
    now = datetime.datetime.now(tz=datetime.UTC)
    drives = np.concatenate([a_slow_drive(network, FIRST + number, ends, now) for number in range(12)])
    chunks = cut_chunks(SealedSlot(0, 1, drives, 0), lambda _: "ten_traffic", at=now)
    await HistoryRepository(database).write(chunks)
    travel_settings = {"network": tmp_path / "town.roads", "order": ("roads",), "time_zone": "UTC"}
    settings = Settings(var=tmp_path, travel=travel_settings)
    travel = travel_of(settings.travel, settings.traffic_file)
    before = await travel.matrix("van", ends, now)
    learner = TrafficLearner(network, ZoneInfo("UTC"))
    minute = datetime.timedelta(minutes=1)
    watch = TrafficWatch(database, settings)
    nothing = await watch.look(learner, now - 2 * minute, now - minute)
    assert (nothing.fixes, settings.traffic_file.exists()) == (0, False)
    learned = await watch.look(learner, now, now + minute)
    assert learned.fixes >= drives.size  # other tests may have written history too
    assert learned.steps > 20
    assert read_state(settings.traffic_file).network == network.mark
    again = travel_of.__wrapped__(settings.travel, settings.traffic_file)  # another process
    after, leg = await again.matrix("van", ends, now), await again.leg("van", *ends, now)
    assert after.duration_s[0, 1] > 1.5 * before.duration_s[0, 1]
    assert after.traffic == leg.traffic
    assert abs((after.traffic - now).total_seconds()) < 30
    assert before.traffic is None
    await again.close()
