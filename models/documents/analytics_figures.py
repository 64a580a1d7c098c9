"""Figures as they are answered: counts, rates and means. A rate of nothing is None, not 0."""

from collections.abc import Mapping

from models.documents.delivery import Status
from models.documents.document import Shape

__all__ = ["DeliveryFigures", "Efficiency", "Figures", "Punctuality", "StatusFigures", "Travel"]


class StatusFigures(Shape):
    """Deliveries that stand in one status, and how long deliveries stay in it."""

    count: int = 0
    """Deliveries that came to this status and are in it still."""
    direct_distance_m: int = 0
    """Their distances from pickup to drop-off in a straight line, where both are known points."""
    duration_s: int = 0
    """Their seconds from pickup to end, where they were picked up and have ended."""
    mean_duration_s: float | None = None
    """The same, on average."""
    mean_time_in_status_s: float | None = None
    """How long deliveries that left this status had been in it, on average."""


class Punctuality(Shape):
    """Deliveries made, against their time windows."""

    with_window: int = 0
    on_time: int = 0
    early: int = 0
    late: int = 0
    on_time_rate: float | None = None
    """`onTime` of `withWindow`."""
    mean_lateness_s: float | None = None
    """Of the late ones."""


class Efficiency(Shape):
    """Estimated against actual duration, from pickup to handover."""

    deliveries: int = 0
    """Those with an estimate."""
    estimated_duration_s: int = 0
    actual_duration_s: int = 0
    ratio: float | None = None
    """Estimated by actual: above 1 is faster than estimated."""


class Travel(Shape):
    """Trips of drivers, from their positions."""

    trips: int = 0
    distance_m: int = 0
    duration_s: int = 0


class DeliveryFigures(Shape):
    """What became of deliveries."""

    created: int = 0
    assigned: int = 0
    """Assignments; a delivery that is handed on counts again."""
    by_status: Mapping[Status, StatusFigures]
    failed_attempts: int = 0
    """Also of deliveries that were delivered later."""
    first_attempt_rate: float | None = None
    """Delivered without a failed attempt, of all that were attempted to the end: delivered, failed or returned."""
    success_rate: float | None = None
    """Delivered, of all that were attempted to the end."""
    punctuality: Punctuality
    efficiency: Efficiency


class Figures(DeliveryFigures):
    """What became of deliveries, and what was driven meanwhile."""

    travel: Travel
