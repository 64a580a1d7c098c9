"""Driven legs from MongoDB into the data set that models are trained on: each once, and only what is new."""

import datetime
from datetime import UTC

import numpy as np

from models.eta.history import driver_alias
from models.store.legs import LegRepository
from models.store.privacy import PrivacyRepository
from models.store.scope import Scope
from pipelines.datasets import LegDataset
from pipelines.stored_legs import export_legs

AT = datetime.datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def some_driven(tenant, count, first=0, drivers=3):
    """Return legs of drivers that go from stop to stop, each of ten minutes with five at the door."""
    found = []
    for number in range(first, first + count):
        driver, turn = number % drivers, number // drivers
        departed = AT + datetime.timedelta(minutes=15 * turn)
        found.append(
            {
                "_id": f"{tenant}-{number}",
                "tenant": tenant,
                "driver": f"drv_{driver}",
                "departed": departed,
                "arrived": departed + datetime.timedelta(minutes=10),
                "from": [41.15 + 0.01 * turn, -8.6 + 0.001 * driver],
                "to": [41.15 + 0.01 * (turn + 1), -8.6 + 0.001 * driver],
                "baseS": 500.0,
                "baseM": 2_000.0,
                "stopsLeft": 3.0,
                "serviceAheadS": 300.0,
                "weightKg": 5.0,
                "priority": 0.0,
            }
        )
    return found


async def test_what_was_driven_becomes_a_data_set_to_which_new_legs_are_added(database, tenant, tmp_path):
    stored, dataset, steps = LegRepository(database), LegDataset(tmp_path), []

    async def exported():
        found = await export_legs(
            stored, dataset, [tenant], lambda _: "Europe/Lisbon", lambda *step: steps.append(step)
        )
        return found[tenant]

    await stored.save(some_driven(tenant, 60))
    await stored.save(some_driven(f"{tenant}_other", 10))
    assert await exported() == 60
    assert steps[-1] == (tenant, 60, 60)
    assert await exported() == 0
    await stored.save(some_driven(tenant, 90))  # what was there comes again, as after a crash
    assert await exported() == 30
    assert dataset.companies() == {tenant: 90}
    trips = dataset.read(tenant)
    assert set(trips.legs["zone"]) == {"Europe/Lisbon"}
    assert set(trips.legs["driver"]) == {driver_alias(tenant, f"drv_{number}") for number in range(3)}
    np.testing.assert_array_equal(trips.legs["duration_s"], 600.0)
    inner = trips.legs["service_s"][np.isfinite(trips.legs["service_s"])]
    assert len(inner) > 60
    np.testing.assert_array_equal(inner, 300.0)


async def test_a_mark_that_was_lost_costs_time_and_nothing_else(database, tenant, tmp_path):
    stored, dataset = LegRepository(database), LegDataset(tmp_path)
    await stored.save(some_driven(tenant, 30))
    await export_legs(stored, dataset, [tenant], lambda _: "UTC")
    (tmp_path / f"company={tenant}" / "exported.json").write_text("{")
    assert await export_legs(stored, dataset, [tenant], lambda _: "UTC") == {tenant: 0}
    assert dataset.companies() == {tenant: 30}


async def test_what_a_leg_was_driven_with_and_through_comes_along(database, tenant, tmp_path):
    stored, dataset = LegRepository(database), LegDataset(tmp_path)
    legs = some_driven(tenant, 30)
    for leg in legs[:10]:
        leg |= {"vehicle": "bike", "trafficRatio": 1.5}
    await stored.save(legs)
    await export_legs(stored, dataset, [tenant], lambda _: "UTC")
    found = dataset.read(tenant).legs
    ridden = found["vehicle"] == "bike"
    assert set(found["vehicle"]) == {"bike", "van"}
    np.testing.assert_array_equal(found["traffic_ratio"][ridden], 1.5)
    assert np.isnan(found["traffic_ratio"][~ridden]).all()


async def test_a_driver_whose_positions_are_erased_leaves_no_legs(database, tenant, tmp_path):
    stored, dataset = LegRepository(database), LegDataset(tmp_path)
    await stored.save(some_driven(tenant, 30))
    await export_legs(stored, dataset, [tenant], lambda _: "UTC")
    await PrivacyRepository(database).forget_positions(Scope(tenant, "test"), "drv_1", 12_345)
    left = [leg["driver"] async for batch in stored.stored(tenant, AT, AT.max.replace(tzinfo=UTC)) for leg in batch]
    assert set(left) == {"drv_0", "drv_2"}
    later = AT + datetime.timedelta(days=36_500)  # after the erasure
    back = some_driven(tenant, 1)[0] | {"_id": "back", "driver": "drv_1", "departed": later}
    await stored.save([back | {"arrived": later + datetime.timedelta(minutes=5)}])
    await export_legs(stored, dataset, [tenant], lambda _: "UTC")
    kept = dataset.read(tenant)
    aliases = {driver: driver_alias(tenant, driver) for driver in ("drv_0", "drv_1", "drv_2")}
    assert dataset.companies() == {tenant: 21}
    assert set(kept.legs["driver"]) <= set(aliases.values())
    assert dataset.forget(tenant, aliases["drv_1"]) == 1
    assert dataset.forget(tenant, aliases["drv_1"]) == 0
    assert dataset.companies() == {tenant: 20}
