"""From finished trips to a bundle: rolling origin for what calibrates and judges, then everything for what serves.

Each fold trains on what had finished before it begins and predicts what follows, so every calibration score is one
that the model would have made in production. The last fold is the hold-out by which bundles are compared.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput
from models.eta.bundle import LEVELS, Bundle
from models.eta.calibration import Calibration, fit_calibration, segments_of, tail_scores
from models.eta.features import FeatureSpec, base_times_s, leg_features
from models.eta.history import PaceHistory
from models.eta.residuals import ResidualProfile
from models.eta.service_time import ServiceTimes, fit_service_times
from models.eta.smooth import SmoothModel, fit_smooth
from models.eta.time_table import fit_time_table
from pipelines.preparing import clean_trips, constant_features, fit_spec, of_one_base, refuse_leakage
from pipelines.provenance import code_version, snapshot_digest
from pipelines.recall import with_history
from pipelines.replay_finishes import replay_quantiles, running_shifts
from pipelines.route_sums import fit_spread
from pipelines.trees import TreePlan, train_trees
from pipelines.trip_schemas import TripSchema
from pipelines.trips import Trips, finishes_ms

__all__ = ["Progress", "Trained", "TrainingPlan", "train_bundle"]

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps are done, and of how many."""

_LEAST_TRIPS = 200
_LEAST_ROUNDS = 20
_GROWTH = 2.0  # stopped on a third of the trips; on newer trips of both cities 1.2 was 0.5 to 1.5 % worse
_PROBE = 1_000
_TAILS = (0.1, 0.9)
_LEVEL_MS = 7 * 86_400_000
_LEVEL_SHRINK = 200.0
_FEW_TRIPS = 4_000
_SHARES = (0.0, 0.25, 0.5)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Everything that may be chosen about a training."""

    medians: tuple[TreePlan, ...] = (TreePlan(objective="huber", alpha=0.15, rounds=400),)
    """Trees of P50, averaged; L1 trees beside the huber ones gained nothing."""
    tails: TreePlan = field(default_factory=lambda: TreePlan(objective="quantile", rounds=150, leaves=8, least_rows=80))
    """Trees of the distance of P10 and P90 from P50."""
    penalty: float = 10.0
    """Of the smooth surface."""
    folds: tuple[float, ...] = (0.4, 0.6, 0.8)
    """Shares of the trips at which a fold begins; each ends where the next begins. The first only trains the tails."""
    threads: int = 1
    """Of LightGBM."""
    seed: int = 1
    """Of rows and features drawn."""
    residual: ResidualProfile = field(default_factory=ResidualProfile)
    """Of the running residual that calibration replays."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def for_rows(cls, rows: int, threads: int = 1, seed: int = 1) -> "TrainingPlan":
        """Return the plan for so many trips: few of them carry small trees only."""
        if rows >= _FEW_TRIPS:
            return cls(threads=threads, seed=seed)
        return cls(
            medians=(TreePlan(objective="huber", alpha=0.15, leaves=8, least_rows=40, rounds=400),),
            tails=TreePlan(objective="quantile", rounds=80, leaves=4, least_rows=100),
            penalty=30.0,
            threads=threads,
            seed=seed,
        )


@dataclass(frozen=True, slots=True)
class Trained:
    """A bundle, and what it would have said of trips it had not seen."""

    bundle: Bundle
    trips: Trips
    """Those that were learned from."""
    rows: NDArray[np.int64]
    """Places, among the trips, of those that a fold predicted."""
    quantiles: NDArray[np.float64]
    """P10, P50, P90 of the log ratio for each, not calibrated."""
    notes: Sequence[str]
    """What a person should know: rows left out, columns that say nothing."""


@dataclass(frozen=True, slots=True)
class _Data:
    """Trips that are learned from, as numbers."""

    trips: Trips
    spec: FeatureSpec
    matrix: NDArray[np.float64]
    base_s: NDArray[np.float64]
    target: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Folds:
    """What each fold said of the trips that followed it."""

    rows: NDArray[np.int64]
    fold: NDArray[np.int64]
    trees: NDArray[np.float64]
    smooth: NDArray[np.float64]


def train_bundle(
    trips: Trips, schema: TripSchema, plan: TrainingPlan | None = None, told: Progress = lambda *_: None
) -> Trained:
    """Return a bundle trained on trips in the order of time.

    Raises
    ------
    InvalidInput
        If there are too few trips, or a column knows the future.
    """
    plan = plan or TrainingPlan.for_rows(len(trips))
    good, taken = clean_trips(trips, schema)
    good, base = of_one_base(good)
    if len(good) < _LEAST_TRIPS:
        raise InvalidInput(
            f"{len(good)} trips are too few to learn from: {_LEAST_TRIPS} are needed (left out: {taken})"
        )
    spec = fit_spec(good, schema)
    history = PaceHistory() if schema.history else None
    if history is not None:
        good = with_history(good, spec, history)
    refuse_leakage(good, spec)
    matrix, base_s = leg_features(good.legs, spec), base_times_s(good.legs, spec)
    data = _Data(good, spec, matrix, base_s, np.log(good.legs["duration_s"] / base_s))
    plan = _with_rounds(data, plan, told)
    folds = _roll(data, plan, told)
    share = _best_share(data, folds)
    middle, level = _levelled(data, folds, (1 - share) * folds.trees + share * folds.smooth)
    left = data.target[folds.rows] - middle
    left -= running_shifts(good.take(folds.rows), left, plan.residual)
    quantiles = _quantiles(data, folds, middle, left, plan)
    told("fitting all", len(plan.folds) + 1, len(plan.folds) + 2)
    medians, smooth = _fit_medians(data, np.arange(len(good)), plan)
    tails = [_fit_tail(data, folds.rows, left, level, plan) for level in _TAILS]
    judged = folds.fold > 0
    calibrations = _calibrate(data, folds.rows[judged], quantiles[judged], plan)
    bundle = Bundle(
        spec=spec,
        texts=dict(zip(LEVELS, (_texts(tails[:1]), _texts(medians), _texts(tails[1:])), strict=True)),
        calibration=calibrations[0],
        running=calibrations[1],
        scores=calibrations[2],
        smooth=smooth,
        smooth_share=share,
        level=level,
        table=fit_time_table(matrix, data.target, spec),
        probe=matrix[np.linspace(0, len(matrix) - 1, min(_PROBE, len(matrix))).astype(int)],
        metadata=_metadata(data, schema, plan, share, base),
        service=_service_times(good),
        history=history,
    )
    judged_trips = good.take(folds.rows[judged])
    replayed = replay_quantiles(bundle, judged_trips, quantiles[judged], plan.residual)
    services_s = _services_s(good, folds.rows[judged])
    bundle = replace(bundle, spread=fit_spread(judged_trips, replayed.running_s, replayed.shifts, services_s))
    told("fitted", len(plan.folds) + 2, len(plan.folds) + 2)
    notes = _notes(trips, taken, constant_features(matrix, spec))
    return Trained(bundle, good, folds.rows[judged], quantiles[judged], notes)


def _with_rounds(data: _Data, plan: TrainingPlan, told: Progress) -> TrainingPlan:
    """Return the plan with as many trees as help on what follows the first fold's own trips (early stopping)."""
    told("choosing the number of trees", 0, len(plan.folds) + 2)
    end = int(len(data.target) * plan.folds[0])
    cut = int(end * 0.8)
    stop_on = (data.matrix[cut:end], data.target[cut:end])
    medians = []
    for median in plan.medians:
        grown = train_trees(
            data.matrix[:cut],
            data.target[:cut],
            data.spec,
            median,
            threads=plan.threads,
            seed=plan.seed,
            stop_on=stop_on,
        )
        medians.append(replace(median, rounds=max(_LEAST_ROUNDS, int(grown.best_iteration * _GROWTH))))
    return replace(plan, medians=tuple(medians))


def _roll(data: _Data, plan: TrainingPlan, told: Progress) -> _Folds:
    """Return what each fold's models said of the trips up to the next; they knew what had finished before it began."""
    count = len(data.target)
    edges = [*(int(count * share) for share in plan.folds), count]
    moments, ends = data.trips.legs["moment_ms"], finishes_ms(data.trips)
    rows, fold, trees, smooth = [], [], [], []
    for number, (begin, end) in enumerate(pairwise(edges)):
        told(f"fold {number + 1} of {len(plan.folds)}", number + 1, len(plan.folds) + 2)
        known = np.flatnonzero(ends[:begin] < moments[begin])
        medians, surface = _fit_medians(data, known, plan)
        ahead = np.arange(begin, end)
        rows.append(ahead)
        fold.append(np.full(end - begin, number))
        trees.append(_predict(medians, data.matrix[ahead]))
        smooth.append(surface(data.matrix[ahead]))
    return _Folds(np.concatenate(rows), np.concatenate(fold), np.concatenate(trees), np.concatenate(smooth))


def _best_share(data: _Data, folds: _Folds) -> float:
    """Return how much of the smooth surface makes the mean error least, in steps of a quarter."""
    actual_s, base_s = data.trips.legs["duration_s"][folds.rows], data.base_s[folds.rows]

    def error_s(share: float) -> float:
        log_ratio = (1 - share) * folds.trees + share * folds.smooth
        return float(np.mean(np.abs(base_s * np.exp(log_ratio) - actual_s)))

    return min(_SHARES, key=error_s)


def _levelled(data: _Data, folds: _Folds, middle: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return each fold's medians moved by what the newest trips before it lay beyond theirs, and the next such level.

    Drift goes on for days: what counts is the last week, or half a fold where that is shorter, shrunk by n/(n+200).
    """
    moved, level = middle.copy(), 0.0
    for number in range(int(folds.fold[-1]) + 1):
        now = np.flatnonzero(folds.fold == number)
        moved[now] += level
        moments_ms = data.trips.legs["moment_ms"][folds.rows[now]]
        newest = now[(moments_ms >= moments_ms[-1] - _LEVEL_MS) & (np.arange(len(now)) >= len(now) // 2)]
        left = np.median(data.target[folds.rows[newest]] - middle[newest])
        level = float(left * len(newest) / (len(newest) + _LEVEL_SHRINK))
    return moved, level


def _quantiles(
    data: _Data, folds: _Folds, middle: NDArray[np.float64], left: NDArray[np.float64], plan: TrainingPlan
) -> NDArray[np.float64]:
    """Return P10, P50, P90 of each fold's trips, the tails learned from the folds before."""
    quantiles = np.tile(middle[:, None], 3)
    for number in range(1, len(plan.folds)):
        before, now = folds.fold < number, folds.fold == number
        for place, level in zip((0, 2), _TAILS, strict=True):
            tail = _fit_tail(data, folds.rows[before], left[before], level, plan)
            quantiles[now, place] += _predict([tail], data.matrix[folds.rows[now]])
    return np.sort(quantiles, axis=1)


def _calibrate(
    data: _Data, rows: NDArray[np.int64], quantiles: NDArray[np.float64], plan: TrainingPlan
) -> tuple[Calibration, Calibration, NDArray[np.float64]]:
    """Return the calibration of predictions as they are, of shifted ones, and what scores the latter leaves."""
    names, matrix, actual = data.spec.names, data.matrix[rows], data.target[rows]
    segments = segments_of(matrix[:, names.index("hour")], matrix[:, names.index("great_circle_m")])
    shifts = running_shifts(data.trips.take(rows), actual - quantiles[:, 1], plan.residual)
    scores = tail_scores(quantiles + shifts[:, None], actual)
    running = fit_calibration(scores, segments)
    frozen = fit_calibration(tail_scores(quantiles, actual), segments)
    return frozen, running, scores - running.of(segments)


def _fit_medians(
    data: _Data, rows: NDArray[np.int64], plan: TrainingPlan
) -> tuple[list[lightgbm.Booster], SmoothModel]:
    matrix, target = data.matrix[rows], data.target[rows]
    trees = [
        train_trees(matrix, target, data.spec, median, threads=plan.threads, seed=plan.seed + number)
        for number, median in enumerate(plan.medians)
    ]
    return trees, fit_smooth(matrix, target, data.spec, penalty=plan.penalty, seed=plan.seed)


def _fit_tail(
    data: _Data, rows: NDArray[np.int64], left: NDArray[np.float64], level: float, plan: TrainingPlan
) -> lightgbm.Booster:
    tail = replace(plan.tails, alpha=level)
    return train_trees(data.matrix[rows], left, data.spec, tail, threads=plan.threads, seed=plan.seed)


def _predict(trees: Sequence[lightgbm.Booster], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.mean([np.asarray(each.predict(matrix)) for each in trees], axis=0))


def _texts(trees: Sequence[lightgbm.Booster]) -> tuple[str, ...]:
    return tuple(each.model_to_string() for each in trees)


def _service_times(trips: Trips) -> ServiceTimes | None:
    """Return times at the stops, where the trips tell them; whose they are is told by their `company`."""
    if "service_s" not in trips.legs:
        return None
    legs = trips.legs
    return fit_service_times(legs.get("company", ""), legs["to_lat"], legs["to_lon"], legs["service_s"])


def _services_s(trips: Trips, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return quantiles of the seconds at the stops of some trips, by what had been seen before the first; N × 3."""
    moments_ms = trips.legs["moment_ms"]
    times = _service_times(trips.take(finishes_ms(trips) < moments_ms[rows[0]]))
    if times is None:
        return None
    asked = trips.take(rows).legs
    return times.predict(asked.get("company", ""), asked["to_lat"], asked["to_lon"])[0]


def _metadata(data: _Data, schema: TripSchema, plan: TrainingPlan, share: float, base: str) -> dict[str, Any]:
    moments = data.trips.legs["moment_ms"]
    return {
        "data": {
            "digest": snapshot_digest(data.trips),
            "schema": schema.name,
            "rows": len(data.trips),
            "fromMs": int(moments[0]),
            "untilMs": int(finishes_ms(data.trips).max()),
            "attribution": schema.attribution,
        },
        "base": base,
        "plan": plan.to_json(),
        "smoothShare": share,
        "code": code_version(),
    }


def _notes(trips: Trips, taken: dict[str, int], silent: Sequence[str]) -> list[str]:
    lost = [f"{count:,} rows without use: {reason}" for reason, count in trips.refused.items()]
    lost += [f"{count:,} trips not learned from: {rule}" for rule, count in taken.items()]
    return lost + ([f"columns that say nothing: {', '.join(silent)}"] if silent else [])
