"""Which plans of a search are noted."""

from hypothesis import given
from hypothesis import strategies as st

from engine.routing.progress import Curve


@given(st.lists(st.tuples(st.floats(0.01, 2), st.integers(1, 1000)), max_size=300), st.floats(1, 600))
def test_a_curve_goes_forward_and_has_few_points(steps, seconds):
    curve, elapsed_s, noted = Curve(seconds, before_s=5.0), 0.0, []
    for pause_s, cost in steps:
        elapsed_s += pause_s
        if (point := curve.point(elapsed_s, cost, 0, 1)) is not None:
            noted.append(point)
    times = [point.elapsed_s for point in noted]
    assert times == sorted(times)
    assert all(moment >= 5.0 for moment in times)
    assert len(noted) <= 2 + elapsed_s / max(0.2, seconds / 400)


def test_a_plan_that_is_no_better_is_no_point():
    curve = Curve(1.0)
    assert curve.point(0.1, 90, 0, 2) is not None
    assert curve.point(9.0, 90, 0, 2) is None
