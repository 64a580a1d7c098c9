"""A bundle as the engine asks it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.eta.bases import GREAT_CIRCLE
from engine.eta.predictor import ANY_BASE, OWN_BASE, Legs
from models.eta.accelerator import is_compiled, load_fast
from models.eta.base_time import BASES
from models.eta.bundle import Bundle
from models.eta.features import base_times_s, leg_features

__all__ = ["BundlePredictor", "load_predictor"]


_STATED = {*BASES, ANY_BASE}
_STRAIGHT = {"base_s": "straight_s", "base_m": "straight_m", "driven_ratio": "straight_ratio"}


class BundlePredictor:
    """Says how long legs take, by a bundle with its running calibration; corrections are added by the estimator."""

    def __init__(self, name: str, bundle: Bundle) -> None:
        self.version = name
        self.bundle = bundle
        self.spread = bundle.spread
        self.history = bundle.history
        self.history_until_ms = int(bundle.metadata.get("data", {}).get("untilMs", 0))
        stated = bundle.metadata.get("base")
        self.base: str = stated if stated in _STATED else OWN_BASE

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
        """Return the median seconds at a tenant's stops, by address, building, area or company."""
        if self.bundle.service is None:
            return np.zeros(len(lat))
        return np.asarray(self.bundle.service.predict(tenant, lat, lon)[0][:, 1])

    def _read(self, legs: Legs) -> Legs:
        """Return legs with the base times that the bundle was trained on: its own street grid's, or a provider's."""
        if self.base in (OWN_BASE, BASES[GREAT_CIRCLE]):
            legs = {**legs, **{name: legs[straight] for name, straight in _STRAIGHT.items() if straight in legs}}
        if self.base == OWN_BASE:
            return {name: column for name, column in legs.items() if name not in ("base_s", "base_m")}
        return legs


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
