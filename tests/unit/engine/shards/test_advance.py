"""What one batch of fixes does: repeats, late and noisy fixes, liveness, and any split into batches."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.geofences.index import FenceIndex
from engine.geofences.shapes import Fence
from engine.shards.advance import EventKind, ShardState, advance, repairs, sweep_offline
from engine.shards.drivers import DriverTable
from engine.shards.stops import PlannedStop
from models.messages.fixes import Outcome, Reason
from tests.builders import LATITUDE, LONGITUDE, START_MS, a_fix, a_shard, fixes_of, play
from tests.strategies import traces

COUNTERS = ("received_n", "duplicate_n", "position")
FENCES = (
    Fence(1, 0, "circle", ((LATITUDE, LONGITUDE),), radius_m=150.0, dwell_s=60.0),
    Fence(2, 0, "polygon", ((41.151, -8.62), (41.151, -8.60), (41.155, -8.60), (41.155, -8.62))),
    Fence(3, 0, "corridor", ((41.14, -8.611), (41.20, -8.609)), half_width_m=80.0),
)


def _busy_shard() -> ShardState:
    state = a_shard(fences=FenceIndex.compile(FENCES))
    state.stops.open(0, 7, [PlannedStop("pickup", LATITUDE, LONGITUDE, 60.0)])
    return state


def _kinds(events) -> list[EventKind]:
    return [EventKind(kind) for kind in events["kind"]]


def _without_counters(state: ShardState):
    records = state.drivers.records[: state.drivers.size].copy()
    for name in COUNTERS:
        records[name] = 0
    return records.tobytes()


def test_repeat_changes_nothing_but_its_counter():
    state = a_shard()
    fixes = fixes_of(a_fix(0), a_fix(10, 50))
    play(state, fixes)
    before = _without_counters(state)
    step = play(state, fixes, first_position=3, received_ms=START_MS + 10_000_000)
    assert step.outcomes.tolist() == [Outcome.DUPLICATE] * 2
    assert step.events.size == step.changed.size == 0
    assert _without_counters(state) == before


def test_numbered_ping_is_known_by_its_number_alone():
    step = play(a_shard(), fixes_of(a_fix(0, seq=5), a_fix(20, 90, seq=5), a_fix(20, 90, seq=6)))
    assert step.outcomes.tolist() == [Outcome.LIVE, Outcome.DUPLICATE, Outcome.LIVE]


def test_late_ping_never_moves_live_state():
    state = _busy_shard()
    play(state, fixes_of(a_fix(0, 5000), a_fix(60, 5400)))
    live = state.drivers.live(np.array([0], np.int32)).tobytes()
    fixes = fixes_of(a_fix(30, 0))
    step = play(state, fixes, first_position=3)
    assert step.outcomes.tolist() == [Outcome.LATE]
    assert step.events.size == 0
    assert state.drivers.live(np.array([0], np.int32)).tobytes() == live
    assert repairs(step, fixes, np.array([0], np.int32)) == {0: (START_MS + 30_000, START_MS + 30_000)}


def test_poor_accuracy_is_filtered_with_its_reason():
    step = play(a_shard(), fixes_of(a_fix(0), a_fix(10, 20, accuracy_m=201)))
    assert (step.outcomes[1], step.reasons[1]) == (Outcome.FILTERED, Reason.ACCURACY)


def test_jump_is_filtered_and_accuracies_are_taken_off():
    far = play(a_shard(), fixes_of(a_fix(0), a_fix(1, 150)))
    near = play(a_shard(), fixes_of(a_fix(0, accuracy_m=50), a_fix(1, 150, accuracy_m=50)))
    assert (far.outcomes[1], far.reasons[1]) == (Outcome.FILTERED, Reason.SPEED)
    assert near.outcomes[1] == Outcome.LIVE


def test_three_agreeing_suspects_re_anchor():
    away = [a_fix(10 + 10 * i, 50_000 + 20 * i) for i in range(3)]
    step = play(a_shard(), fixes_of(a_fix(0), *away, a_fix(50, 50_100)))
    assert step.outcomes.tolist() == [Outcome.LIVE, Outcome.FILTERED, Outcome.FILTERED, Outcome.LIVE, Outcome.LIVE]
    assert EventKind.REANCHORED in _kinds(step.events)


def test_suspects_that_disagree_never_re_anchor():
    wild = [a_fix(10 + 10 * i, 50_000 * (i + 1) * (-1) ** i) for i in range(6)]
    step = play(a_shard(), fixes_of(a_fix(0), *wild, a_fix(90, 30)))
    assert step.outcomes.tolist() == [Outcome.LIVE, *[Outcome.FILTERED] * 6, Outcome.LIVE]


def test_ten_minute_gap_re_anchors_at_once():
    step = play(a_shard(), fixes_of(a_fix(0), a_fix(601, 90_000)))
    assert step.outcomes.tolist() == [Outcome.LIVE, Outcome.LIVE]


def test_offline_fires_once_and_online_on_return():
    state = a_shard()
    play(state, fixes_of(a_fix(0)), received_ms=START_MS)
    assert sweep_offline(state, START_MS + 300_000, 300_000).size == 0
    events = sweep_offline(state, START_MS + 300_001, 300_000)
    assert (_kinds(events), events["time"].tolist()) == ([EventKind.OFFLINE], [START_MS + 300_000])
    assert sweep_offline(state, START_MS + 900_000, 300_000).size == 0
    back = play(state, fixes_of(a_fix(100)), received_ms=START_MS + 1_000_000, first_position=2)
    assert _kinds(back.events) == [EventKind.ONLINE]


def test_silence_that_no_sweep_saw_gives_the_same_events():
    state = a_shard()
    play(state, fixes_of(a_fix(0)), received_ms=START_MS)
    step = play(state, fixes_of(a_fix(100)), received_ms=START_MS + 1_000_000, first_position=2)
    assert _kinds(step.events) == [EventKind.OFFLINE, EventKind.ONLINE]
    assert step.events["time"][0] == START_MS + 300_000


@settings(max_examples=150)
@given(trace=traces(), order=st.randoms(use_true_random=False), cuts=st.lists(st.integers(0, 60), max_size=6))
def test_any_split_into_batches_gives_the_same_step(trace, order, cuts):
    shuffled = trace[order.sample(range(trace.size), trace.size)]
    whole, parts = _busy_shard(), _busy_shard()
    step = play(whole, shuffled)
    bounds = [0, *sorted(min(cut, trace.size) for cut in cuts), trace.size]
    steps = [play(parts, shuffled[low:high], first_position=1 + low) for low, high in itertools.pairwise(bounds)]
    events = np.concatenate([part.events for part in steps])
    expected = step.events.copy()
    events["index"] = expected["index"] = 0
    assert np.array_equal(np.concatenate([part.outcomes for part in steps]), step.outcomes)
    assert events.tobytes() == expected.tobytes()
    assert parts.drivers.records.tobytes() == whole.drivers.records.tobytes()
    assert parts.stops.records.tobytes() == whole.stops.records.tobytes()


@settings(max_examples=150)
@given(trace=traces(max_size=30), data=st.data())
def test_any_repetition_changes_nothing(trace, data):
    once, again = _busy_shard(), _busy_shard()
    step = play(once, trace)
    indices = []
    for index in range(trace.size):
        indices.append(index)
        indices += data.draw(st.lists(st.integers(0, index), max_size=3))
    firsts = np.unique(np.array(indices), return_index=True)[1]
    positions = np.array(indices, np.uint64) + np.uint64(1)
    received = START_MS + positions.astype(np.int64)
    rows = np.zeros(len(indices), np.int32)
    repeated = advance(again, trace[indices], rows, received, positions)
    expected, got = step.events.copy(), repeated.events.copy()
    expected["index"] = got["index"] = 0
    assert _without_counters(again) == _without_counters(once)
    assert again.stops.records.tobytes() == once.stops.records.tobytes()
    assert got.tobytes() == expected.tobytes()
    assert np.array_equal(repeated.outcomes[firsts], step.outcomes)


@settings(max_examples=30)
@given(trace=traces(), cut=st.integers(0, 40))
def test_state_survives_a_hand_off(trace, cut):
    """A partition that moves to another shard in mid-trace goes on as if nothing had happened."""
    stayed = _busy_shard()
    play(stayed, trace)
    old = _busy_shard()
    play(old, trace[:cut])
    new = ShardState(drivers=DriverTable(), fences=old.fences)
    new.drivers.insert(old.drivers.extract(1))
    new.stops.insert(old.stops.extract(1))
    play(new, trace[cut:], first_position=1 + min(cut, trace.size))
    assert new.drivers.extract(1) == stayed.drivers.extract(1)
    assert new.stops.extract(1) == stayed.stops.extract(1)
