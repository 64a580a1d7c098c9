"""What can't be driven through for a while: a zone, or the stretch of a street under a line. Pure.

A zone closes every street that goes into it; a line closes what runs along it and leaves what crosses it. Either
closes whole pieces of road, from junction to junction, in both directions.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.roads.snapping import DEGREE, METRES_PER_UNIT, Grid

__all__ = ["Barrier", "barred_segments", "holding", "holding_up", "outlines"]

_STEP_M = 4.0  # between the points of a road that are looked at
_ZONE_M = 5.0  # a street that reaches into a zone by less only ends there
_ACROSS = 2.2  # widths of a line's half that a street may lie under it and still be one that crosses
_WHOLE = 0.8  # share of a short street under it


@dataclass(frozen=True, slots=True)
class Barrier:
    """One closure. Equal ones close the same."""

    kind: Literal["polygon", "line"]
    points: tuple[tuple[float, float], ...]
    """Corners of a zone in order, or the line (latitude, longitude)."""
    half_width_m: float = 12.0
    """How far a street may be from the line that closes it, metres."""
    profiles: frozenset[str] = frozenset()
    """Vehicles that it holds up; empty for all."""
    begins_s: float = float("-inf")
    ends_s: float = float("inf")
    """When it holds, epoch seconds."""


def holding(barriers: tuple[Barrier, ...], begin_s: float, end_s: float) -> tuple[Barrier, ...]:
    """Return those that hold at any instant from `begin_s` to `end_s`, epoch seconds."""
    return tuple(one for one in barriers if one.begins_s <= end_s and begin_s < one.ends_s)


def holding_up(barriers: tuple[Barrier, ...], profile: str) -> tuple[Barrier, ...]:
    """Return those that hold up a kind of vehicle."""
    return tuple(one for one in barriers if not one.profiles or profile in one.profiles)


def barred_segments(barrier: Barrier, arrays: dict[str, NDArray[Any]], grid: Grid) -> NDArray[np.int64]:
    """Return the segments of a network that a barrier closes."""
    corners = np.array(barrier.points, np.float64) * DEGREE
    squeeze = float(np.cos(np.radians(corners[:, 0].mean() / DEGREE)))
    margin = barrier.half_width_m / METRES_PER_UNIT if barrier.kind == "line" else 0.0
    pieces = _pieces_near(arrays, grid, corners, margin, squeeze)
    if not pieces.size:
        return np.zeros(0, np.int64)
    rows, y, x, share_m = _sampled(arrays, pieces, squeeze)
    points_y, points_x = corners[:, 0] * METRES_PER_UNIT, corners[:, 1] * METRES_PER_UNIT * squeeze
    if barrier.kind == "polygon":
        inside = _in_polygon(y, x, points_y, points_x)
    else:
        inside = _near_line(y, x, points_y, points_x, barrier.half_width_m)
    segments, of_piece = np.unique(grid.piece_segment[pieces], return_inverse=True)
    under_m = np.bincount(of_piece[rows], share_m * inside, segments.size)
    length_m = arrays["segment_m"][segments].astype(np.float64)
    enough_m = _ZONE_M if barrier.kind == "polygon" else _ACROSS * barrier.half_width_m
    return segments[under_m >= np.minimum(enough_m, _WHOLE * length_m)].astype(np.int64)


def outlines(barrier: Barrier) -> list[list[tuple[float, float]]]:
    """Return closed rings around a barrier (latitude, longitude): a zone's own, or a box along each part of a line."""
    if barrier.kind == "polygon":
        return [[*barrier.points, barrier.points[0]]]
    far = barrier.half_width_m / METRES_PER_UNIT / DEGREE
    rings = []
    for (lat0, lon0), (lat1, lon1) in itertools.pairwise(barrier.points):
        squeeze = math.cos(math.radians(lat0))
        up, right = lat1 - lat0, (lon1 - lon0) * squeeze
        if length := math.hypot(up, right):
            aside = (-right / length * far, up / length * far / squeeze)
            left, right_side = (
                [(lat + sign * aside[0], lon + sign * aside[1]) for lat, lon in ((lat0, lon0), (lat1, lon1))]
                for sign in (1, -1)
            )
            rings.append([*left, *reversed(right_side), left[0]])
    return rings


def _pieces_near(
    arrays: dict[str, NDArray[Any]], grid: Grid, corners: NDArray[np.float64], margin: float, squeeze: float
) -> NDArray[np.int64]:
    """Return the straight pieces of road that may meet a box around corners, by the point at which each begins."""
    lat, lon = arrays["point_lat"], arrays["point_lon"]
    (south, west), (north, east) = corners.min(axis=0), corners.max(axis=0)
    south, north, west, east = south - margin, north + margin, west - margin / squeeze, east + margin / squeeze
    begins = np.flatnonzero(grid.piece_segment[:-1] == grid.piece_segment[1:])
    near = np.maximum(lat[begins], lat[begins + 1]) >= south
    near &= np.minimum(lat[begins], lat[begins + 1]) <= north
    near &= np.maximum(lon[begins], lon[begins + 1]) >= west
    near &= np.minimum(lon[begins], lon[begins + 1]) <= east
    return begins[near]


def _sampled(
    arrays: dict[str, NDArray[Any]], pieces: NDArray[np.int64], squeeze: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return points along pieces: the place of each one's piece, metres north and east, and metres it stands for."""
    y = arrays["point_lat"].astype(np.float64) * METRES_PER_UNIT
    x = arrays["point_lon"].astype(np.float64) * METRES_PER_UNIT * squeeze
    up, right = y[pieces + 1] - y[pieces], x[pieces + 1] - x[pieces]
    length_m = np.hypot(up, right)
    counts = np.ceil(length_m / _STEP_M).astype(np.int64).clip(1)
    rows = np.repeat(np.arange(pieces.size), counts)
    place = np.arange(rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
    share = (place + 0.5) / counts[rows]
    return rows, y[pieces][rows] + share * up[rows], x[pieces][rows] + share * right[rows], (length_m / counts)[rows]


def _in_polygon(
    y: NDArray[np.float64], x: NDArray[np.float64], corners_y: NDArray[np.float64], corners_x: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell which points lie in a polygon, by the even-odd rule."""
    inside = np.zeros(y.size, np.bool_)
    beyond = zip(np.roll(corners_y, -1), np.roll(corners_x, -1), strict=True)
    for (y0, x0), (y1, x1) in zip(zip(corners_y, corners_x, strict=True), beyond, strict=True):
        spans = (y0 > y) != (y1 > y)
        inside ^= spans & (x < (x1 - x0) * (y - y0) / (y1 - y0 if y1 != y0 else 1.0) + x0)
    return inside


def _near_line(
    y: NDArray[np.float64], x: NDArray[np.float64], line_y: NDArray[np.float64], line_x: NDArray[np.float64], far: float
) -> NDArray[np.bool_]:
    """Tell which points lie nearer than `far` metres to a line."""
    near = np.zeros(y.size, np.bool_)
    for y0, x0, y1, x1 in zip(line_y[:-1], line_x[:-1], line_y[1:], line_x[1:], strict=True):
        up, right = y1 - y0, x1 - x0
        square = up * up + right * right
        share = np.clip(((y - y0) * up + (x - x0) * right) / square, 0.0, 1.0) if square > 0 else np.zeros(y.size)
        near |= np.hypot(y - y0 - share * up, x - x0 - share * right) <= far
    return near
