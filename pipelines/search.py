"""Search for a better training plan: Optuna proposes, trials run side by side on Ray or one by one here.

A trial is judged by the mean error of its fold predictions, in time order, never by trips of a test. The study is a
journal on disk: a search that was broken off goes on where it was.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from models.eta.residuals import ResidualProfile
from pipelines.replay_finishes import replay_quantiles
from pipelines.training import TrainingPlan, train_bundle
from pipelines.trip_schemas import TripSchema
from pipelines.trips import Trips

__all__ = ["search_plan"]

_NAME = "plan"


def search_plan(
    trips: Trips,
    schema: TripSchema,
    start: TrainingPlan,
    *,
    trials: int,
    journal: Path,
    on_ray: bool = False,
    told: Callable[[int, float], None] = lambda *_: None,
) -> TrainingPlan:
    """Return the best plan found in so many trials, those of an earlier search in the same journal among them.

    Parameters
    ----------
    trips, schema
        What is trained on.
    start
        The plan to begin with; it is the first trial.
    trials
        How many in all.
    journal
        File of the study.
    on_ray
        Whether trials run as tasks of the Ray cluster that this process is connected to.
    told
        Called with the number of trials done and the best error so far, seconds.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=start.seed)
    storage = JournalStorage(JournalFileBackend(str(journal)))
    study = optuna.create_study(study_name=_NAME, storage=storage, sampler=sampler, load_if_exists=True)
    judge = _on_ray(trips, schema) if on_ray else _here(trips, schema)
    if not study.trials:
        study.enqueue_trial({"leaves": start.medians[0].leaves, "least_rows": start.medians[0].least_rows})
    while (done := len(study.get_trials(states=(optuna.trial.TrialState.COMPLETE,)))) < trials:
        asked = [study.ask() for _ in range(min(judge.width, trials - done))]
        for trial, error_s in zip(asked, judge([_plan(trial, start) for trial in asked]), strict=True):
            study.tell(trial, error_s)
        told(len(study.trials), study.best_value)
    return _plan(optuna.trial.FixedTrial(study.best_params), start)


def _plan(trial: optuna.trial.BaseTrial, start: TrainingPlan) -> TrainingPlan:
    leaves = trial.suggest_int("leaves", 4, 95, log=True)
    least_rows = trial.suggest_int("least_rows", 10, 200, log=True)
    rate = trial.suggest_float("rate", 0.02, 0.1, log=True)
    share = trial.suggest_float("feature_share", 0.3, 1.0)
    medians = tuple(
        replace(median, leaves=leaves, least_rows=least_rows, rate=rate, feature_share=share)
        for median in start.medians
    )
    penalty = trial.suggest_float("penalty", 1.0, 50.0, log=True)
    residual = ResidualProfile(
        window_s=trial.suggest_float("window_h", 1.0, 24.0, log=True) * 3600, most=trial.suggest_int("most", 20, 200)
    )
    return replace(start, medians=medians, penalty=penalty, residual=residual)


class _Judge:
    """Trains plans and returns the error of each, seconds."""

    def __init__(self, width: int, judge: Callable[[list[TrainingPlan]], list[float]]) -> None:
        self.width, self._judge = width, judge

    def __call__(self, plans: list[TrainingPlan]) -> list[float]:
        return self._judge(plans)


def _error_s(trips: Trips, schema: TripSchema, plan: TrainingPlan) -> float:
    trained = train_bundle(trips, schema, plan)
    judged = trained.trips.take(trained.rows)
    said = replay_quantiles(trained.bundle, judged, trained.quantiles, plan.residual)
    return float(np.mean(np.abs(said.running_s[:, 1] - judged.legs["duration_s"])))


def _here(trips: Trips, schema: TripSchema) -> _Judge:
    return _Judge(1, lambda plans: [_error_s(trips, schema, plan) for plan in plans])


def _on_ray(trips: Trips, schema: TripSchema) -> _Judge:
    import ray  # here: a search without Ray does not start it

    handle, task = ray.put(trips), ray.remote(num_cpus=1)(_error_s)
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray leaves it so
    width = max(1, int(resources.get("CPU", 1)))

    def judge(plans: list[TrainingPlan]) -> list[float]:
        return list(ray.get([task.remote(handle, schema, plan) for plan in plans]))

    return _Judge(width, judge)
