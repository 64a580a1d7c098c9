"""Times of a route, against a search second by second through everything that a driver could do."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.routing.problem import Break
from engine.routing.timetable import Call, timetable

LAST = 30
windows = st.lists(st.integers(0, LAST), min_size=2, max_size=6, unique=True).map(
    lambda moments: tuple(zip(sorted(moments)[::2], sorted(moments)[1::2], strict=False))
)
calls = st.builds(Call, st.integers(0, 6), st.just(()) | windows, st.integers(0, 4))
breaks = st.builds(Break, windows, st.integers(1, 4))
shifts = st.tuples(st.integers(0, 5), st.integers(10, 40))


def shortest(route, home_s, shift, pauses):
    """Return (duration, end) of the shortest day that keeps everything, the earliest end of those; None if none does.

    At every second a driver drives, waits, or rests; service and breaks take their time. Nothing is clever here.
    """
    best = None
    for start in range(shift[0], shift[1] + 1):
        end = _earliest_end(route, home_s, shift, pauses, start)
        if end is not None:
            best = min(best or (end - start, end), (end - start, end))
    return best


def _earliest_end(route, home_s, shift, pauses, start):
    legs = [*(call.travel_s for call in route), home_s]
    begun = {(0, legs[0], taken) for taken in range(len(pauses) + 1) if _rested(pauses[:taken], -100, start)}
    reached = {start: begun}
    for moment in range(start, shift[1] + 1):
        states = reached.get(moment, set())
        todo = list(states)
        while todo:
            position, left, taken = todo.pop()
            following = []
            if left:
                following.append((moment + 1, (position, left - 1, taken)))
            following.append((moment + 1, (position, left, taken)))
            if taken < len(pauses) and any(a <= moment <= b for a, b in pauses[taken].windows):
                following.append((moment + pauses[taken].length_s, (position, left, taken + 1)))
            if not left and position < len(route):
                call = route[position]
                if not call.windows or any(a <= moment <= b for a, b in call.windows):
                    following.append((moment + call.service_s, (position + 1, legs[position + 1], taken)))
            if not left and position == len(route) and _rested(pauses[taken:], moment, 200):
                return moment
            for at, state in following:
                if at == moment:
                    if state not in states:
                        states.add(state)
                        todo.append(state)
                else:
                    reached.setdefault(at, set()).add(state)
    return None


def _rested(pauses, after, until):
    """Return whether breaks can all be taken, one after the other, between two moments."""
    for pause in pauses:
        starts = [max(after, a) for a, b in pause.windows if max(after, a) <= b]
        if not starts:
            return False
        after = min(starts) + pause.length_s
    return after <= until


@settings(max_examples=150)
@given(st.lists(calls, max_size=4), st.integers(0, 6), shifts, st.lists(breaks, max_size=2))
@example([Call(3, ((0, 1), (9, 10)), 2), Call(1, ((15, 20),), 0)], 2, (0, 40), [])
@example([Call(6, ((6, 6),), 2)], 2, (0, 40), [Break(((2, 3),), 2)])
def test_the_shortest_day_is_found(route, home_s, shift, pauses):
    found = timetable(route, home_s, shift, pauses)
    sound = not found.late and not found.missing_breaks and found.end_s <= shift[1]
    best = shortest(route, home_s, shift, pauses)
    assert sound == (best is not None)
    if best is not None:
        assert (found.duration_s, found.end_s) == best
        _check(found, route, home_s, shift, pauses)


def _check(found, route, home_s, shift, pauses):
    """Go through a timetable that is said to be sound."""
    assert shift[0] <= found.start_s
    moment = found.start_s
    for position, (call, arrival, begin) in enumerate(zip(route, found.arrivals, found.begins, strict=True)):
        rest_s = sum(pauses[one.number].length_s for one in found.pauses if one.before == position)
        assert arrival >= moment + call.travel_s + rest_s
        assert begin >= arrival
        assert not call.windows or any(a <= begin <= b for a, b in call.windows)
        moment = begin + call.service_s
    for one in found.pauses:
        assert any(a <= one.start_s <= b for a, b in pauses[one.number].windows)
    assert found.end_s >= moment + home_s


@given(st.lists(calls, min_size=1, max_size=5), st.integers(0, 6))
def test_what_is_late_is_late_by_no_more_than_it_must(route, home_s):
    shift = (0, 1000)
    found = timetable(route, home_s, shift)
    moment = 0
    late = []
    for position, call in enumerate(route):
        moment += call.travel_s
        if call.windows and moment > call.windows[-1][1]:
            late.append((position, moment - call.windows[-1][1]))
        elif call.windows:
            moment = max(moment, next(a for a, b in call.windows if b >= moment))
        moment += call.service_s
    assert list(found.late) == late
    assert all(found.arrivals[position] == route[position].windows[-1][1] + by for position, by in late)
