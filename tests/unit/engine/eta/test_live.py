"""Estimates of a whole shard: a replay in other pieces, through a snapshot, ends with the same bytes."""

import asyncio

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import recfunctions

from engine.eta.corrections import Finish, ModelSaid
from engine.eta.estimator import Estimator
from engine.log.read import Block, FixBatch
from engine.shards.estimates import ShardEstimates
from engine.shards.image import PartitionImage
from engine.shards.memory import ShardMemory
from engine.shards.stops import STOP
from models.messages.commands import DeliveryAssigned, DeliveryChanged, RoutePlanned, StopPlan
from models.messages.log import PartitionId
from models.messages.records import layout_of
from tests.builders import DEGREES_PER_M, LATITUDE, LONGITUDE, START_MS, a_fix, fixes_of
from tests.estimates import DRIVER, TENANT, WAY, Asked, a_memory, assigned, play


def state_of(memory: ShardMemory) -> tuple[bytes, bytes]:
    image = memory.image(0).etas
    return image.heads, image.plans


def told(found):
    return [event for effects in found for event in effects.events]


def blocks_in(found):
    return [block for effects in found for block in effects.points]


def points_in(found):
    return [point for block in blocks_in(found) for point in block["points"]]


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 59), st.integers(1, 20))
def test_a_replay_from_a_snapshot_ends_where_living_through_it_did(cut, batches):
    memory, estimates = a_memory()
    memory.assign(assigned("dlv_1", 2500.0, closes_s=400))
    memory.assign(assigned("dlv_2", 1500.0))
    before = play(memory, estimates, range(cut))
    image = PartitionImage.unpack(memory.image(0).pack())
    after = play(memory, estimates, range(cut, 60))
    again = ShardMemory()
    again.restore(0, 0, image)
    repeated = play(
        again, ShardEstimates(again, Estimator(again.tenant_of, lambda _: "Europe/Lisbon")), range(cut, 60), batches
    )
    assert state_of(again) == state_of(memory)
    assert told(repeated) == told(after)
    assert blocks_in(repeated) == blocks_in(after)  # the same ids too: stored again they change nothing
    assert len({event["_id"] for event in told(before) + told(after)}) == len(told(before) + told(after))


def test_an_estimate_never_says_now_while_the_driver_is_under_way():
    memory, estimates = a_memory()
    memory.assign(assigned("dlv_1", 2500.0))
    for turn in range(48):
        play(memory, estimates, range(turn, turn + 1))
        [answer] = estimates.answers(DRIVER)
        assert answer["earliest"] <= answer["estimated"] <= answer["latest"]
        assert answer["estimated"] - answer["updated"] >= 60_000


def test_the_promise_is_the_first_estimate_and_is_scored_on_arrival():
    memory, estimates = a_memory()
    memory.assign(assigned("dlv_1", 2500.0))
    play(memory, estimates, range(2))
    first = estimates.answers(DRIVER)[0]
    found = play(memory, estimates, range(2, 60))
    [outcome] = [one for effects in found for one in effects.outcomes]
    stands_s = WAY.index(2500.0) * 10 + 5  # between the fix that brings it there and the next, ten seconds after
    assert outcome["delivery"] == "dlv_1"
    assert outcome["errorS"] == round(stands_s - (first["promise"][1] - START_MS) / 1000, 1)
    assert outcome["promisedAt"].timestamp() * 1000 == first["promised"]


def test_a_stop_of_which_nobody_says_how_long_it_takes_takes_what_the_model_says():
    memory, estimates = a_memory()
    memory.etas.service = lambda tenant, lat, lon: np.tile([200.0, 300.0, 500.0], (len(lat), 1))
    untold = StopPlan("dropoff", LATITUDE + 1000 * DEGREES_PER_M, LONGITUDE, 60.0, 0, 0, 0.0)
    memory.assign(DeliveryAssigned("evt_1", TENANT, DRIVER, "dlv_1", 2, "assigned", (untold,)))
    memory.assign(assigned("dlv_2", 2900.0))
    play(memory, estimates, range(2))
    plan = memory.etas.table.plans[DRIVER]
    assert dict(zip(plan["lat"] < LATITUDE + 2000 * DEGREES_PER_M, plan["service_s"], strict=True)) == {
        True: 300.0,
        False: 120.0,
    }


def test_what_is_usual_at_a_stop_is_asked_for_once():
    memory, estimates = a_memory()
    asked = []

    def service(tenant, lat, lon):
        asked.append(len(lat))
        return np.tile([200.0, 300.0, 500.0], (len(lat), 1))

    memory.etas.service = service
    for number, north in enumerate((1000.0, 2900.0)):
        untold = StopPlan("dropoff", LATITUDE + north * DEGREES_PER_M, LONGITUDE, 60.0, 0, 0, 0.0)
        memory.assign(DeliveryAssigned("evt_1", TENANT, DRIVER, f"dlv_{number}", 2, "assigned", (untold,)))
        play(memory, estimates, range(2))
    play(memory, estimates, range(2, 60))
    assert asked == [1, 1]


def test_the_customer_hears_of_the_driver_before_the_arrival_and_of_lateness_before_the_window_ends():
    memory, estimates = a_memory()
    memory.assign(assigned("dlv_1", 2900.0, closes_s=300))
    events = told(play(memory, estimates, range(60)))
    assert sorted(event["type"] for event in events) == ["delivery.imminent", "delivery.late_risk"]
    late = next(event for event in events if event["type"] == "delivery.late_risk")
    assert late["time"].timestamp() * 1000 < START_MS + 300_000
    assert len(late["data"]["traceId"]) == 32


def test_a_route_decides_which_delivery_comes_first():
    memory, estimates = a_memory()
    memory.assign(assigned("dlv_1", 1000.0))
    memory.assign(assigned("dlv_2", 2500.0))
    visits = (("dlv_2", "dropoff"), ("dlv_1", "dropoff"))
    memory.take_route(RoutePlanned("evt_2", TENANT, DRIVER, "rte_1", 2, START_MS, "van", visits))
    play(memory, estimates, range(3))
    answers = estimates.answers(DRIVER)
    assert [answer["delivery"] for answer in answers] == ["dlv_2", "dlv_1"]
    assert answers[0]["estimated"] < answers[1]["estimated"]


def test_a_break_before_a_stop_makes_it_later_and_says_so_also_after_a_restart():
    found = []
    for rests in ((), (("dlv_1", "dropoff", START_MS + 600_000, START_MS + 2_400_000),)):
        memory, estimates = a_memory()
        memory.assign(assigned("dlv_1", 1000.0))
        memory.assign(assigned("dlv_2", 2500.0))
        visits = (("dlv_2", "dropoff"), ("dlv_1", "dropoff"))
        memory.take_route(RoutePlanned("evt_2", TENANT, DRIVER, "rte_1", 2, START_MS, "van", visits, rests))
        play(memory, estimates, range(3))
        found.append(estimates.answers(DRIVER))
    (before, after), (same, later) = found
    assert same["estimated"] == before["estimated"]
    assert later["estimated"] - after["estimated"] == 1_800_000
    reasons = dict(estimates.answer(DRIVER, "dlv_1")["factors"])
    assert (reasons["break"], "waiting" in reasons) == (30.0, False)
    again = ShardMemory()
    again.restore(0, 0, PartitionImage.unpack(memory.image(0).pack()))
    assert again.etas.table.routes[DRIVER]["rte_1"].breaks == rests


def test_a_snapshot_of_a_release_with_other_fields_is_read():
    memory, estimates = a_memory()
    memory.assign(assigned("dlv_1", 1000.0))
    play(memory, estimates, range(3))
    image = PartitionImage.unpack(memory.image(0).pack())
    then = np.dtype([("gone", "<f4"), *(field for field in reversed(STOP.descr) if field[0] != "still_time")])
    written = recfunctions.require_fields(np.frombuffer(image.stops, STOP), then)
    image = msgspec.structs.replace(image, stops=written.tobytes(), layouts=(image.layouts[0], layout_of(then)))
    again = ShardMemory()
    again.restore(0, 0, PartitionImage.unpack(image.pack()))
    expected = memory.state.stops.of(0)
    expected["still_time"] = 0
    assert again.state.stops.of(0).tobytes() == expected.tobytes()
    assert again.state.drivers.extract(0) == memory.state.drivers.extract(0)


def test_nobody_is_there_before_the_route_leaves():
    memory, estimates = a_memory()
    memory.assign(assigned("dlv_1", 100.0))
    leaves_ms = START_MS + 3_600_000
    memory.take_route(RoutePlanned("evt_2", TENANT, DRIVER, "rte_1", 2, leaves_ms, "van", (("dlv_1", "dropoff"),)))
    fixes = fixes_of(a_fix(0.0, 1000.0, accuracy_m=5))
    batch = FixBatch(fixes, np.array([1], np.uint64), np.array([START_MS]), (Block(PartitionId(0), 0, 1),))
    memory.apply(batch)
    asyncio.run(estimates.pass_to({0: START_MS}))
    asyncio.run(estimates.pass_to({0: START_MS + 5000}))
    [answer] = estimates.answers(DRIVER)
    assert answer["earliest"] > leaves_ms


def test_a_driver_who_falls_silent_becomes_late_by_the_clock_alone():
    memory, estimates = a_memory()
    memory.assign(assigned("dlv_1", 2900.0, closes_s=900))
    assert "delivery.late_risk" not in [event["type"] for event in told(play(memory, estimates, range(2)))]
    events = told(asyncio.run(estimates.pass_to({0: START_MS + 840_000})))
    assert [event["type"] for event in events] == ["delivery.late_risk"]


def test_what_is_hours_away_is_told_less_often_than_what_is_near():
    memory, estimates = a_memory()
    for number in range(40):
        memory.assign(assigned(f"dlv_{number:02}", 1000.0 * (number + 1)))
    told_of = [point["delivery"] for point in points_in(play(memory, estimates, range(1)))]
    for turn in range(1, 60):  # standing: all of them come later and later
        effects = asyncio.run(estimates.pass_to({0: START_MS + turn * 10_000}))
        told_of += [point["delivery"] for point in points_in(effects)]
    near, far = told_of.count("dlv_00"), told_of.count("dlv_39")
    assert near > 2 * far > 0


def test_watchers_hear_of_pick_ups_too_and_the_history_keeps_drop_offs():
    memory, estimates = a_memory()
    drop_off = assigned("dlv_1", 2500.0)
    pick_up = msgspec.structs.replace(assigned("dlv_1", 1500.0).stops[0], kind="pickup")
    memory.assign(msgspec.structs.replace(drop_off, stops=(pick_up, *drop_off.stops)))
    effects = play(memory, estimates, range(2))
    answers = [said.answer for one in effects for said in one.estimates]
    assert {(said["delivery"], said["stop"]) for said in answers} == {("dlv_1", "pickup"), ("dlv_1", "dropoff")}
    said_of_drop_off = [said["updated"] for said in answers if said["stop"] == "dropoff"]
    assert [round(point["at"].timestamp() * 1000) for point in points_in(effects)] == said_of_drop_off


def test_a_status_that_leaves_the_stops_as_they_are_has_nothing_estimated_anew():
    memory, estimates = a_memory()
    drop_off = assigned("dlv_1", 2500.0)
    pick_up = msgspec.structs.replace(assigned("dlv_1", 1500.0).stops[0], kind="pickup")
    memory.assign(msgspec.structs.replace(drop_off, stops=(pick_up, *drop_off.stops)))
    play(memory, estimates, range(2))
    before = estimates.estimated
    memory.change(DeliveryChanged("evt_2", TENANT, DRIVER, "dlv_1", 3, "accepted", assigned=True))
    asyncio.run(estimates.pass_to({0: START_MS + 21_000}))
    assert estimates.estimated == before
    memory.change(DeliveryChanged("evt_3", TENANT, DRIVER, "dlv_1", 4, "picked_up", assigned=True))
    asyncio.run(estimates.pass_to({0: START_MS + 22_000}))
    assert [answer["stop"] for answer in estimates.answers(DRIVER)] == ["dropoff"]


def test_plans_of_another_release_are_made_anew_at_once():
    memory, estimates = a_memory()
    memory.assign(assigned("dlv_1", 2500.0))
    play(memory, estimates, range(2))
    image = PartitionImage.unpack(memory.image(0).pack())
    again = ShardMemory()
    image = msgspec.structs.replace(image, etas=msgspec.structs.replace(image.etas, layout="of then"))
    again.restore(0, 0, image)
    estimates = ShardEstimates(again, Estimator(again.tenant_of, lambda _: "Europe/Lisbon"))
    asyncio.run(estimates.pass_to({0: START_MS + 21_000}))
    assert [answer["delivery"] for answer in estimates.answers(DRIVER)] == ["dlv_1"]


async def test_what_comes_in_while_a_thread_asks_changes_nothing_under_its_hands():
    memory, estimates = a_memory()
    for number in range(80):
        memory.assign(assigned(f"dlv_{number}", 100.0 * (number + 2)))
    fixes = fixes_of(a_fix(0.0, 0.0))
    received = np.array([START_MS + 300])
    memory.apply(FixBatch(fixes, (received << 20).astype(np.uint64), received, (Block(PartitionId(0), 0, 1),)))
    asked, corrections = Asked(estimates.estimator), estimates.estimator.corrections
    await estimates.pass_to({0: START_MS})
    asked.may_end.clear()
    passing = asyncio.ensure_future(estimates.pass_to({0: START_MS + 10_000}))
    await asyncio.to_thread(asked.began.wait)
    before = corrections.standing("m", TENANT, START_MS + 20_000)
    for number in range(60):
        said = (ModelSaid("m", (90.0, 100.0, 110.0), 0.0, (90.0, 100.0, 110.0)),)
        estimates.learn(Finish(f"f{number}", TENANT, START_MS + number, 200.0, LATITUDE, LONGITUDE, said))
    meanwhile, is_busy = corrections.standing("m", TENANT, START_MS + 20_000), estimates.estimator.busy.locked()
    asked.may_end.set()
    await passing
    assert is_busy
    assert meanwhile == before
    await estimates.pass_to({0: START_MS + 11_000})
    assert corrections.standing("m", TENANT, START_MS + 20_000)["residual"] > 0.1
