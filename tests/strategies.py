"""Hypothesis strategies: traces of one driver with stops, drives, jumps, poor fixes and long gaps."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.builders import a_fix

__all__ = ["legs", "traces"]

legs = st.tuples(
    st.sampled_from([0, 1, 5, 10, 30, 60, 200, 700, 4000]),  # seconds after the fix before
    st.sampled_from([0, 3, 20, 120, 250, 900, 60_000]),  # metres north
    st.sampled_from([0, -5, 40, -220, 400]),  # metres east
    st.sampled_from([np.nan, 5.0, 40.0, 500.0]),  # accuracy
)


@st.composite
def traces(draw: st.DrawFn, max_size: int = 40) -> NDArray[np.void]:
    """Return the fixes of driver 1 in order of time; 60 km legs are jumps there and, often, back."""
    fixes = []
    at_s, north, east = 0.0, 0.0, 0.0
    for wait_s, north_m, east_m, accuracy_m in draw(st.lists(legs, min_size=1, max_size=max_size)):
        at_s += wait_s
        if north_m == 60_000:
            fixes.append(a_fix(at_s, north + north_m, east, accuracy_m=accuracy_m))
            continue
        north, east = north + north_m, east + east_m
        fixes.append(a_fix(at_s, north, east, accuracy_m=accuracy_m))
    return np.stack(fixes)
