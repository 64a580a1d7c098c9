"""What a shard's models say of legs: the champion's word, corrected by what just happened, and the candidate's."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.eta.bases import GREAT_CIRCLE, PROFILES, ROADS
from engine.eta.corrections import Corrections
from engine.eta.legs_ahead import LegsAhead
from engine.eta.paces import ModelPaces
from engine.eta.predictor import ANY_BASE, COLD_START, ColdStart, Legs, Predictor, digest_of
from engine.eta.said import Said
from models.eta.base_time import BASES
from models.eta.history import driver_alias

__all__ = ["Estimator", "Models", "Word"]

_LOW, _HIGH = 0, 2  # places in engine.eta.plan.CONFIDENCES
_TOP_REASONS = 3
_LEAST_MINUTES = 0.1
_COLD = ColdStart()
_VEHICLES = np.array(PROFILES, dtype=object)


@dataclass(frozen=True, slots=True)
class Models:
    """Who is asked. Replaced as a whole: an estimate under way goes on with those that it began with."""

    champion: Predictor = field(default_factory=ColdStart)
    """Whose word counts."""
    candidate: Predictor | None = None
    """Who is asked beside it and compared."""
    own: Mapping[str, Predictor] = field(default_factory=dict)
    """Champions of single tenants."""

    def of(self, tenant: str) -> Predictor:
        """Return the champion of a tenant."""
        return self.own.get(tenant, self.champion)

    @property
    def versions(self) -> list[str]:
        """Return the versions of all."""
        return [one.version for one in self._all]

    @property
    def read_driven(self) -> bool:
        """Tell whether any model's answers may hang on what the way driven so far takes on the roads."""
        return any(one.reads_driven for one in self._all)

    @property
    def _all(self) -> tuple[Predictor, ...]:
        return self.champion, *(() if self.candidate is None else (self.candidate,)), *self.own.values()


@dataclass(frozen=True, slots=True)
class Word:
    """What one model says of N legs of one tenant, each N × 3 seconds."""

    raw: NDArray[np.float64]
    shift: NDArray[np.float64]
    said: NDArray[np.float64]
    stood_in: NDArray[np.bool_]
    """For which legs base times alone answer: theirs are not those that the model was trained on."""


class Estimator:
    """Says how long legs take.

    Parameters
    ----------
    tenant_of
        Returns the id of a tenant, by the shard's index.
    zone_of
        Returns a tenant's IANA time zone.
    driver_of
        Returns the id of a driver, by its number; empty where nobody knows.
    """

    def __init__(
        self,
        tenant_of: Callable[[int], str],
        zone_of: Callable[[str], str],
        driver_of: Callable[[int], str] = lambda _: "",
    ) -> None:
        self._tenant_of, self._zone_of, self._driver_of = tenant_of, zone_of, driver_of
        self.models = Models()
        self.busy = asyncio.Lock()
        """Held while another thread asks, and by whoever changes what it reads."""
        self.corrections = Corrections()
        self.paces = ModelPaces()

    def say(self, ahead: LegsAhead) -> Said:
        """Return what is said of legs."""
        models = self.models
        size = len(ahead.tenants)
        said = Said.empty(size)
        for index in np.unique(ahead.tenants):
            rows = np.flatnonzero(ahead.tenants == index)
            tenant = self._tenant_of(int(index))
            legs = self._legs_of(ahead, rows, tenant)
            champion = models.of(tenant)
            word = self.word_of(champion, tenant, legs)
            said.raw[rows], said.shift[rows], said.said[rows] = word.raw, word.shift, word.said
            said.spread[rows] = champion.spread.row()
            said.stood_in[rows] = word.stood_in
            said.confidence[rows] = np.where(word.stood_in, _LOW, self.confidence(champion, tenant))
            said.model[rows] = np.where(
                word.stood_in, np.uint64(digest_of(COLD_START)), np.uint64(digest_of(champion.version))
            )
            if models.candidate is not None:
                word = self.word_of(models.candidate, tenant, legs)
                said.shadow_raw[rows], said.shadow_shift[rows], said.shadow[rows] = word.raw, word.shift, word.said
                said.candidate[rows] = digest_of(models.candidate.version)
        return said

    def reasons(self, tenant: str, ahead: LegsAhead, count: int) -> list[tuple[str, float]]:
        """Return what makes the first legs of a driver longer or shorter than the road says: the largest, minutes."""
        legs = self._legs_of(ahead, np.arange(count), tenant)
        model = self.models.of(tenant)
        word = self.word_of(model, tenant, legs)
        asked = _COLD if word.stood_in.any() else model
        found = asked.explain(self.paces.with_history(model.version, tenant, legs), word.shift)
        sums = {name: float(np.sum(minutes)) for name, minutes in found.items()}
        largest = sorted(sums, key=lambda name: -abs(sums[name]))[:_TOP_REASONS]
        return [(name, round(sums[name], 1)) for name in largest if abs(sums[name]) >= _LEAST_MINUTES]

    def what_if(self, tenant: str, legs: Legs) -> tuple[NDArray[np.float64], str, int]:
        """Return quantiles of a tenant's legs, N × 3 seconds, which model says so, and how sure it is."""
        model = self.models.of(tenant)
        word = self.word_of(model, tenant, self._with_names(legs, tenant))
        if word.stood_in.any():
            return word.said, model.version if not word.stood_in.all() else COLD_START, _LOW
        return word.said, model.version, self.confidence(model, tenant)

    def service_s(self, tenant: int, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return quantiles of the seconds at stops of a tenant (the shard's index), N × 3; 0 where nothing is known."""
        name = self._tenant_of(tenant)
        return self.models.of(name).service_s(name, lat, lon)

    def _legs_of(self, ahead: LegsAhead, rows: NDArray[np.int64], tenant: str) -> Legs:
        """Return some of the legs ahead, all of one tenant, with its zone and their drivers."""
        mine = {name: np.asarray(column)[rows] for name, column in ahead.legs.items()}
        numbers, back = np.unique(ahead.drivers[rows], return_inverse=True)
        ids = [self._driver_of(number) for number in numbers.tolist()]
        aliases = np.array([driver_alias(tenant, name) if name else "" for name in ids], dtype=object)
        return self._with_names({**mine, "driver": aliases[back]}, tenant)

    def _with_names(self, legs: Legs, tenant: str) -> Legs:
        named = {**legs, "zone": np.asarray(self._zone_of(tenant))}
        if "profile" in legs:
            named["vehicle"] = _VEHICLES[np.asarray(legs["profile"], np.int64)]
        return named

    def word_of(self, model: Predictor, tenant: str, legs: Legs) -> Word:
        """Return what a model says of a tenant's legs: moved by the running residual, tails by their margins.

        Legs whose base times are not those that the model was trained on are answered by base times alone.
        """
        stood_in = _are_foreign(model, legs)
        if stood_in.any():
            return self._word_beside(model, tenant, legs, stood_in)
        raw = model.predict(self.paces.with_history(model.version, tenant, legs))
        moments = np.asarray(legs["moment_ms"])
        shift = self.corrections.shifts(
            model.version,
            tenant,
            np.asarray(legs["to_lat"], np.float64),
            np.asarray(legs["to_lon"], np.float64),
            np.asarray(legs.get("elapsed_s", np.zeros(len(raw))), np.float64),
            int(moments.min()) if len(moments) else 0,
        )
        low, high = self.corrections.margins(model.version, tenant)
        middle = raw[:, 1] * np.exp(shift)
        return Word(
            raw,
            shift,
            np.stack(
                [
                    np.minimum(raw[:, 0] * np.exp(shift - low), middle),
                    middle,
                    np.maximum(raw[:, 2] * np.exp(shift + high), middle),
                ],
                axis=1,
            ),
            stood_in,
        )

    def _word_beside(self, model: Predictor, tenant: str, legs: Legs, stood_in: NDArray[np.bool_]) -> Word:
        """Return a model's word where it may speak, and that of base times elsewhere."""
        size = len(stood_in)
        word = Word(np.empty((size, 3)), np.zeros(size), np.empty((size, 3)), stood_in)
        for speaks, rows in ((model, np.flatnonzero(~stood_in)), (_COLD, np.flatnonzero(stood_in))):
            if not rows.size:
                continue
            part = {name: column[rows] if np.ndim(column) else column for name, column in _arrays(legs).items()}
            said = self.word_of(speaks, tenant, part)
            word.raw[rows], word.shift[rows], word.said[rows] = said.raw, said.shift, said.said
        return word

    def confidence(self, model: Predictor, tenant: str) -> int:
        """Return the most that an answer deserves, a place in `engine.eta.plan.CONFIDENCES`."""
        if model.version == COLD_START or model.base == ANY_BASE:
            return _LOW
        if not self.corrections.is_confident(model.version, tenant):
            return _LOW
        return _HIGH


def _are_foreign(model: Predictor, legs: Legs) -> NDArray[np.bool_]:
    """Tell which legs have base times of another kind than those that a model was trained on.

    A way to the next door takes no time by anybody's word.
    """
    base_s = np.asarray(legs["base_s"])
    if model.base != BASES[ROADS]:
        return np.zeros(base_s.shape, np.bool_)
    return np.asarray((np.asarray(legs.get("base_of", GREAT_CIRCLE)) != ROADS) & (base_s > 0))


def _arrays(legs: Legs) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(column) for name, column in legs.items()}
