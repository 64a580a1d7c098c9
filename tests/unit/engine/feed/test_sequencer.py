"""How long events gather before they are told of and numbered."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from engine.feed.sequencer import blink_s

LONGEST_S = 0.2  # of the 300 ms within which watchers hear of a change


def test_a_few_events_are_told_of_at_once_and_many_together():
    assert blink_s(4, 0.07) < blink_s(30, 0.07)


def test_a_burst_after_which_little_comes_is_soon_over():
    busy = blink_s(200, 0.05)
    assert blink_s(4, busy) == blink_s(0, busy) < busy


@given(st.lists(st.tuples(st.integers(0, 1000), st.floats(0.0, 10.0)), min_size=1))
def test_nobody_waits_long(looks):
    assert all(0 < blink_s(events, within_s) <= LONGEST_S for events, within_s in looks)


def test_the_same_rate_gathers_for_the_same_time_however_long_the_last_look_took():
    for per_s in (20, 60, 300, 1000):
        waits = [blink_s(round(per_s * within_s), within_s) for within_s in (0.05, 0.1, 0.2, 1.0)]
        assert all(one == other for one, other in itertools.pairwise(waits))
