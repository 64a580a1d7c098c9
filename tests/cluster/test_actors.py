"""Shards as Ray actors: they share the partitions, and callers always get an answer."""

from dataclasses import replace

import numpy as np
import pytest

from models.errors import NotFound
from models.messages.fixes import DEGREE
from tests.builders import LATITUDE, LONGITUDE, START_MS, a_fix
from tests.cluster.fleet import a_fleet, supervised
from tests.stack import Stores

pytestmark = pytest.mark.cluster


async def test_callers_reach_drivers_wherever_they_are(
    stores: Stores, tenant: str, prefix: str, ray_session: str
) -> None:
    async with a_fleet(stores, tenant, prefix, drivers=6, count=2) as fleet, supervised(fleet) as (supervisor, engine):
        assert sorted(len(status["holding"]) for status in supervisor.status.values()) == [2, 2]
        await fleet.reached(await fleet.drive(0, 5))
        live = await engine.driver(tenant, fleet.ids[0]).live()
        assert (live.time, live.stale, live.motion != "", live.online) == (START_MS + 40_000, False, True, True)
        track = await engine.driver(tenant, fleet.ids[0]).track(START_MS, START_MS + 60_000)
        assert track["time"].tolist() == [START_MS + 10_000 * turn for turn in range(5)]
        for turn in range(5):
            then = await engine.driver(tenant, fleet.ids[0]).live_at(START_MS + 10_000 * turn + 4_000)
            assert then.time == START_MS + 10_000 * turn
            assert (then.latitude, then.online) == (track["lat"][turn] / DEGREE, True)
        assert (await engine.driver(tenant, fleet.ids[0]).live_at(START_MS + 400_000)).online is False
        last = await engine.driver(tenant, fleet.ids[0]).live_at(START_MS + 40_000)
        assert replace(last, received=live.received) == live
        with pytest.raises(NotFound):
            await engine.driver(tenant, fleet.ids[0]).live_at(START_MS - 1)
        nearest = await engine.nearest(tenant, LATITUDE, LONGITUDE, 3)
        assert len(nearest) == 3
        watched = await engine.watch(tenant, 5.0)
        assert sum(records.size for _, _, _, records in watched) == 6
        with pytest.raises(NotFound):
            await engine.driver("ten_other", fleet.ids[0]).live()


async def test_live_answers_from_the_snapshot_while_its_shard_is_away(
    stores: Stores, tenant: str, prefix: str, ray_session: str
) -> None:
    async with a_fleet(stores, tenant, prefix, drivers=3, count=1) as fleet:
        async with supervised(fleet) as (_, engine):
            await fleet.reached(await fleet.send(np.stack([a_fix(5.0, driver=number) for number in fleet.numbers])))
        live = await engine.driver(tenant, fleet.ids[0]).live()
        assert (live.time, live.stale) == (START_MS + 5_000, True)
