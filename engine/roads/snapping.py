"""From a point to the nearest road that a vehicle may take: a grid of road pieces, searched outwards from the point."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.compiled import road_rule

__all__ = ["Grid", "Snaps", "lay_grid", "snap_points"]

DEGREE = 1e7  # stored units a degree
METRES_PER_UNIT = 6_371_008.8 * np.pi / 180 / DEGREE

_ROUNDING_M = 1e-3  # a cell at the very distance of the best is looked into
_CELL = 20_000  # stored units of latitude, 222 m: a handful of pieces in a town


class Grid(NamedTuple):
    """Cells of equal size in degrees, row by row from the south-west, each with the pieces of road that touch it."""

    corner: NDArray[np.int64]
    """South, west, cell height, cell width (stored units), rows, columns."""
    cell_start: NDArray[np.int32]
    cell_pieces: NDArray[np.int32]
    """A piece is the number of the point at which it begins."""
    piece_segment: NDArray[np.int32]
    """Segment of each point."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, as the file of a road network holds them."""
        return {f"grid_{name}": array for name, array in self._asdict().items()}


class Shape(NamedTuple):
    """The points of segments, as the file of a road network holds them."""

    lat: NDArray[np.int32]
    lon: NDArray[np.int32]
    along_m: NDArray[np.float32]
    """From the segment's first point."""


@dataclass(frozen=True, slots=True)
class Snaps:
    """Where N points meet the road."""

    segment: NDArray[np.int32]
    """-1 where no road is near enough."""
    along_m: NDArray[np.float64]
    """Way from the segment's first point."""
    distance_m: NDArray[np.float64]
    """From the point to the road; infinite where there is none."""
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    side: NDArray[np.int8]
    """1 left of the segment's direction, -1 right of it."""

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which points have a road."""
        return self.segment >= 0

    def part(self, points: NDArray[np.int64]) -> "Snaps":
        """Return those of some points."""
        return Snaps(*(getattr(self, name)[points] for name in self.__dataclass_fields__))


def lay_grid(point_lat: NDArray[np.int32], point_lon: NDArray[np.int32], segment_points: NDArray[np.int32]) -> Grid:
    """Return the grid of a graph's points."""
    lat, lon = point_lat.astype(np.int64), point_lon.astype(np.int64)
    segment = np.repeat(np.arange(segment_points.size - 1, dtype=np.int32), np.diff(segment_points))
    pieces = np.flatnonzero(np.append(segment[:-1] == segment[1:], False))
    width = int(_CELL / max(0.05, np.cos(np.radians(lat.mean() / DEGREE))))
    south, west = int(lat.min()), int(lon.min())
    rows, columns = int((lat.max() - south) // _CELL) + 1, int((lon.max() - west) // width) + 1
    row, column = (lat - south) // _CELL, (lon - west) // width
    low_row, high_row = np.minimum(row[pieces], row[pieces + 1]), np.maximum(row[pieces], row[pieces + 1])
    low_column = np.minimum(column[pieces], column[pieces + 1])
    high_column = np.maximum(column[pieces], column[pieces + 1])
    across, up = high_column - low_column + 1, high_row - low_row + 1
    counts = across * up
    owner = np.repeat(np.arange(pieces.size), counts)
    within = np.arange(owner.size) - np.repeat(np.cumsum(counts) - counts, counts)
    cell = (low_row[owner] + within // across[owner]) * columns + low_column[owner] + within % across[owner]
    order = np.argsort(cell, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=rows * columns))])
    return Grid(
        corner=np.array([south, west, _CELL, width, rows, columns], np.int64),
        cell_start=starts.astype(np.int32),
        cell_pieces=pieces[owner[order]].astype(np.int32),
        piece_segment=segment,
    )


def snap_points(
    grid: Grid,
    arrays: dict[str, NDArray[Any]],
    latitudes: NDArray[np.float64],
    longitudes: NDArray[np.float64],
    is_open: NDArray[np.bool_],
    limit_m: float,
) -> Snaps:
    """Return where points meet the nearest segment that `is_open`, no further away than `limit_m`."""
    lat, lon = np.ascontiguousarray(latitudes, np.float64), np.ascontiguousarray(longitudes, np.float64)
    shape = Shape(arrays["point_lat"], arrays["point_lon"], arrays["point_m"])
    return Snaps(*_snap(grid, shape, lat, lon, is_open, limit_m))


@road_rule
def piece_seen(shape: Shape, piece: int, y0: float, x0: float, squeeze: float) -> tuple[float, float, float]:
    """Return where a piece is nearest to a point: its share along the piece, the distance, the side (> 0 is left).

    The point is given in stored units; `squeeze` is the cosine of its latitude.
    """
    x1 = (shape.lon[piece] - x0) * squeeze * METRES_PER_UNIT
    y1 = (shape.lat[piece] - y0) * METRES_PER_UNIT
    east = (shape.lon[piece + 1] - shape.lon[piece]) * squeeze * METRES_PER_UNIT
    north = (shape.lat[piece + 1] - shape.lat[piece]) * METRES_PER_UNIT
    square = east * east + north * north
    share = 0.0
    if square > 0:
        share = min(1.0, max(0.0, -(x1 * east + y1 * north) / square))
    x, y = x1 + share * east, y1 + share * north
    return share, np.sqrt(x * x + y * y), x1 * north - y1 * east


@road_rule
def _snap(
    grid: Grid,
    shape: Shape,
    lat: NDArray[np.float64],
    lon: NDArray[np.float64],
    is_open: NDArray[np.bool_],
    limit_m: float,
) -> tuple[Any, ...]:
    """Return the columns of `Snaps`."""
    size = lat.size
    segment, along, distance = np.full(size, -1, np.int32), np.zeros(size), np.full(size, np.inf)
    on_lat, on_lon, side = np.full(size, np.nan), np.full(size, np.nan), np.zeros(size, np.int8)
    for number in range(size):
        if not (np.isfinite(lat[number]) and np.isfinite(lon[number])):
            continue
        y0, x0 = lat[number] * DEGREE, lon[number] * DEGREE
        piece, share, away, left = _nearest(grid, shape, y0, x0, is_open, limit_m)
        if piece < 0:
            continue
        segment[number], distance[number] = grid.piece_segment[piece], away
        side[number] = 1 if left > 0 else -1
        along[number] = shape.along_m[piece] + share * (shape.along_m[piece + 1] - shape.along_m[piece])
        on_lat[number] = (shape.lat[piece] + share * (shape.lat[piece + 1] - shape.lat[piece])) / DEGREE
        on_lon[number] = (shape.lon[piece] + share * (shape.lon[piece + 1] - shape.lon[piece])) / DEGREE
    return segment, along, distance, on_lat, on_lon, side


@road_rule
def _nearest(
    grid: Grid, shape: Shape, y0: float, x0: float, is_open: NDArray[np.bool_], limit_m: float
) -> tuple[int, float, float, float]:
    """Return the nearest open piece of road (-1 if there is none), and where it is met as `piece_seen`."""
    south, west, height, width, rows, columns = grid.corner
    squeeze = np.cos(np.radians(y0 / DEGREE))
    cell_m = min(height, width * squeeze) * METRES_PER_UNIT
    row0, column0 = int(np.floor((y0 - south) / height)), int(np.floor((x0 - west) / width))
    # from the point to the south-west corner of its cell
    up_m = (y0 - south - row0 * height) * METRES_PER_UNIT
    right_m = (x0 - west - column0 * width) * squeeze * METRES_PER_UNIT
    high_m, wide_m = height * METRES_PER_UNIT, width * squeeze * METRES_PER_UNIT
    found, its_share, best, its_side = -1, 0.0, limit_m, 0.0
    for ring in range(int(limit_m / cell_m) + 2):
        if best < (ring - 1) * cell_m:
            break
        for row in range(max(0, row0 - ring), min(rows - 1, row0 + ring) + 1):
            y_m = _aside_m(row - row0, high_m, up_m)
            # of the rows between, the two ends alone are new
            step = 1 if abs(row - row0) == ring else 2 * ring
            for column in range(column0 - ring, column0 + ring + 1, step):
                if column < 0 or column >= columns:
                    continue
                x_m = _aside_m(column - column0, wide_m, right_m)
                if x_m * x_m + y_m * y_m > (best + _ROUNDING_M) ** 2:
                    continue
                cell = row * columns + column
                for place in range(grid.cell_start[cell], grid.cell_start[cell + 1]):
                    piece = grid.cell_pieces[place]
                    if not is_open[grid.piece_segment[piece]]:
                        continue
                    share, away, left = piece_seen(shape, piece, y0, x0, squeeze)
                    if away < best or (found < 0 and away <= best):
                        found, its_share, best, its_side = piece, share, away, left
    return found, its_share, best, its_side


@road_rule
def _aside_m(cells: int, size_m: float, offset_m: float) -> float:
    """Return how far a cell is from a point along one axis: so many cells off, the point `offset_m` into its own."""
    if cells == 0:
        return 0.0
    return cells * size_m - offset_m if cells > 0 else offset_m - (cells + 1) * size_m
