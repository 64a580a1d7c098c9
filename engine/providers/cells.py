"""From what a server sends of ways to arrays, amounts and lines, whatever it has sent."""

from typing import Any

import numpy as np
import polyline
from numpy.typing import NDArray

from engine.roads.network import UNREACHABLE
from models.errors import ProviderDown

__all__ = ["amount_of", "cells_of", "line_of"]

_LARGEST = float(UNREACHABLE) / 2


def cells_of(name: str, rows: Any, shape: tuple[int, int], scale: float = 1.0) -> NDArray[np.int64]:
    """Return a server's matrix as whole numbers; null is `UNREACHABLE`.

    Raises
    ------
    ProviderDown
        If it has another shape, or cells that are no times or lengths.
    """
    try:
        cells = np.array(rows, np.float64)  # None becomes NaN
    except (TypeError, ValueError, OverflowError) as fault:
        raise ProviderDown(f"{name} answered something else than a matrix") from fault
    if cells.shape != shape:
        raise ProviderDown(f"{name} answered a matrix of another shape")
    known = ~np.isnan(cells)
    if (cells[known] < 0).any() or (cells[known] * scale > _LARGEST).any():
        raise ProviderDown(f"{name} answered times or lengths that can't be")
    return np.where(known, np.rint(np.where(known, cells, 0.0) * scale), UNREACHABLE).astype(np.int64)


def amount_of(name: str, said: Any, scale: float = 1.0) -> float:
    """Return a time or a length of a way; raises as `cells_of`."""
    try:
        amount = float(said) * scale
    except (TypeError, ValueError, OverflowError) as fault:
        raise ProviderDown(f"{name} answered something else than a time or a length") from fault
    if not 0 <= amount <= _LARGEST:
        raise ProviderDown(f"{name} answered times or lengths that can't be")
    return amount


def line_of(name: str, encoded: Any) -> list[tuple[float, float]]:
    """Return the points of a way from a polyline with six digits; raises as `cells_of`."""
    try:
        points: list[tuple[float, float]] = polyline.decode(encoded, 6)
    except (TypeError, ValueError, IndexError, OverflowError) as fault:
        raise ProviderDown(f"{name} answered something else than a line") from fault
    if not all(abs(latitude) <= 90 and abs(longitude) <= 180 for latitude, longitude in points):
        raise ProviderDown(f"{name} answered a line that leads nowhere")
    return points
