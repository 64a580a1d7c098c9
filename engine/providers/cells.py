"""From the nested lists of a server's matrix to arrays, whatever it has sent."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.roads.network import UNREACHABLE
from models.errors import ProviderDown

__all__ = ["cells_of"]

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
    except (TypeError, ValueError) as fault:
        raise ProviderDown(f"{name} answered something else than a matrix") from fault
    if cells.shape != shape:
        raise ProviderDown(f"{name} answered a matrix of another shape")
    known = ~np.isnan(cells)
    if (cells[known] < 0).any() or (cells[known] * scale > _LARGEST).any():
        raise ProviderDown(f"{name} answered times or lengths that can't be")
    return np.where(known, np.rint(np.where(known, cells, 0.0) * scale), UNREACHABLE).astype(np.int64)
