"""All geofences of a shard's tenants, compiled: a fix touches the fences of the cells that it passes, no others.

Pure. Cells are squares of 0.01, 0.1, 1 and 10 degrees; a fence is entered in the finest level where its box covers at
most 64 cells. The cells stand in one open-addressing table whose keys carry tenant, level and cell exactly.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.compiled import rule
from engine.geofences.shapes import CIRCLE, CORRIDOR, POLYGON, Fence, to_plane
from models.geo import METRES_PER_DEGREE

__all__ = ["CELL_DEGREES", "FENCE", "LEVELS", "FenceArrays", "FenceIndex", "cell_key", "cell_of", "find_cell"]

LEVELS = 4
CELL_DEGREES = np.array([0.01, 0.1, 1.0, 10.0])
COLUMNS = np.array([36000, 3600, 360, 36])
"""Cells around the Earth at each level."""
MAX_CELLS = 64
"""Most cells of one fence at a level before a coarser one is taken."""

_KINDS = {"circle": CIRCLE, "polygon": POLYGON, "corridor": CORRIDOR}
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(32)

FENCE = np.dtype(
    [
        ("number", "<u4"),
        ("tenant", "<u4"),
        ("kind", "<i4"),
        ("first", "<i4"),  # its points in FenceArrays.points
        ("count", "<i4"),
        ("lat0", "<f8"),  # where its plane touches
        ("lon0", "<f8"),
        ("narrowing", "<f8"),  # cosine of lat0
        ("reach_m", "<f8"),  # radius or half width
        ("margin_m", "<f8"),
        ("dwell_ms", "<f8"),
        ("west", "<f8"),  # box in metres on the plane
        ("east", "<f8"),
        ("south", "<f8"),
        ("north", "<f8"),
    ],
    align=True,
)
"""One compiled fence."""


class FenceArrays(NamedTuple):
    """What the compiled rule reads."""

    fences: NDArray[np.void]
    points: NDArray[np.float64]
    place: NDArray[np.int32]
    """Fence number to place in `fences`, -1 where there is none."""
    keys: NDArray[np.uint64]
    starts: NDArray[np.int32]
    counts: NDArray[np.int32]
    members: NDArray[np.int32]
    levels: NDArray[np.uint8]
    """1 for each level that holds any fence."""
    tenants: NDArray[np.uint8]
    """1 for each tenant index that has any fence."""


@rule
def cell_of(level: int, lat: float, lon: float) -> tuple[int, int]:
    """Return row and column of the cell of a point; the column may lie beyond the date line."""
    size = CELL_DEGREES[level]
    return math.floor((lat + 90.0) / size), math.floor((lon + 180.0) / size)


@rule
def cell_key(tenant: int, level: int, row: int, column: int) -> np.uint64:
    """Return the key of a cell: 20 bits tenant, 2 bits level, 16 bits each row and column."""
    wrapped = column % COLUMNS[level]
    return np.uint64(tenant << 34 | level << 32 | row << 16 | wrapped)


@rule
def find_cell(keys: NDArray[np.uint64], key: np.uint64) -> int:
    """Return the place of a key in the open-addressing table, or of the empty place where it belongs."""
    mask = np.uint64(keys.size - 1)
    place = ((key * _GOLDEN) >> _SHIFT) & mask
    while keys[place] != key and keys[place] != _EMPTY:
        place = (place + np.uint64(1)) & mask
    return int(place)


@dataclass(frozen=True, slots=True)
class FenceIndex:
    """Compiled fences of all tenants of a shard."""

    arrays: FenceArrays

    @classmethod
    def compile(cls, fences: Sequence[Fence]) -> "FenceIndex":
        """Return the index of some fences.

        Raises
        ------
        ValueError
            If two fences have one number, or a fence has too few points.
        """
        if len({fence.number for fence in fences}) != len(fences):
            raise ValueError("two fences have one number")
        records = np.zeros(len(fences), FENCE)
        points: list[NDArray[np.float64]] = []
        first = 0
        for record, fence in zip(records, fences, strict=True):
            plane = _plane_points(fence)
            _fill(record, fence, plane, first)
            points.append(plane)
            first += len(plane)
        place = np.full(max((fence.number for fence in fences), default=0) + 1, -1, np.int32)
        place[records["number"]] = np.arange(records.size)
        tenants = np.zeros(int(records["tenant"].max(initial=0)) + 1, np.uint8)
        tenants[records["tenant"]] = 1
        table = _cell_table(records)
        corners = np.concatenate([np.zeros((0, 2)), *points])
        return cls(FenceArrays(records, corners, place, *table, tenants=tenants))


def _plane_points(fence: Fence) -> NDArray[np.float64]:
    needed = {"circle": 1, "polygon": 3, "corridor": 2}[fence.kind]
    if len(fence.points) < needed:
        raise ValueError(f"fence {fence.number}: a {fence.kind} needs {needed} points or more")
    lat0, lon0 = fence.points[0]
    narrowing = _narrowing(lat0)
    return np.array([to_plane(lat0, lon0, narrowing, lat, lon) for lat, lon in fence.points], np.float64)


def _narrowing(lat: float) -> float:
    return max(1e-6, math.cos(math.radians(lat)))


def _fill(record: np.void, fence: Fence, plane: NDArray[np.float64], first: int) -> None:
    reach_m = {"circle": fence.radius_m, "polygon": 0.0, "corridor": fence.half_width_m}[fence.kind]
    record["number"], record["tenant"], record["kind"] = fence.number, fence.tenant_index, _KINDS[fence.kind]
    record["first"], record["count"] = first, len(plane)
    record["lat0"], record["lon0"] = fence.points[0]
    record["narrowing"] = _narrowing(fence.points[0][0])
    record["reach_m"], record["margin_m"], record["dwell_ms"] = reach_m, fence.margin_m, fence.dwell_s * 1000.0
    record["west"], record["south"] = plane.min(axis=0) - reach_m
    record["east"], record["north"] = plane.max(axis=0) + reach_m


def _covered(fence: np.void, level: int) -> tuple[range, range]:
    """Return the rows and columns of a level's cells that a fence's box covers."""
    south, north = (fence["lat0"] + fence[side] / METRES_PER_DEGREE for side in ("south", "north"))
    west, east = (fence["lon0"] + fence[side] / METRES_PER_DEGREE / fence["narrowing"] for side in ("west", "east"))
    low_row, low_column = cell_of(level, max(south, -90.0), west)
    high_row, high_column = cell_of(level, min(north, 90.0), east)
    high_column = min(high_column, low_column + int(COLUMNS[level]) - 1)
    return range(low_row, high_row + 1), range(low_column, high_column + 1)


def _cells(fence: np.void) -> tuple[int, list[int]]:
    """Return the level of a fence and the keys of the cells that its box covers."""
    level = 0
    rows, columns = _covered(fence, level)
    while level < LEVELS - 1 and len(rows) * len(columns) > MAX_CELLS:
        level += 1
        rows, columns = _covered(fence, level)
    tenant = int(fence["tenant"])
    return level, [int(cell_key(tenant, level, row, column)) for row in rows for column in columns]


class _CellTable(NamedTuple):
    keys: NDArray[np.uint64]
    starts: NDArray[np.int32]
    counts: NDArray[np.int32]
    members: NDArray[np.int32]
    levels: NDArray[np.uint8]


def _cell_table(fences: NDArray[np.void]) -> _CellTable:
    """Return which fences each cell holds."""
    levels = np.zeros(LEVELS, np.uint8)
    held: defaultdict[int, list[int]] = defaultdict(list)
    for place, fence in enumerate(fences):
        level, keys = _cells(fence)
        levels[level] = 1
        for key in keys:
            held[key].append(place)
    size = max(16, 1 << (2 * len(held)).bit_length())
    table = np.full(size, _EMPTY, np.uint64)
    starts, counts = np.zeros(size, np.int32), np.zeros(size, np.int32)
    members: list[int] = []
    for key, places in held.items():
        slot = find_cell(table, np.uint64(key))
        table[slot], starts[slot], counts[slot] = key, len(members), len(places)
        members.extend(places)
    return _CellTable(table, starts, counts, np.array(members, np.int32), levels)
