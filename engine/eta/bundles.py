"""A bundle as the engine asks it, or the table of one whose trees are damaged."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.eta.bases import GREAT_CIRCLE
from engine.eta.predictor import ANY_BASE, OWN_BASE, Legs
from models.eta.accelerator import is_compiled, load_fast
from models.eta.base_time import BASES
from models.eta.bundle import Bundle, load_time_table
from models.eta.features import FeatureSpec, base_times_s, leg_features, traffic_factors
from models.eta.history import PaceHistory
from models.eta.spread import Spread
from models.eta.time_table import TimeTable

__all__ = ["BundlePredictor", "TablePredictor", "load_predictor", "load_table"]


_STATED = {*BASES, ANY_BASE}
_STRAIGHT_BASES = (OWN_BASE, BASES[GREAT_CIRCLE])
_STRAIGHT = {"base_s": "straight_s", "base_m": "straight_m", "driven_ratio": "straight_ratio"}


class BundlePredictor:
    """Says how long legs take, by a bundle with its running calibration; corrections are added by the estimator."""

    def __init__(self, name: str, bundle: Bundle) -> None:
        self.version = name
        self.bundle = bundle
        self.spread = bundle.spread
        self.history = bundle.history
        self.history_until_ms = int(bundle.metadata.get("data", {}).get("untilMs", 0))
        self.base = _stated(bundle.metadata.get("base"))
        self.reads_driven = self.base not in _STRAIGHT_BASES and bundle.reads("driven_ratio")

    @property
    def is_compiled(self) -> bool:
        """Return whether machine code computes it."""
        return is_compiled(self.bundle)

    def predict(self, legs: Legs) -> NDArray[np.float64]:
        """Return quantiles of the time that each leg takes, N × 3 seconds."""
        legs = self._read(legs)
        matrix = leg_features(legs, self.bundle.spec)
        offsets = self.bundle.running.of(self.bundle.segments(matrix))
        base_s = base_times_s(legs, self.bundle.spec)
        return self.bundle.times_s(base_s, matrix, self.bundle.log_quantiles(matrix), offsets=offsets)

    def explain(self, legs: Legs, shift: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """Return what makes legs longer or shorter than their base times, by SHAP values: minutes by reason."""
        return self.bundle.contributions(self._read(legs), shift=shift)

    def base_s(self, legs: Legs) -> NDArray[np.float64]:
        """Return the base time of each leg: the model's own street grid's, or the provider's."""
        return base_times_s(self._read(legs), self.bundle.spec)

    def service_s(self, tenant: str, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return quantiles of the seconds at a tenant's stops, by address, building, area or company."""
        if self.bundle.service is None:
            return np.zeros((len(lat), 3))
        return self.bundle.service.predict(tenant, lat, lon)[0]

    def _read(self, legs: Legs) -> Legs:
        return _with_base(legs, self.base)


class TablePredictor:
    """Says how long legs take by a bundle's table of hours and distances, while nothing better can be read."""

    spread = Spread()
    history: PaceHistory | None = None
    history_until_ms = 0
    reads_driven = False

    def __init__(self, name: str, table: TimeTable, spec: FeatureSpec, base: str) -> None:
        self.version = f"{name}/table"
        self._table, self._spec, self.base = table, spec, _stated(base)

    def predict(self, legs: Legs) -> NDArray[np.float64]:
        """Return quantiles of the time that each leg takes, N × 3 seconds."""
        return self._table.predict(_with_base(legs, self.base), self._spec)

    def explain(self, legs: Legs, shift: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """Return what traffic adds to free roads, what such legs take beyond, and what just happened adds: minutes."""
        middle_s, base_s = self.predict(legs)[:, 1], self.base_s(legs)
        free_s = base_s / traffic_factors(_with_base(legs, self.base), self._spec)
        parts_s = {"traffic": base_s - free_s, "usual": middle_s - base_s, "today": middle_s * np.expm1(shift)}
        return {name: part_s / 60 for name, part_s in parts_s.items()}

    def base_s(self, legs: Legs) -> NDArray[np.float64]:
        """Return the base time of each leg as the bundle reads it, seconds."""
        return base_times_s(_with_base(legs, self.base), self._spec)

    def service_s(self, tenant: str, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return nothing: the table knows ways alone."""
        return np.zeros((len(lat), 3))


def load_predictor(name: str, folder: Path) -> BundlePredictor:
    """Read a bundle, compiled where there is machine code for this machine, and let it predict once.

    Raises
    ------
    BundleRefused
        If it is damaged, or of another release.
    """
    predictor = BundlePredictor(name, load_fast(folder))
    predictor.bundle.log_quantiles(predictor.bundle.probe[:1])
    return predictor


def load_table(name: str, folder: Path) -> TablePredictor:
    """Read the table of a bundle whose other files are damaged.

    Raises
    ------
    BundleRefused
        If the table, its specification or the manifest is damaged too.
    """
    return TablePredictor(name, *load_time_table(folder))


def _with_base(legs: Legs, base: str) -> Legs:
    """Return legs with the base times that a bundle was trained on: its own street grid's, or a provider's."""
    if base in _STRAIGHT_BASES:
        legs = {**legs, **{name: legs[straight] for name, straight in _STRAIGHT.items() if straight in legs}}
    if base == OWN_BASE:
        return {name: column for name, column in legs.items() if name not in ("base_s", "base_m")}
    return legs


def _stated(base: object) -> str:
    """Return whose base times a bundle says that it was trained on."""
    return base if isinstance(base, str) and base in _STATED else OWN_BASE
