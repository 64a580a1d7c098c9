"""What a shard holds is a function of its log: whoever takes it over has the same state."""

import numpy as np
import pytest

from engine.privacy.positions import RunningPositions
from engine.sinks.history import read_track
from models.documents.delivery import Position
from models.documents.geofence import FenceShape
from models.messages.commands import (
    DeliveryAssigned,
    DeliveryChanged,
    FencesChanged,
    StopPlan,
    TenantChanged,
    encode,
)
from models.messages.fixes import DEGREE
from models.messages.log import EVENT_FIELD, stream_key
from models.store.geofences import GeofenceRepository
from models.store.scope import Scope
from tests.builders import a_fix
from tests.cluster.fleet import PARTITIONS, Fleet, a_fleet, kill
from tests.stack import Stores, eventually

pytestmark = pytest.mark.cluster

FAR_MS = 2**45


def states(shard) -> dict[int, bytes]:
    """Return the state of each driver without what belongs to the process: its row and its tenant's index."""
    records = shard.memory.state.drivers.records[: shard.memory.state.drivers.size].copy()
    records["tenant"] = 0
    return {int(record["number"]): record.tobytes() for record in records}


async def count_stored(fleet: Fleet) -> int:
    tracks = [await read_track(fleet.database, number, 0, FAR_MS) for number in fleet.numbers]
    return sum(track.size for track in tracks)


async def test_shard_applies_what_the_log_holds(stores: Stores, tenant: str, prefix: str) -> None:
    async with a_fleet(stores, tenant, prefix, drivers=5) as fleet, fleet.running() as shard:
        await fleet.reached(await fleet.drive(0, 10))
        records = shard.live(np.array(fleet.numbers, np.uint32))
        assert sorted(records["driver"].tolist()) == sorted(fleet.numbers)
        assert set(records["time"].tolist()) == {int(a_fix(90.0)["time"])}
        assert shard.memory.counts()["live"] == 50


async def test_replay_after_a_kill_equals_live(stores: Stores, tenant: str, prefix: str) -> None:
    async with a_fleet(stores, tenant, prefix, drivers=7) as fleet:
        first = fleet.shard()
        await first.start()
        await fleet.give(first, range(PARTITIONS))
        await fleet.reached(await fleet.drive(0, 20))
        await eventually(lambda: fleet.database.snapshots.count_documents({"offset": {"$gt": 0}}))
        await fleet.reached(await fleet.drive(20, 20))
        before = states(first)
        await kill(first)
        async with fleet.running(index=1) as second:
            await eventually(lambda: second.memory.counts()["live"] == 7 * 40)
            assert states(second) == before


async def test_everything_is_durable_and_nothing_twice_after_a_kill(stores: Stores, tenant: str, prefix: str) -> None:
    async with a_fleet(stores, tenant, prefix, drivers=6) as fleet:
        first = fleet.shard()
        await first.start()
        await fleet.give(first, range(PARTITIONS))
        await fleet.reached(await fleet.drive(0, 30))
        await kill(first)
        async with fleet.running(index=1):
            await fleet.reached(await fleet.drive(30, 10), "durable")
            assert await count_stored(fleet) == 6 * 40
            counts = await fleet.database.history.aggregate([{"$group": {"_id": None, "n": {"$sum": "$n"}}}]).to_list(1)
            assert counts[0]["n"] == 6 * 40


async def test_graceful_stop_leaves_nothing_to_replay(stores: Stores, tenant: str, prefix: str) -> None:
    async with a_fleet(stores, tenant, prefix, drivers=4) as fleet:
        async with fleet.running():
            await fleet.reached(await fleet.drive(0, 5))
        async with fleet.running(index=1) as second:
            assert second.memory.counts()["live"] == 20
            await fleet.reached(await fleet.drive(5, 1), "durable")
            assert await count_stored(fleet) == 4 * 6


async def test_partitions_move_without_loss(stores: Stores, tenant: str, prefix: str) -> None:
    async with (
        a_fleet(stores, tenant, prefix, drivers=8) as fleet,
        fleet.running(0) as first,
        fleet.running(1, partitions=[]) as second,
    ):
        await fleet.reached(await fleet.drive(0, 10))
        await fleet.give(first, [0, 1])
        await fleet.give(second, [2, 3])
        await fleet.reached(await fleet.drive(10, 10), "durable")
        assert await count_stored(fleet) == 8 * 20
        assert first.memory.counts()["live"] + second.memory.counts()["live"] == 8 * 20
        assert {*states(first), *states(second)} == set(fleet.numbers)


async def test_shard_that_lost_a_partition_notices_and_does_not_take_it_back(
    stores: Stores, tenant: str, prefix: str
) -> None:
    async with (
        a_fleet(stores, tenant, prefix, drivers=8) as fleet,
        fleet.running(0) as first,
        fleet.running(1, partitions=[]) as second,
    ):
        order = dict.fromkeys(range(PARTITIONS), 0)
        await fleet.reached(await fleet.drive(0, 5))
        await fleet.give(second, range(PARTITIONS))
        await eventually(lambda: not first.owned)
        first.hold(order)
        await fleet.reached(await fleet.drive(5, 5), "durable")
        assert not first.owned
        assert second.memory.counts()["live"] == 8 * 10
        assert await count_stored(fleet) == 8 * 10


async def test_late_fixes_are_told_as_a_repair_of_trips(stores: Stores, tenant: str, prefix: str) -> None:
    async with a_fleet(stores, tenant, prefix, drivers=1) as fleet, fleet.running():
        for start in (0, 20, 10):
            await fleet.reached(await fleet.drive(start, 10))

        async def told():
            return await fleet.database.events.find_one({"type": "driver.trips_repaired"})

        event = await eventually(told, 20)
        assert (event["tenant"], event["aggregate"]) == (tenant, fleet.ids[0])
        assert event["data"]["since"] <= int(a_fix(100.0)["time"]) <= event["time"].timestamp() * 1000
        assert "queued" in event


async def test_late_fixes_forget_no_trip_whose_positions_history_no_longer_holds(
    stores: Stores, tenant: str, prefix: str
) -> None:
    async with a_fleet(stores, tenant, prefix, drivers=2) as fleet, fleet.running():
        for start in (0, 20):
            await fleet.reached(await fleet.drive(start, 10), "durable")
        await fleet.database.history.delete_many({"d": fleet.numbers[0]})  # as after thirty days of silence
        await fleet.reached(await fleet.drive(10, 10))

        async def told():
            return await fleet.database.events.find_one({"type": "driver.trips_repaired", "aggregate": fleet.ids[1]})

        await eventually(told, 20)  # the other's turn came first
        assert await fleet.database.events.count_documents({"type": "driver.trips_repaired"}) == 1


async def test_who_reports_a_hand_over_at_the_door_has_arrived_there_once(
    stores: Stores, tenant: str, prefix: str
) -> None:
    async with a_fleet(stores, tenant, prefix, drivers=1) as fleet, fleet.running():
        [number] = fleet.numbers
        door = a_fix(0.0, 300.0)
        stop = StopPlan("dropoff", float(door["lat"] / DEGREE), float(door["lon"] / DEGREE), 60.0)
        about = {"event": "evt_1", "tenant": tenant, "driver": number, "delivery": "dlv_1"}
        log = stream_key(prefix, fleet.partitions[number])
        assigned = DeliveryAssigned(**about, version=1, status="in_transit", stops=(stop,))
        await fleet.redis.xadd(log, {EVENT_FIELD: encode(assigned)})
        for at_s, north_m in ((0.0, 0.0), (30.0, 295.0), (35.0, 301.0), (40.0, 299.0)):
            await fleet.send(np.stack([a_fix(at_s, north_m, driver=number)]))
        for version in (2, 2):  # told twice
            changed = DeliveryChanged(**about, version=version, status="delivered", assigned=True)
            await fleet.redis.xadd(log, {EVENT_FIELD: encode(changed)})
        await fleet.reached(await fleet.send(np.stack([a_fix(60.0, 299.0, driver=number)])), "durable")
        [event] = await fleet.database.events.find({"type": "delivery.stop_arrived"}).to_list(None)
        assert (event["aggregate"], event["data"]["stop"]) == ("dlv_1", "dropoff")
        assert a_fix(30.0)["time"] <= event["time"].timestamp() * 1000 <= a_fix(35.0)["time"]
        assert [(one.delivery, one.moment) for one in fleet.moments] == [("dlv_1", "arrived")]


@pytest.mark.parametrize("tenancy", ["shared", "database"])
async def test_fences_that_change_while_a_shard_runs_are_met(stores: Stores, tenant: str, prefix: str, tenancy) -> None:
    async with a_fleet(stores, tenant, prefix, drivers=1, tenancy=tenancy) as fleet:
        fences = GeofenceRepository(fleet.database)
        for company in (tenant, f"{tenant}b"):
            await fleet.database.tenants.insert_one({"_id": company})
        theirs = await fences.create(Scope(f"{tenant}b", "usr_b"), a_circle(50.0))
        first = await fences.create(Scope(tenant, "usr_a"), a_circle(150.0))
        async with fleet.running():
            await fleet.reached(await fleet.drive(0, 8))
            second = await fences.create(Scope(tenant, "usr_a"), a_circle(550.0))
            for partition in range(PARTITIONS):
                message = encode(FencesChanged(event="evt_1", tenant=tenant))
                await fleet.redis.xadd(stream_key(prefix, partition), {EVENT_FIELD: message})
            await fleet.reached(await fleet.drive(8, 8))

            async def entered():
                query = {"type": "geofence.entered", "data.geofence": second.id}
                return await fleet.database.events.find_one(query)

            assert (await eventually(entered, 20))["tenant"] == tenant
            met = await fleet.database.events.distinct("data.geofence", {"type": "geofence.entered"})
            assert set(met) == {first.id, second.id}
            assert theirs.id not in met


def a_circle(north_m: float) -> FenceShape:
    """Return a circle around where a driver is after so many metres."""
    fix = a_fix(0.0, north_m)
    point = Position(latitude=fix["lat"] / DEGREE, longitude=fix["lon"] / DEGREE)
    return FenceShape(name="yard", kind="circle", points=(point,), radius_m=60.0)


async def test_settings_of_noise_and_the_tenants_profile_reach_the_shard(
    stores: Stores, tenant: str, prefix: str
) -> None:
    async with a_fleet(stores, tenant, prefix, drivers=1, motion={"max_speed_mps": 20.0}) as fleet:
        await fleet.database.tenants.insert_one({"_id": tenant, "settings": {"motionProfile": "default"}})
        async with fleet.running() as shard:
            [number] = fleet.numbers
            fixes = [a_fix(0, driver=number), a_fix(10, 300, driver=number), a_fix(30, 310, driver=number)]
            await fleet.reached(await fleet.send(np.stack(fixes)))
            assert shard.memory.counts()["filtered"] == 1
            profiles = shard.memory.state.drivers.records["profile"]
            assert profiles[0] == 0
            await fleet.database.tenants.update_one({"_id": tenant}, {"$set": {"settings.motionProfile": "parcel"}})
            message = encode(TenantChanged(event="evt_1", tenant=tenant))
            for partition in range(PARTITIONS):
                await fleet.redis.xadd(stream_key(prefix, partition), {EVENT_FIELD: message})
            await eventually(lambda: profiles[0] == 1)


async def test_a_tenants_profile_reaches_drivers_whose_partition_comes_later(
    stores: Stores, tenant: str, prefix: str
) -> None:
    """The one who takes it over has met the message in its own partitions, and meets it again in the log of the new."""
    async with (
        a_fleet(stores, tenant, prefix, drivers=8, snapshot_interval_s=600.0) as fleet,
        fleet.running(0, partitions=[0, 1]) as first,
    ):
        await fleet.database.tenants.insert_one({"_id": tenant, "settings": {"motionProfile": "default"}})
        second = fleet.shard(1)
        await second.start()
        await fleet.give(second, [2, 3])
        await fleet.reached(await fleet.drive(0, 2))
        await second._images.save([2, 3])
        await fleet.database.tenants.update_one({"_id": tenant}, {"$set": {"settings.motionProfile": "parcel"}})
        message = encode(TenantChanged(event="evt_1", tenant=tenant))
        for partition in range(PARTITIONS):
            await fleet.redis.xadd(stream_key(prefix, partition), {EVENT_FIELD: message})
        await eventually(lambda: profiles(first) == profiles(second) == {1})
        await kill(second)
        await fleet.give(first, range(PARTITIONS))
        await eventually(lambda: len(states(first)) == 8 and profiles(first) == {1})


def profiles(shard) -> set[int]:
    """Return the motion profiles of a shard's drivers."""
    drivers = shard.memory.state.drivers
    return set(drivers.records["profile"][: drivers.size].tolist())


async def test_a_fault_in_a_step_starts_anew_from_the_stores(
    stores: Stores, tenant: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_fleet(stores, tenant, prefix, drivers=5) as fleet, fleet.running() as shard:
        await fleet.reached(await fleet.drive(0, 5))
        apply, faults = shard.memory.apply, []

        def fails_half_way(batch):
            if not faults:
                faults.append(1)
                apply(batch)
                raise IndexError("a fault of ours")
            return apply(batch)

        monkeypatch.setattr(type(shard.memory), "apply", lambda _, batch: fails_half_way(batch))
        sent = await fleet.drive(5, 5)
        await eventually(lambda: not shard.owned or shard.memory.counts()["live"] == 50)
        await fleet.give(shard, range(PARTITIONS))
        await fleet.reached(sent, "durable")
        assert faults
        assert shard.memory.counts() == {"received": 50, "live": 50, "late": 0, "filtered": 0, "duplicate": 0}
        assert await count_stored(fleet) == 50


async def test_erased_positions_are_in_no_memory_snapshot_or_log(stores: Stores, tenant: str, prefix: str) -> None:
    # images are taken while the last fixes still wait for history: those must go out of the snapshot as well
    async with a_fleet(stores, tenant, prefix, drivers=4, slot_s=1.5, snapshot_interval_s=0.1) as fleet:
        first = fleet.shard()
        await first.start()
        await fleet.give(first, range(PARTITIONS))
        await fleet.reached(await fleet.drive(0, 20))
        [erased, *others] = fleet.numbers
        await RunningPositions(fleet.database, fleet.redis, fleet.settings).forget(tenant, fleet.ids[0], erased)
        assert first.live(np.array([erased], np.uint32)).size == 0
        entries = await fleet.redis.xrange(stream_key(prefix, fleet.partitions[erased]), count=1)
        assert all(EVENT_FIELD in fields for _, fields in entries), "what came before the order is cut off"
        await fleet.database.history.delete_many({"d": erased})
        await kill(first)
        async with fleet.running(index=1) as second:
            await eventually(lambda: second.live(np.array(others, np.uint32)).size == len(others), within_s=20)
            assert sorted(second.live(np.array(others, np.uint32))["driver"].tolist()) == sorted(others)
            assert second.live(np.array([erased], np.uint32)).size == 0
            await fleet.reached(await fleet.drive(20, 5), "durable")
            again = await read_track(fleet.database, erased, 0, FAR_MS)
            assert int(again["time"].min()) == int(a_fix(200.0)["time"]), "its next position begins anew"
            assert second.live(np.array([erased], np.uint32)).size == 1
