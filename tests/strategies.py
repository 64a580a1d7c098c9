"""Hypothesis strategies: traces of a driver with stops, drives, jumps, poor fixes and long gaps; deliveries' lives."""

import datetime

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.deliveries.lifecycle import ALLOWED
from models.documents.analytics import DeliveryStory, Step
from models.documents.delivery import Status
from tests.builders import a_fix

__all__ = ["legs", "stories", "traces"]

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


_FOLLOWING = {status: [Status(one) for one in following if one != "declined"] for status, following in ALLOWED.items()}


@st.composite
def stories(draw: st.DrawFn, max_steps: int = 12) -> DeliveryStory:
    """Return a delivery that lived through allowed changes of status, by clocks that need not agree."""
    created = datetime.datetime(2026, 3, 28, 20, tzinfo=datetime.UTC)
    status, driver, at, steps = Status.PENDING, None, created, []
    for _ in range(draw(st.integers(0, max_steps))):
        if not (following := _FOLLOWING[status]):
            break
        status = draw(st.sampled_from(following))
        if status is Status.ASSIGNED:
            driver = draw(st.sampled_from(["drv_a", "drv_b"]))
        elif status is Status.PENDING:
            driver = None
        at += datetime.timedelta(seconds=draw(st.sampled_from([-7200, -5, 0, 1, 90, 3600, 30_000])))
        steps.append(Step(status, at, driver))
    start = created + datetime.timedelta(hours=draw(st.integers(-2, 30)))
    return DeliveryStory(
        id="dlv_1",
        driver=driver,
        route=draw(st.sampled_from([None, "rte_1", "rte_2"])),
        created_at=created,
        window=draw(st.sampled_from([None, (start, start + datetime.timedelta(hours=2))])),
        direct_m=draw(st.sampled_from([None, 0, 4200])),
        steps=tuple(steps),
    )
