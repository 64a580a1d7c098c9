"""What finished legs tell of the next ones, by model: each bundle's own history, carried on by what shards see. Pure.

A bundle brings what it knew when it was trained. Shards take in every finish (`engine.eta.finishes`) and remember a
day of them, so a bundle that is put in place later catches up with what ended after its data.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.eta.bases import PROFILES, ROADS, Ends, GreatCircles
from engine.eta.corrections import Finish
from engine.eta.predictor import Legs, Predictor
from models.eta.base_time import BASES
from models.eta.history import PaceHistory

__all__ = ["ModelPaces"]

_USUAL = PROFILES.index("van")
_REMEMBERED = 50_000  # finishes, as many as their stream keeps


class ModelPaces:
    """Histories of all models that read one."""

    def __init__(self) -> None:
        self._histories: dict[str, PaceHistory] = {}
        self._models: dict[str, Predictor] = {}
        self._finishes: deque[Finish] = deque(maxlen=_REMEMBERED)

    def begin(self, model: Predictor) -> None:
        """Prepare for a model; one that is known goes on."""
        if model.version in self._histories or model.history is None:
            return
        self._histories[model.version], self._models[model.version] = model.history.copy(), model
        newer = [one for one in self._finishes if one.finished_ms > model.history_until_ms]
        self._take(model.version, sorted(newer, key=lambda one: (one.finished_ms, one.id)))

    def keep_only(self, versions: Sequence[str]) -> None:
        """Forget models that nobody asks any more."""
        for version in [name for name in self._histories if name not in versions]:
            del self._histories[version], self._models[version]

    def observe(self, finishes: Sequence[Finish]) -> None:
        """Take in legs that have ended, in that order."""
        told = [finish for finish in finishes if finish.base_s > 0]
        self._finishes.extend(told)
        for version, model in self._models.items():
            self._take(version, [finish for finish in told if finish.finished_ms > model.history_until_ms])

    def with_history(self, version: str, tenant: str, legs: Legs) -> Legs:
        """Return legs of a tenant with what is known of their drivers and places, where the model reads that."""
        history = self._histories.get(version)
        if history is None:
            return legs
        moments_ms = np.asarray(legs["moment_ms"])
        as_of_ms = np.full(len(moments_ms), moments_ms.min(initial=np.iinfo(np.int64).max))
        return {**legs, "as_of_ms": as_of_ms, **history.columns({**legs, "company": tenant})}

    def _take(self, version: str, finishes: Sequence[Finish]) -> None:
        if self._models[version].base == BASES[ROADS]:  # it knows nothing of other base times
            finishes = [one for one in finishes if one.base_of == ROADS]
        if not finishes:
            return
        legs: dict[str, NDArray[Any]] = {
            "from_lat": np.array([one.from_latitude for one in finishes]),
            "from_lon": np.array([one.from_longitude for one in finishes]),
            "to_lat": np.array([one.latitude for one in finishes]),
            "to_lon": np.array([one.longitude for one in finishes]),
            "moment_ms": np.array([one.finished_ms - round(one.actual_s * 1000) for one in finishes], np.int64),
            "base_s": np.array([one.base_s for one in finishes]),
            "base_of": np.array([one.base_of for one in finishes], np.uint8),
            "driver": np.array([one.driver for one in finishes], dtype=object),
            "company": np.array([one.tenant for one in finishes], dtype=object),
            "vehicle": np.array([one.vehicle for one in finishes], dtype=object),
        }
        profiles = [PROFILES.index(one.vehicle) if one.vehicle in PROFILES else _USUAL for one in finishes]
        ends = Ends.of(legs, np.array(profiles, np.uint8))
        legs["straight_s"] = GreatCircles().between(ends).seconds
        actual_s = np.array([one.actual_s for one in finishes])
        self._histories[version].observe(legs, np.log(actual_s / self._models[version].base_s(legs)))
