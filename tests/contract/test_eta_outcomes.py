"""How estimates turned out, in MongoDB: summed up as answered, and watched."""

import datetime
from datetime import UTC

import numpy as np

from api.eta_accuracy import accuracy_of
from engine.eta.plan import AHEAD
from engine.eta.telling import points_in_blocks, points_of
from engine.eta.watch import CoverageWatch
from engine.settings import EtaSettings
from models.store.etas import EtaRepository
from models.store.scope import Scope

AT = datetime.datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


def an_outcome(tenant, number, **fields):
    """Return an arrival that came 60 s after the promise, inside its range."""
    usual = {
        "_id": f"{tenant}-{number}",
        "tenant": tenant,
        "delivery": f"dlv_{number}",
        "stop": "dropoff",
        "at": AT - datetime.timedelta(minutes=number),
        "errorS": 60.0,
        "early": False,
        "late": False,
        "widthS": 600.0,
        "leftS": 1200.0,
        "windowed": True,
        "missed": False,
        "toldLate": False,
        "legs": [{"model": "one", "errorS": -30.0, "inside": True, "widthS": 300.0}],
    }
    return usual | fields


async def test_sums_become_shares_and_means(database, tenant):
    etas = EtaRepository(database)
    outcomes = [an_outcome(tenant, number) for number in range(6)]
    outcomes += [an_outcome(tenant, 6, late=True, errorS=900.0, missed=True, toldLate=True, leftS=4000.0)]
    outcomes += [an_outcome(tenant, 7, early=True, errorS=-600.0, toldLate=True, legs=[])]
    await etas.save_outcomes([an_outcome(tenant, 0, errorS=5000.0), an_outcome(tenant, 1, inside=False)])
    await etas.save_outcomes(outcomes)  # a replay that knows better
    await etas.save_outcomes(outcomes)
    since = AT - datetime.timedelta(days=1)
    found = accuracy_of(await etas.accuracy(Scope(tenant, "test"), since, AT + datetime.timedelta(seconds=1)))
    assert (found.whole.arrivals, found.whole.coverage) == (8, 0.75)
    assert (found.whole.early, found.whole.late) == (0.125, 0.125)
    assert (found.whole.mean_absolute_error_s, found.whole.bias_s) == (232.5, 82.5)
    assert (found.late_risk.precision, found.late_risk.recall) == (0.5, 1.0)
    assert [(one.label, one.arrivals) for one in found.ahead] == [("under_30_min", 7), ("over_60_min", 1)]
    [model] = found.models
    assert (model.model, model.legs, model.coverage, model.mean_absolute_error_s) == ("one", 7, 1.0, 30.0)


async def test_a_history_holds_each_point_once_however_often_its_block_was_stored(database, tenant):
    etas, minute = EtaRepository(database), datetime.timedelta(minutes=1)
    rows = np.zeros(3, AHEAD)
    rows["updated"] = [round((AT + turn * minute).timestamp() * 1000) for turn in (2, 0, 1)]
    rows["shown"] = rows["promised"] = rows["updated"]
    deliveries = [f"dlv_of_{tenant}", f"dlv_of_{tenant}", "dlv_other"]
    for _ in range(2):
        for place, (row, delivery) in enumerate(zip(rows[:, None], deliveries, strict=True)):
            points = [*points_of(row, [delivery], "one"), *points_of(row, [f"dlv_beside_{place}"], "one")]
            await etas.save_points(points_in_blocks(points, tenant, 3, int(row["updated"][0])))
    found = await etas.points(Scope(tenant, "test"), deliveries[0])
    assert [point["at"] for point in found] == [AT, AT + 2 * minute]
    assert await etas.points(Scope("ten_other", "test"), deliveries[0]) == []


async def test_nothing_arrived_is_no_number(database, tenant):
    found = accuracy_of(await EtaRepository(database).accuracy(Scope(tenant, "test"), AT, AT))
    assert (found.whole.arrivals, found.whole.coverage, found.days) == (0, None, [])


async def test_a_day_whose_ranges_do_not_hold_is_told_once(database, tenant):
    etas, watch = EtaRepository(database), CoverageWatch(database, EtaSettings())
    right, few = f"{tenant}-right", f"{tenant}-few"
    outcomes = [an_outcome(tenant, number, late=number % 2 == 0) for number in range(60)]
    outcomes += [an_outcome(right, number, late=number % 5 == 0) for number in range(60)]
    outcomes += [an_outcome(few, number, late=True) for number in range(10)]
    await etas.save_outcomes(outcomes)
    for _ in range(2):
        told = {event["tenant"]: event["data"] for event in await watch.look(AT)}
        assert told[tenant] == {"coverage": 0.5, "arrivals": 60, "day": "2026-03-02"}
        assert not {right, few} & told.keys()
    kept = await database.events.find({"tenant": tenant, "type": "eta.coverage_off"}).to_list(None)
    assert len(kept) == 1
