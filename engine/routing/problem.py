"""A routing problem without tenants: places, what is to be brought where, what carries it. Neutral of any solver."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Errand", "Problem", "Solution", "Van"]


@dataclass(frozen=True, slots=True)
class Van:
    """One vehicle with the time that it has. None does not bind."""

    profile: int
    """Which of the problem's matrices hold for it."""
    start: int | None
    """Number of the place where it begins; None begins at its first stop."""
    end: int | None
    """Number of the place where it ends; None ends at its last stop."""
    leaves_s: int
    """When it may leave, seconds after the problem's zero."""
    back_s: int
    """When it has to be back."""
    weight_g: int | None = None
    volume_l: int | None = None
    max_distance_m: int | None = None
    max_duration_s: int | None = None
    max_stops: int | None = None


@dataclass(frozen=True, slots=True)
class Errand:
    """Something to bring, and to fetch before unless it is on board from the start."""

    dropoff: int
    """Number of the place."""
    pickup: int | None
    opens_s: int
    """Earliest begin of the drop-off."""
    closes_s: int
    """Latest arrival at the drop-off."""
    service_s: int
    weight_g: int
    volume_l: int
    penalty: int
    """Cost of leaving it out, in units of the objective."""


@dataclass(frozen=True, slots=True)
class Problem:
    """P places, J errands, V vans of K profiles."""

    errands: Sequence[Errand]
    vans: Sequence[Van]
    distance_m: NDArray[np.int64]
    """K × P × P."""
    duration_s: NDArray[np.int64]
    """K × P × P."""
    cost: NDArray[np.int64]
    """K × P × P; what is made small: metres, seconds, or millilitres of fuel."""


@dataclass(frozen=True, slots=True)
class Solution:
    """An order of stops for each van, as (errand, whether it is its pickup)."""

    routes: tuple[tuple[tuple[int, bool], ...], ...]
    cost: int
    """Without the penalties."""
    unserved: tuple[int, ...]
    """Numbers of errands that no van takes."""
