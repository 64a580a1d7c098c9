"""Train on what was, predict what followed, in the order of time: how good a model would have been."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput
from pipelines.alternatives import alternatives_s
from pipelines.recall import recalled
from pipelines.replay_finishes import Replayed, replay_recalled
from pipelines.scores import Gain, Scores, days_of, named_segments, paired_gain, score
from pipelines.training import Progress, Trained, TrainingPlan, train_bundle
from pipelines.trip_schemas import TripSchema
from pipelines.trips import Trips, finishes_ms

__all__ = ["Backtest", "backtest", "split_trips"]

_TEST_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a back-test found."""

    trained: Trained
    train: Trips
    test: Trips
    replayed: Replayed
    running: Scores
    """In time order: trips that have finished may be used."""
    frozen: Scores
    """The bundle alone, as one batch."""
    alternatives_mae_s: Mapping[str, float]
    gains: Mapping[str, Gain]
    """Alternative → by how much the time-ordered median is better, on the same trips, by days."""

    def to_json(self) -> dict[str, Any]:
        """Return the figures by the names of the benchmark contract."""
        return {
            "rows_train": len(self.train),
            "rows_test": len(self.test),
            "mae_s": self.running.mae_s,
            "mae_batch_s": self.frozen.mae_s,
            "mape": self.running.mape,
            "rmsle": self.running.rmsle,
            "coverage_80": self.running.coverage_80,
            "mean_width_s": self.running.mean_width_s,
            **{f"{name}_mae_s": mae_s for name, mae_s in self.alternatives_mae_s.items()},
            "worst_segment_coverage": self.running.worst,
            **self._by_elapsed(),
            "below": self.running.below,
            "above": self.running.above,
            "batch": self.frozen.to_json(),
            "time_order": self.running.to_json(),
            "gain_s": {name: [gain.mean_s, gain.low_s, gain.high_s] for name, gain in self.gains.items()},
        }

    def _by_elapsed(self) -> dict[str, Any]:
        """Return the error at each moment of a drive, where predictions were made on the way."""
        if "elapsed_s" not in self.test.legs:
            return {}
        elapsed_s, actual_s = self.test.legs["elapsed_s"], self.test.legs["duration_s"]
        error_s = np.abs(self.replayed.running_s[:, 1] - actual_s)
        means = {f"{after_s:.0f}": float(error_s[elapsed_s == after_s].mean()) for after_s in np.unique(elapsed_s)}
        return {"mae_s_by_elapsed_s": means}


def split_trips(trips: Trips, later: Trips | None = None) -> tuple[Trips, Trips]:
    """Return the trips to train on and those to test with, which began after the former had ended.

    By the file's own column where it has one, else the newest quarter is the test; `later` is the test if it is given.

    Raises
    ------
    InvalidInput
        If one of the two is empty.
    """
    if later is not None:
        train, test = trips, later
    elif np.any(trips.split == "test"):
        train, test = trips.take(trips.split != "test"), trips.take(trips.split == "test")
    else:
        begins = np.arange(len(trips)) >= int(len(trips) * (1 - _TEST_SHARE))
        train, test = trips.take(~begins), trips.take(begins)
    if not len(test):
        raise InvalidInput("there are no trips to test with")
    known = train.take(finishes_ms(train) <= test.legs["moment_ms"][0])
    if not len(known):
        raise InvalidInput("no trip had ended before the test begins: train has to be earlier than test")
    return known, test


def backtest(
    train: Trips, test: Trips, schema: TripSchema, plan: TrainingPlan | None = None, told: Progress = lambda *_: None
) -> Backtest:
    """Return how good a model of the training trips would have been on the test trips."""
    plan = plan or TrainingPlan.for_rows(len(train))
    trained = train_bundle(train, schema, plan, told)
    bundle = trained.bundle
    test = recalled(bundle, test)
    replayed = replay_recalled(bundle, test, plan.residual)
    actual_s, segments, days = test.legs["duration_s"], named_segments(test, bundle.spec), days_of(test)
    others_s = alternatives_s(trained.trips, test, bundle.spec, threads=plan.threads)
    errors = {name: np.abs(times_s - actual_s) for name, times_s in others_s.items()}
    ours = np.abs(replayed.running_s[:, 1] - actual_s)
    return Backtest(
        trained=trained,
        train=train,
        test=test,
        replayed=replayed,
        running=score(replayed.running_s, actual_s, segments),
        frozen=score(replayed.frozen_s, actual_s, segments),
        alternatives_mae_s={name: float(error.mean()) for name, error in errors.items()},
        gains=_gains(errors, ours, days),
    )


def _gains(
    errors: Mapping[str, NDArray[np.float64]], ours: NDArray[np.float64], days: NDArray[np.int64]
) -> dict[str, Gain]:
    return {name: paired_gain(error, ours, days) for name, error in errors.items()}
