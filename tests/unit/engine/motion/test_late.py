"""Repairs: any order of arrival ends, after its repairs, where the sorted order ends."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.motion.late import apply_derivation, dedupe, derive, repair_start
from engine.motion.profiles import DEFAULT
from engine.motion.trips import VISIT, trips_of, visits_of
from engine.shards.advance import repairs
from tests.builders import START_MS, a_fix, a_shard, fixes_of, play, stored
from tests.strategies import traces


def _a_round():
    """Stand, drive 3 km, stand, drive on."""
    standing = [a_fix(t, 0) for t in range(0, 400, 20)]
    driving = [a_fix(400 + t, 10 * t) for t in range(0, 300, 20)]
    resting = [a_fix(700 + t, 3000) for t in range(0, 400, 20)]
    leaving = [a_fix(1100 + t, 3000 + 10 * t) for t in range(20, 200, 20)]
    return fixes_of(*standing, *driving, *resting, *leaving)


def test_a_round_has_its_trip_and_visits():
    derived = derive(stored(_a_round()), DEFAULT)
    assert derived.trips.size == 1
    assert abs(derived.trips["distance_m"][0] - 3000) < 30
    assert derived.visits.size == 2
    assert abs(int(derived.visits["departure"][0]) - START_MS - 400_000) <= 20_000


def test_dedupe_keeps_the_first_in_the_log():
    fixes = stored(fixes_of(a_fix(10, 5), a_fix(0), a_fix(10, 5), a_fix(4, 1, seq=3), a_fix(5, 2, seq=3)))
    assert dedupe(fixes)["position"].tolist() == [2, 4, 1]


def test_derivation_is_refused_when_the_driver_moved_on():
    state = a_shard()
    fixes = _a_round()
    play(state, fixes)
    assert not apply_derivation(state.drivers, 0, derive(stored(fixes[:10]), DEFAULT))
    assert apply_derivation(state.drivers, 0, derive(stored(fixes), DEFAULT))


@settings(max_examples=100)
@given(trace=traces(), extra=st.integers(0, 30))
def test_every_stop_is_a_checkpoint(trace, extra):
    """Starting from a stored stop gives the trips, visits and state of starting from the first fix.

    Speed and heading that no fix has reported come from two fixes, and a checkpoint is one: until there are two they
    may be unknown, never other.
    """
    fixes = np.concatenate([_a_round(), trace])
    fixes["time"][-trace.size :] += 1_400_000
    whole = derive(stored(fixes), DEFAULT)
    late_ms = START_MS + 500_000 + extra * 60_000
    start = repair_start(whole.visits, late_ms)
    assert start is not None
    resumed = derive(stored(fixes), DEFAULT, start)
    after = whole.trips["end_time"] > start.declared_time
    assert resumed.trips.tobytes() == whole.trips[after].tobytes()
    for name in ("speed", "heading"):
        if np.isnan(resumed.state[name][0]):
            resumed.state[name] = whole.state[name]
    assert resumed.state.tobytes() == whole.state.tobytes()
    assert resumed.outcomes.tolist() == whole.outcomes[-resumed.outcomes.size or whole.outcomes.size :].tolist()


class _Books:
    """Trips and visits as a shard keeps them: written by live steps, repaired by derivations."""

    def __init__(self):
        self.trips, self.visits = {}, {}

    def write(self, trips, visits):
        self.trips |= {int(trip["start_time"]): trip.tobytes() for trip in trips}
        for visit in visits:
            known = self.visits.get(int(visit["arrival"]))
            if known is not None and visit["declared_time"] == 0:
                departed = known.copy()
                departed["departure"] = visit["departure"]
                visit = departed
            self.visits[int(visit["arrival"])] = visit.copy()

    def forget_after(self, start):
        from_ms = 0 if start is None else start.declared_time
        self.trips = {k: v for k, v in self.trips.items() if np.frombuffer(v, "<i8", 1, 28)[0] <= from_ms}
        self.visits = {k: v for k, v in self.visits.items() if start is not None and k <= start.arrival}
        if start is not None:
            self.visits[start.arrival]["departure"] = 0


@settings(max_examples=100)
@given(trace=traces(max_size=25), order=st.randoms(use_true_random=False))
def test_any_order_of_arrival_ends_like_the_sorted_order(trace, order):
    shuffled = trace[order.sample(range(trace.size), trace.size)]
    history = stored(shuffled)
    state, books = a_shard(), _Books()
    for index in range(trace.size):
        batch = shuffled[index : index + 1]
        step = play(state, batch, first_position=1 + index)
        books.write(trips_of(step.events), visits_of(step.events, batch))
        for row, (first_ms, _) in repairs(step, batch, np.zeros(1, np.int32)).items():
            visits = np.array([v.item() for v in books.visits.values()], VISIT)
            start = repair_start(visits, first_ms)
            derived = derive(history[: index + 1], DEFAULT, start)
            books.forget_after(start)
            books.write(derived.trips, derived.visits)
            apply_derivation(state.drivers, row, derived)
    whole = derive(history, DEFAULT)
    expected = _Books()
    expected.write(whole.trips, whole.visits)
    assert books.trips == expected.trips
    assert {k: v.tobytes() for k, v in books.visits.items()} == {k: v.tobytes() for k, v in expected.visits.items()}
    for name in ("time", "lat", "lon", "motion", "odometer_m", "anchor_time", "trip_time", "suspects"):
        assert state.drivers.records[name][0] == whole.state[name][0]
