"""What finished legs teach between trainings: the running residual and the calibration that goes on, by model. Pure.

Every shard takes in the finishes of all shards, in the order in which they came together (`engine.eta.finishes`), so
all say the same. A finish carries what champion and candidate had said: who is promoted has a residual of its own.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import h3
import msgspec
import numpy as np
from numpy.typing import NDArray

from models.eta.history import USUAL_VEHICLE
from models.eta.online_calibration import OnlineCalibration
from models.eta.residuals import RunningResidual, freshness

__all__ = ["Corrections", "Finish", "ModelSaid", "area_of"]

_AREA_RESOLUTION = 6  # H3 cells of 36 km²: some dozen finishes a cell in a window of six hours
_LEAST_S = 30.0  # shorter legs are noise of the geofence's edge
_REMEMBERED = 2**16  # stops whose areas are kept: they are asked for every few seconds
_EVERYBODY = ""  # in place of a tenant


class ModelSaid(msgspec.Struct, frozen=True):
    """What a model said at the beginning of a leg."""

    model: str
    raw_s: tuple[float, float, float]
    """Quantiles by the model and its own calibration alone, seconds."""
    shift: float
    """Residual that was added, log ratio."""
    said_s: tuple[float, float, float]
    """What people were told."""


class Finish(msgspec.Struct, frozen=True):
    """A leg that was driven to its end."""

    id: str
    """The same in every replay."""
    tenant: str
    finished_ms: int
    actual_s: float
    latitude: float
    longitude: float
    said: tuple[ModelSaid, ...]
    """By the champion, then by the candidate if there is one."""
    from_latitude: float = 0.0
    from_longitude: float = 0.0
    base_s: float = 0.0
    """Base time of the leg, seconds; 0 where it is not known."""
    base_of: int = 0
    """Who says it: a place in `models.eta.base_time.BASES`."""
    driver: str = ""
    """Alias of who drove it (`models.eta.history.driver_alias`)."""
    vehicle: str = USUAL_VEHICLE
    """What it was driven with, one of `engine.eta.bases.PROFILES`."""


@dataclass(slots=True)
class _OfModel:
    residual: RunningResidual = field(default_factory=RunningResidual)
    calibrations: dict[str, OnlineCalibration] = field(default_factory=dict)


class Corrections:
    """Residuals and margins of all models that are asked."""

    def __init__(self) -> None:
        self._models: dict[str, _OfModel] = {}
        self._seeds: dict[str, NDArray[np.float64]] = {}

    def begin(self, model: str, scores: NDArray[np.float64] | None = None) -> None:
        """Prepare for a model; `scores` are those that training left, N × 2."""
        if scores is not None and len(scores):
            self._seeds[model] = scores
        self._models.setdefault(model, _OfModel())

    def keep_only(self, models: Sequence[str]) -> None:
        """Forget models that nobody asks any more."""
        for model in [name for name in self._models if name not in models]:
            del self._models[model]
            self._seeds.pop(model, None)

    def observe(self, finish: Finish) -> None:
        """Take in a finish; what is too short to tell anything is left out."""
        if finish.actual_s < _LEAST_S:
            return
        for said in finish.said:
            if min(said.raw_s) <= 0:
                continue
            known = self._models.setdefault(said.model, _OfModel())
            low, middle, high = (math.log(value) for value in said.raw_s)
            actual = math.log(finish.actual_s)
            windows = (finish.tenant, area_of(finish.tenant, finish.latitude, finish.longitude))
            known.residual.observe(windows, finish.finished_ms, actual - middle)
            for tenant in (_EVERYBODY, finish.tenant):
                calibration = self._calibration(said.model, tenant)
                calibration.observe(low + said.shift - actual, actual - high - said.shift)

    def shifts(
        self,
        model: str,
        tenant: str,
        lat: NDArray[np.float64],
        lon: NDArray[np.float64],
        elapsed_s: NDArray[np.float64],
        moment_ms: int,
    ) -> NDArray[np.float64]:
        """Return the log ratios to add to what a model says of a tenant's legs, length N; those under way get less."""
        known = self._models.get(model)
        fresh = freshness(elapsed_s)
        if known is None or not fresh.any():
            return np.zeros(len(lat))
        areas = [area_of(tenant, one_lat, one_lon) for one_lat, one_lon in zip(lat.tolist(), lon.tolist(), strict=True)]
        by_area = {area: known.residual.shift((tenant, area), moment_ms) for area in set(areas)}
        return np.asarray(np.array([by_area[area] for area in areas]) * fresh)

    def margins(self, model: str, tenant: str) -> tuple[float, float]:
        """Return by how much the tails are moved outwards, log ratio: a tenant's own once it has enough outcomes."""
        for name in (tenant, _EVERYBODY):
            calibration = self._calibration(model, name)
            if calibration.is_confident or (name == _EVERYBODY and model in self._seeds):
                return calibration.margins()
        return 0.0, 0.0

    def is_confident(self, model: str, tenant: str) -> bool:
        """Tell whether enough outcomes of a tenant stand behind its margins."""
        return self._calibration(model, tenant).is_confident

    def standing(self, model: str, tenant: str, moment_ms: int) -> Mapping[str, float]:
        """Return the residual and margins of a tenant as they are, for metrics."""
        known = self._models.setdefault(model, _OfModel())
        low, high = self.margins(model, tenant)
        return {"residual": known.residual.shift((tenant,), moment_ms), "low": low, "high": high}

    def forget(self, moment_ms: int) -> None:
        """Drop windows that have run empty."""
        for known in self._models.values():
            known.residual.forget(moment_ms)

    def _calibration(self, model: str, tenant: str) -> OnlineCalibration:
        known = self._models.setdefault(model, _OfModel())
        found = known.calibrations.get(tenant)
        if found is None:
            found = known.calibrations[tenant] = OnlineCalibration()
            if model in self._seeds:
                found.seed(self._seeds[model])
        return found


@functools.lru_cache(_REMEMBERED)
def area_of(tenant: str, latitude: float, longitude: float) -> str:
    """Return the window of finishes around a place."""
    return f"{tenant}/{h3.latlng_to_cell(latitude, longitude, _AREA_RESOLUTION)}"
