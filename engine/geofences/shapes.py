"""Circles, polygons and corridors on a plane that touches the Earth at the fence.

Pure. A fence's points are metres east and north of its first point; distances to its border are negative inside.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.compiled import rule
from models.geo import METRES_PER_DEGREE

__all__ = [
    "CIRCLE",
    "CORRIDOR",
    "POLYGON",
    "Fence",
    "border_distance_m",
    "passes_through",
    "to_plane",
]

CIRCLE, POLYGON, CORRIDOR = 1, 2, 3
"""Kinds of fence in the compiled index."""


@dataclass(frozen=True, slots=True)
class Fence:
    """A geofence of one tenant, as a planner drew it."""

    number: int
    """Names the fence in events and in drivers' records; unique over all tenants."""
    tenant_index: int
    """The shard's index of its tenant."""
    kind: Literal["circle", "polygon", "corridor"]
    points: tuple[tuple[float, float], ...]
    """(latitude, longitude): a circle's centre, a polygon's corners, a corridor's line."""
    radius_m: float = 0.0
    """Of a circle."""
    half_width_m: float = 0.0
    """Of a corridor, to each side of its line."""
    margin_m: float = 15.0
    """How far beyond the border a single fix must lie to count."""
    dwell_s: float = 0.0
    """Stay that fires a dwell event; 0 = none."""


@rule
def to_plane(lat0: float, lon0: float, narrowing: float, lat: float, lon: float) -> tuple[float, float]:
    """Return metres east and north of a reference point; straight lines in degrees stay straight.

    `narrowing` is the cosine of the reference latitude, kept because it would be half of the cost.
    """
    turn = lon - lon0
    if turn > 180.0:
        turn -= 360.0
    elif turn < -180.0:
        turn += 360.0
    return turn * METRES_PER_DEGREE * narrowing, (lat - lat0) * METRES_PER_DEGREE


@rule
def _segment_distance2(x: float, y: float, ax: float, ay: float, bx: float, by: float) -> float:
    """Return the squared distance of a point from a segment: a border takes one root, not one a side."""
    dx, dy = bx - ax, by - ay
    length2 = dx * dx + dy * dy
    along = 0.0 if length2 == 0.0 else min(1.0, max(0.0, ((x - ax) * dx + (y - ay) * dy) / length2))
    off_x, off_y = x - ax - along * dx, y - ay - along * dy
    return off_x * off_x + off_y * off_y


@rule
def _side(ax: float, ay: float, bx: float, by: float, x: float, y: float) -> float:
    return (bx - ax) * (y - ay) - (by - ay) * (x - ax)


@rule
def _segments_meet(ax: float, ay: float, bx: float, by: float, px: float, py: float, qx: float, qy: float) -> bool:
    """Tell whether two segments cross; touching by an end alone does not count."""
    across = _side(px, py, qx, qy, ax, ay) * _side(px, py, qx, qy, bx, by) < 0.0
    return across and _side(ax, ay, bx, by, px, py) * _side(ax, ay, bx, by, qx, qy) < 0.0


@rule
def _polygon_distance_m(points: NDArray[np.float64], x: float, y: float) -> float:
    """Return the distance from a polygon's border, negative inside (even-odd rule)."""
    nearest2 = math.inf
    inside = False
    before = len(points) - 1
    for corner in range(len(points)):
        ax, ay = points[before]
        bx, by = points[corner]
        nearest2 = min(nearest2, _segment_distance2(x, y, ax, ay, bx, by))
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            inside = not inside
        before = corner
    return -math.sqrt(nearest2) if inside else math.sqrt(nearest2)


@rule
def _line_distance_m(points: NDArray[np.float64], x: float, y: float) -> float:
    nearest2 = math.inf
    for corner in range(1, len(points)):
        ax, ay = points[corner - 1]
        bx, by = points[corner]
        nearest2 = min(nearest2, _segment_distance2(x, y, ax, ay, bx, by))
    return math.sqrt(nearest2)


@rule
def border_distance_m(kind: int, points: NDArray[np.float64], reach_m: float, x: float, y: float) -> float:
    """Return the distance of a point from a fence's border, negative inside; `reach_m` is radius or half width."""
    if kind == CIRCLE:
        return math.hypot(x - points[0, 0], y - points[0, 1]) - reach_m
    if kind == POLYGON:
        return _polygon_distance_m(points, x, y)
    return _line_distance_m(points, x, y) - reach_m


@rule
def passes_through(
    kind: int, points: NDArray[np.float64], reach_m: float, ax: float, ay: float, bx: float, by: float
) -> bool:
    """Tell whether a straight drive between two points outside a fence passes through it."""
    if kind == CIRCLE:
        return _segment_distance2(points[0, 0], points[0, 1], ax, ay, bx, by) < reach_m * reach_m
    before = len(points) - 1 if kind == POLYGON else 0
    for corner in range(0 if kind == POLYGON else 1, len(points)):
        px, py = points[before]
        qx, qy = points[corner]
        if _segments_meet(ax, ay, bx, by, px, py, qx, qy):
            return True
        if kind == CORRIDOR and _segment_distance2(qx, qy, ax, ay, bx, by) < reach_m * reach_m:
            return True
        before = corner
    return kind == CORRIDOR and _segment_distance2(points[0, 0], points[0, 1], ax, ay, bx, by) < reach_m * reach_m
