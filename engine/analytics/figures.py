"""From sums of amounts to counts, rates and means.

Pure. What each is and means is said in `models.documents.analytics_figures` and in `docs/explanation/analytics.md`.
"""

from models.documents.analytics import Amounts
from models.documents.analytics_figures import Efficiency, Figures, Punctuality, StatusFigures, Travel
from models.documents.delivery import Status

__all__ = ["figures_of", "status_figures_of"]

_ENDS = (Status.DELIVERED, Status.FAILED, Status.RETURNED)
"""How an attempt can end; cancelled deliveries were never attempted."""

_NAMES = {
    status: [f"{amount}:{status}" for amount in ("count", "directM", "durationS", "ended", "inS", "left")]
    for status in Status
}
_NO_DELIVERIES = StatusFigures()


def figures_of(amounts: Amounts) -> Figures:
    """Return all figures of some amounts."""
    ended = sum(amounts.get(f"count:{status}", 0) for status in _ENDS)
    return Figures(
        created=amounts.get("created", 0),
        assigned=amounts.get("assigned", 0),
        by_status={status: status_figures_of(amounts, status) for status in Status},
        failed_attempts=amounts.get("failures", 0),
        first_attempt_rate=_rate(amounts.get("firstAttempt", 0), ended),
        success_rate=_rate(amounts.get(f"count:{Status.DELIVERED}", 0), ended),
        punctuality=_punctuality(amounts),
        efficiency=_efficiency(amounts),
        travel=Travel(
            trips=amounts.get("trips", 0),
            distance_m=amounts.get("drivenM", 0),
            duration_s=amounts.get("drivingS", 0),
        ),
    )


def status_figures_of(amounts: Amounts, status: Status) -> StatusFigures:
    """Return the figures of one status."""
    count, direct_m, duration_s, ended, in_s, left = [amounts.get(name, 0) for name in _NAMES[status]]
    if not count and not left:
        return _NO_DELIVERIES  # most statuses of most days; a year has 3,650 of them
    return StatusFigures(
        count=count,
        direct_distance_m=direct_m,
        duration_s=duration_s,
        mean_duration_s=_mean(duration_s, ended),
        mean_time_in_status_s=_mean(in_s, left),
    )


def _punctuality(amounts: Amounts) -> Punctuality:
    on_time, early, late = (amounts.get(name, 0) for name in ("onTime", "early", "late"))
    with_window = on_time + early + late
    return Punctuality(
        with_window=with_window,
        on_time=on_time,
        early=early,
        late=late,
        on_time_rate=_rate(on_time, with_window),
        mean_lateness_s=_mean(amounts.get("lateS", 0), late),
    )


def _efficiency(amounts: Amounts) -> Efficiency:
    estimated_s, actual_s = amounts.get("estimatedS", 0), amounts.get("actualS", 0)
    return Efficiency(
        deliveries=amounts.get("estimated", 0),
        estimated_duration_s=estimated_s,
        actual_duration_s=actual_s,
        ratio=_rate(estimated_s, actual_s),
    )


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _mean(total: int, count: int) -> float | None:
    return round(total / count, 1) if count else None
