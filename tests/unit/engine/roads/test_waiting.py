"""Waiting for a road network: taken up once it is there, and the log says once what is in the way."""

import asyncio

from structlog.testing import capture_logs

import engine.roads.waiting
from engine.roads.waiting import awaited_network
from tests.roads import grid_town


async def test_a_network_that_comes_late_is_taken_up_and_each_reason_is_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr(engine.roads.waiting, "RETRY_S", 0.001)
    looks, load = [], engine.roads.waiting.RoadNetwork.load

    def loaded(path):
        looks.append(path)
        if len(looks) == 10:
            path.write_bytes(b"half of it")
        if len(looks) == 20:
            grid_town(size=3).network(tmp_path)
        return load(path)

    monkeypatch.setattr(engine.roads.waiting.RoadNetwork, "load", loaded)
    with capture_logs() as told:
        network = await asyncio.wait_for(awaited_network(tmp_path / "town.roads"), 60)
    assert network.arc_count > 0
    assert [line["event"] for line in told] == ["roads.missing"] * 2
