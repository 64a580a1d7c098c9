"""How well estimates have done, as it is answered."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.documents.document import Shape

__all__ = ["EtaAccuracy", "LegAccuracy", "accuracy_of", "leg_accuracy"]


class PromiseAccuracy(Shape):
    """Of some promises; null where there were none."""

    label: str
    """The day (UTC), or the time ahead at which promises were made: `under_10_min` … `over_60_min`."""
    arrivals: int
    mean_absolute_error_s: float | None
    bias_s: float | None
    """Mean of arrival less promise; positive is late."""
    coverage: float | None
    """Share of arrivals in the promised range; 0.8 is meant."""
    early: float | None
    """Share before the range."""
    late: float | None
    """Share after it."""
    mean_width_s: float | None


class RiskAccuracy(Shape):
    """Of `delivery.late_risk`."""

    told: int
    missed: int
    """Windows that were missed."""
    precision: float | None
    """Of those told, the share that were missed."""
    recall: float | None
    """Of those missed, the share that were told."""


class LegAccuracy(Shape):
    """Of one model, on what it said at the departure of each leg."""

    model: str
    legs: int
    mean_absolute_error_s: float | None
    bias_s: float | None
    coverage: float | None
    mean_width_s: float | None


class EtaAccuracy(Shape):
    """How promises, warnings and models have held."""

    whole: PromiseAccuracy
    days: Sequence[PromiseAccuracy]
    ahead: Sequence[PromiseAccuracy]
    late_risk: RiskAccuracy
    models: Sequence[LegAccuracy]


def accuracy_of(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> EtaAccuracy:
    """Return sums (`EtaRepository.accuracy`) as shares and means."""
    whole = found["whole"][0] if found["whole"] else {}
    told, missed, both = (int(whole.get(name, 0)) for name in ("told", "missed", "toldAndMissed"))
    return EtaAccuracy(
        whole=_promises(whole, "all"),
        days=[_promises(one, one["_id"]) for one in found["days"]],
        ahead=[_promises(one, one["_id"]) for one in sorted(found["ahead"], key=lambda one: _order(one["_id"]))],
        late_risk=RiskAccuracy(told=told, missed=missed, precision=_share(both, told), recall=_share(both, missed)),
        models=[leg_accuracy(one) for one in found["models"]],
    )


def leg_accuracy(sums: Mapping[str, Any]) -> LegAccuracy:
    """Return the sums of a model as shares and means."""
    legs = int(sums.get("legs", 0))
    return LegAccuracy(
        model=sums["_id"],
        legs=legs,
        mean_absolute_error_s=_mean(sums.get("absErrorS", 0.0), legs),
        bias_s=_mean(sums.get("errorS", 0.0), legs),
        coverage=_share(int(sums.get("inside", 0)), legs),
        mean_width_s=_mean(sums.get("widthS", 0.0), legs),
    )


def _promises(sums: Mapping[str, Any], label: str) -> PromiseAccuracy:
    count = int(sums.get("promises", 0))
    return PromiseAccuracy(
        label=label,
        arrivals=count,
        mean_absolute_error_s=_mean(sums.get("absErrorS", 0.0), count),
        bias_s=_mean(sums.get("errorS", 0.0), count),
        coverage=_share(int(sums.get("inside", 0)), count),
        early=_share(int(sums.get("early", 0)), count),
        late=_share(int(sums.get("late", 0)), count),
        mean_width_s=_mean(sums.get("widthS", 0.0), count),
    )


def _order(label: str) -> tuple[bool, int]:
    return label.startswith("over"), int(label.split("_")[1])


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _mean(total: float, count: int) -> float | None:
    return round(total / count, 1) if count else None
