"""What a subscriber looks at: a box on the map, one driver, or the whole fleet. Pure.

`look` compares a selection with the newest-state table and says which drivers to send and which have left.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from api.gateway.conflate import FleetState
from models.messages.fixes import DEGREE

__all__ = ["Bbox", "Delta", "Selection", "inside", "look"]

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bbox:
    """A box on the map, degrees WGS 84. Where `west` is greater than `east` it crosses the 180th meridian."""

    south: float
    west: float
    north: float
    east: float


@dataclass(frozen=True, slots=True)
class Selection:
    """Which drivers a subscription is about; nothing set means the whole fleet."""

    bbox: Bbox | None = None
    number: int | None = None
    """Only the driver of this number; a number that nobody has selects nothing."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What changed in view."""

    rows: Rows
    """Rows of the table to send, in view now."""
    gone: Rows
    """Rows that were in view and are not any more."""


def inside(bbox: Bbox, lat: NDArray[np.int32], lon: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Tell for each packed position (steps of 1e-7 degrees) whether it lies in the box, its edges included."""
    south, west, north, east = (round(edge * DEGREE) for edge in (bbox.south, bbox.west, bbox.north, bbox.east))
    tall = (lat >= south) & (lat <= north)
    if west <= east:
        return tall & (lon >= west) & (lon <= east)
    return tall & ((lon >= west) | (lon <= east))


def look(state: FleetState, selection: Selection, seen: int, visible: NDArray[np.bool_]) -> Delta:
    """Return what changed in a selection since version `seen` of the table.

    Parameters
    ----------
    state
        The newest state of the fleet.
    selection
        What is looked at.
    seen
        Version of the table that the subscriber has; -1 has nothing, so that all in view comes.
    visible
        A flag per row (at least as many as the table has): in view at version `seen`. Not modified.
    """
    if selection.number is None:
        rows = state.changed_since(seen)
    else:
        row = state.row_of(selection.number)
        rows = np.array([row] if row >= 0 and state.versions[row] > seen else [], np.int64)
    here = state.shown[rows]
    if selection.bbox is not None:
        records = state.records
        here &= inside(selection.bbox, records["lat"][rows], records["lon"][rows])
    return Delta(rows[here], rows[~here & visible[rows]])
