"""Geofences: entered, left and crossed once, whatever the receiver jitters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.geofences.index import FenceIndex, cell_key, cell_of, find_cell
from engine.geofences.shapes import Fence, border_distance_m, passes_through
from engine.shards.advance import EventKind
from tests.builders import DEGREES_PER_M, LATITUDE, LONGITUDE, a_fix, a_shard, fixes_of, play

EAST = DEGREES_PER_M / np.cos(np.radians(LATITUDE))
DISC = Fence(9, 0, "circle", ((LATITUDE, LONGITUDE),), radius_m=100.0, dwell_s=60.0)
SQUARE = Fence(
    4,
    0,
    "polygon",
    tuple((LATITUDE + n * DEGREES_PER_M, LONGITUDE + e * EAST) for n, e in ((0, 0), (0, 200), (200, 200), (200, 0))),
)
STREET = Fence(5, 0, "corridor", ((LATITUDE, LONGITUDE), (LATITUDE + 0.02, LONGITUDE)), half_width_m=30.0)


def _events(fence, *fixes):
    step = play(a_shard(fences=FenceIndex.compile([fence])), fixes_of(*fixes))
    fenced = step.events[
        np.isin(step.events["kind"], (EventKind.ENTER, EventKind.EXIT, EventKind.CROSS, EventKind.DWELL))
    ]
    assert (fenced["subject"] == fence.number).all()
    return [(EventKind(event["kind"]).name, int(event["index"])) for event in fenced]


def test_one_fix_beyond_the_margin_enters_and_leaves():
    assert _events(DISC, a_fix(0, 400), a_fix(20, 50), a_fix(40, 400)) == [("ENTER", 1), ("EXIT", 2)]


def test_on_the_border_two_fixes_decide():
    assert _events(DISC, a_fix(0, 400), a_fix(20, 95), a_fix(30, 92)) == [("ENTER", 2)]
    assert _events(DISC, a_fix(0, 0), a_fix(20, 109), a_fix(30, 110)) == [("ENTER", 0), ("EXIT", 2)]


def test_jitter_on_the_border_enters_once_and_stays():
    rng = np.random.default_rng(3)
    jitter = [a_fix(20 + 5 * i, 100 + offset) for i, offset in enumerate(rng.uniform(-7, 7, 30))]
    assert [kind for kind, _ in _events(DISC, a_fix(0, 50), *jitter) if kind != "DWELL"] == ["ENTER"]


def test_poor_accuracy_widens_the_margin():
    assert _events(DISC, a_fix(0, 0), a_fix(20, 130, accuracy_m=80)) == [("ENTER", 0)]


def test_dwell_fires_once_a_visit():
    inside = [a_fix(20 * i, 5 * (i % 2)) for i in range(12)]
    assert _events(DISC, *inside, a_fix(300, 400)) == [("ENTER", 0), ("DWELL", 3), ("EXIT", 12)]


@pytest.mark.parametrize("fence", [DISC, SQUARE, STREET], ids=lambda fence: fence.kind)
def test_driving_through_between_two_fixes_crosses(fence):
    assert _events(fence, a_fix(0, 50, -700), a_fix(40, 50, 700)) == [("CROSS", 1)]
    assert _events(fence, a_fix(0, -150, -700), a_fix(40, -150, 700)) == []


def test_one_fix_just_inside_counts_as_crossing():
    assert _events(DISC, a_fix(0, 400), a_fix(20, 95), a_fix(40, 400)) == [("CROSS", 2)]


def test_no_crossing_over_a_jump_or_a_long_gap():
    assert _events(DISC, a_fix(0, 0, -700), a_fix(700, 0, 700)) == []
    away = [a_fix(10 + 10 * i, 0, 90_000 + i) for i in range(3)]
    assert _events(DISC, a_fix(0, 0, -700), *away) == []


def test_another_tenants_fence_is_not_seen():
    fence = Fence(9, 1, "circle", DISC.points, radius_m=100.0)
    assert _events(fence, a_fix(0), a_fix(10)) == []


def test_a_fence_that_is_deleted_is_forgotten():
    state = a_shard(fences=FenceIndex.compile([DISC]))
    play(state, fixes_of(a_fix(0)))
    state.fences = FenceIndex.compile([SQUARE])
    step = play(state, fixes_of(a_fix(10, 900)), first_position=2)
    assert not np.isin(step.events["kind"], (EventKind.EXIT,)).any()


def test_a_fence_over_the_date_line_is_found_from_both_sides():
    fence = Fence(1, 0, "circle", ((0.0, 179.9995),), radius_m=500.0)
    west = a_fix(0, lat=0, lon=1_799_980_000)
    east = a_fix(0, lat=0, lon=-1_799_990_000)
    assert _events(fence, west) == _events(fence, east) == [("ENTER", 0)]


@settings(deadline=None)
@given(st.floats(-88, 88), st.floats(-179.9, 179.9), st.floats(1, 400_000))
def test_the_index_finds_every_circle_at_its_centre(lat, lon, radius_m):
    arrays = FenceIndex.compile([Fence(3, 2, "circle", ((lat, lon),), radius_m=radius_m)]).arrays
    level = int(np.flatnonzero(arrays.levels)[0])
    place = find_cell(arrays.keys, cell_key(2, level, *cell_of(level, lat, lon)))
    assert arrays.counts[place] == 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-500, 500), st.floats(-500, 500)), min_size=4, max_size=4))
def test_a_way_from_outside_to_inside_meets_the_border(points):
    """Both ends of a crossing lie outside; a way that ends inside comes through the border too."""
    square = np.array([[0.0, 0.0], [200.0, 0.0], [200.0, 200.0], [0.0, 200.0]])
    for (ax, ay), (bx, by) in zip(points[:2], points[2:], strict=True):
        a, b = (border_distance_m(2, square, 0.0, x, y) for x, y in ((ax, ay), (bx, by)))
        if a > 1.0 and b < -1.0 and min(abs(ax - c) for c in (0, 200)) > 1e-3 and abs(ax - bx) > 1e-3:
            assert passes_through(2, square, 0.0, ax, ay, bx, by) or _through_a_corner(square, ax, ay, bx, by)


def _through_a_corner(square, ax, ay, bx, by):
    return any(abs((bx - ax) * (y - ay) - (by - ay) * (x - ax)) < 1e-6 for x, y in square)
