"""A smooth surface of paces over places, hours and distances, which trees average well with.

Ridge regression on random Fourier features (Rahimi, Recht 2007) of Matérn kernels, one block per group of features,
robust by reweighting. Trees cut a city into boxes, this one bends over it: their errors differ, and on both cities'
trips the mean of the two is 1 to 2 % better than either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.eta.features import FEATURES, FeatureSpec

__all__ = ["SmoothModel", "fit_smooth"]

_FEATURES = 300  # of a block; twice as many are no better
_FREEDOM = 3.0  # of Student's t, whose draws are the spectrum of a Matérn kernel of smoothness 3/2
_ROUNDS = 4
_LEAST_ERROR = 0.1  # log ratio below which an error counts squared, else absolutely
_SOFT_M = 200.0
_CONSTANT = 1e3  # scale of the constant, so that the penalty does not pull it to zero
_MOST = 3.0  # standard deviations
_PLACE_SCALE_M = 2_000.0
_ROWS = 128  # legs whose waves are summed at once: they stay in the processor's cache
_INDEX = {feature.name: place for place, feature in enumerate(FEATURES)}
_KNOWN = frozenset(
    {
        *("base_s", "base_m", "great_circle_m", "manhattan_m", "grid_m", "grid_x_m", "grid_y_m", "bearing_deg"),
        *("hour", "weekday", "hour_of_week", "is_holiday", "from_x_m", "from_y_m", "to_x_m", "to_y_m"),
    }
)


@dataclass(frozen=True, slots=True)
class _Block:
    """One group of features: which inputs, how far apart is alike, and which reason it belongs to."""

    inputs: tuple[str, ...]
    scales: tuple[float, ...]
    factor: str


_PLACES = ("from_x", "from_y", "to_x", "to_y")
_CLOCK = ("hour_cos", "hour_sin", "weekend")
_BLOCKS = (
    _Block(("grid", "across", "along"), (0.7,) * 3, "distance"),
    _Block(_PLACES[:2], (1.0,) * 2, "place"),
    _Block(_PLACES[2:], (1.0,) * 2, "place"),
    _Block(_PLACES, (1.5,) * 4, "place"),
    _Block(_CLOCK, (0.6, 0.6, 0.5), "time_of_day"),
    _Block((*_CLOCK, "week_cos", "week_sin"), (0.7, 0.7, 1.0, 1.0, 1.0), "time_of_day"),
    _Block((*_CLOCK, *_PLACES), (0.7, 0.7, 1.0, 2.0, 2.0, 2.0, 2.0), "time_of_day"),
    _Block((*_CLOCK, "grid"), (0.7, 0.7, 1.0, 1.0), "time_of_day"),
)
"""Scales of places are in units of 2 km, of distances in natural logarithms, of the clock in radii of its circle."""


@dataclass(frozen=True, slots=True)
class SmoothModel:
    """The surface, as arrays."""

    waves: NDArray[np.float64]
    """Directions of all blocks beside each other, inputs × waves."""
    phases: NDArray[np.float64]
    """Phase of each wave."""
    heights: NDArray[np.float64]
    """Weight of each wave, then of each plain column, then the constant."""
    plain: NDArray[np.int64]
    """Features that count straight (further numbers), by place in the matrix."""
    middles: NDArray[np.float64]
    """Mean of each of those."""
    spreads: NDArray[np.float64]
    """Standard deviation of each of those."""
    codes: NDArray[np.int64]
    """Pairs (feature, code) of categories that have a level of their own."""

    def __call__(self, matrix: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Return the log ratio to base time of each row of features.

        Waves are summed in single precision: five times as fast, and 2e-7 off.
        """
        count, rows = self.waves.shape[1], len(matrix)
        inputs = np.concatenate([_inputs(matrix), np.ones((rows, 1))], axis=1).astype(np.float32)
        waves = np.concatenate([self.waves, self.phases[None]]).astype(np.float32)
        heights = self.heights[:count].astype(np.float32)
        found, room = np.empty(rows, np.float32), np.empty((min(rows, _ROWS), count), np.float32)
        for start in range(0, rows, _ROWS):
            part = inputs[start : start + _ROWS]
            angles = np.matmul(part, waves, out=room[: len(part)])
            np.matmul(np.cos(angles, out=angles), heights, out=found[start : start + _ROWS])
        return np.asarray(found + self._others(matrix) @ self.heights[count:])

    def reads(self, place: int) -> bool:
        """Tell whether answers may hang on a feature, by its place in the matrix."""
        is_known = place < len(FEATURES) and FEATURES[place].name in _KNOWN
        return is_known or place in (*self.plain, *self.codes[:, 0])

    def by_factor(self, matrix: NDArray[np.float64], factors: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Return the parts of each answer by reason; what all legs share is under `usual`."""
        columns = self.columns(matrix) * self.heights
        found = {"usual": columns[:, -1].copy()}
        start = 0
        for block in _BLOCKS:
            part = columns[:, start : start + _size(block)].sum(axis=1)
            found[block.factor] = found.get(block.factor, 0.0) + part
            start += _size(block)
        owners = [factors[place] for place in (*self.plain, *self.codes[:, 0])]
        for owner, place in zip(owners, range(start, start + len(owners)), strict=True):
            found[owner] = found.get(owner, 0.0) + columns[:, place]
        return found

    def save(self, path: Path) -> None:
        """Write it as npz."""
        np.savez_compressed(path, **{name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def load(cls, path: Path) -> "SmoothModel":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as found:
            return cls(**{name: found[name] for name in cls.__slots__})

    def columns(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the heights weigh, N × waves, plain columns, levels of categories, and 1."""
        return np.concatenate([np.cos(_inputs(matrix) @ self.waves + self.phases), self._others(matrix)], axis=1)

    def _others(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return plain columns, levels of categories, and 1."""
        straight = (matrix[:, self.plain] - self.middles) / self.spreads
        straight = np.clip(np.nan_to_num(straight, nan=0.0), -_MOST, _MOST)
        levels = (matrix[:, self.codes[:, 0]] == self.codes[:, 1]).astype(np.float64)
        return np.concatenate([straight, levels, np.ones((len(matrix), 1))], axis=1)


def fit_smooth(
    matrix: NDArray[np.float64],
    log_ratio: NDArray[np.float64],
    spec: FeatureSpec,
    *,
    weights: NDArray[np.float64] | None = None,
    penalty: float = 10.0,
    seed: int = 0,
) -> SmoothModel:
    """Return the surface through finished legs.

    Parameters
    ----------
    matrix
        Features, N × F.
    log_ratio
        Logarithm of the actual time ÷ base time, N values.
    weights
        How much each leg counts, N values.
    penalty
        Of heights squared, in legs' worth of errors squared; waves are scaled to a variance of one per block.
    """
    waves, phases, sizes = _draw_waves(np.random.default_rng(seed))
    plain, middles, spreads = _plain_columns(matrix, spec)
    codes = _codes(matrix, spec)
    empty = np.zeros(len(phases) + len(plain) + len(codes) + 1)
    model = SmoothModel(waves, phases, empty, plain, middles, spreads, codes)
    scale = np.concatenate([sizes, np.ones(len(plain) + len(codes)), [_CONSTANT]])
    columns = model.columns(matrix) * scale
    heights = _robust_ridge(columns, log_ratio, np.ones(len(log_ratio)) if weights is None else weights, penalty)
    return SmoothModel(waves, phases, heights * scale, plain, middles, spreads, codes)


def _robust_ridge(
    columns: NDArray[np.float64], target: NDArray[np.float64], weights: NDArray[np.float64], penalty: float
) -> NDArray[np.float64]:
    """Return ridge heights under absolute loss, by reweighting squares.

    Legs that are fewer than columns are solved for by what each has in common with each (the dual form of Saunders,
    Gammerman, Vovk 1998): the same heights, and a company's first few hundred legs cost a fraction.
    """
    alike = columns @ columns.T if len(columns) < columns.shape[1] else None
    heights: NDArray[np.float64] = np.zeros(columns.shape[1])
    now = weights
    for _ in range(_ROUNDS):
        if alike is not None:
            roots = np.sqrt(now)
            heights = columns.T @ (roots * _ridge(roots[:, None] * alike * roots, roots * target, penalty))
        else:
            weighted = columns * now[:, None]
            heights = _ridge(weighted.T @ columns, weighted.T @ target, penalty)
        now = weights * 0.25 / np.maximum(np.abs(target - columns @ heights), _LEAST_ERROR)
    return heights


def _ridge(normal: NDArray[np.float64], right: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
    """Return the solution of a symmetric system whose diagonal the penalty is added to, in place."""
    normal[np.diag_indices_from(normal)] += penalty
    return np.asarray(np.linalg.solve(normal, right), dtype=np.float64)


def _size(block: _Block) -> int:
    return _FEATURES if len(block.inputs) > 3 else _FEATURES // 2


def _draw_waves(draw: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    total = sum(map(_size, _BLOCKS))
    waves, phases, sizes = np.zeros((len(_INPUTS), total)), draw.uniform(0, 2 * np.pi, total), np.empty(total)
    start = 0
    for block in _BLOCKS:
        size = _size(block)
        directions = draw.standard_normal((len(block.inputs), size))
        directions /= np.sqrt(draw.chisquare(_FREEDOM, size) / _FREEDOM)
        rows = [_INPUTS.index(name) for name in block.inputs]
        waves[rows, start : start + size] = directions / np.array(block.scales)[:, None]
        sizes[start : start + size] = np.sqrt(2 / size)
        start += size
    return waves, phases, sizes


def _plain_columns(matrix: NDArray[np.float64], spec: FeatureSpec) -> tuple[NDArray[Any], ...]:
    """Return the further features that vary, with their means and spreads."""
    names = spec.names[: len(spec.names) - len(spec.categories)]
    places = [place for place, name in enumerate(names) if name not in _KNOWN]
    values = matrix[:, places]
    known = np.isfinite(values)
    counts = np.maximum(known.sum(axis=0), 1)
    middles = np.where(known, values, 0.0).sum(axis=0) / counts
    spreads = np.sqrt((np.where(known, values - middles, 0.0) ** 2).sum(axis=0) / counts)
    varying = spreads > 1e-12
    return np.array(places, np.int64)[varying], middles[varying], spreads[varying]


def _codes(matrix: NDArray[np.float64], spec: FeatureSpec) -> NDArray[np.int64]:
    first = len(spec.names) - len(spec.categories)
    found = [
        (first + place, code)
        for place, values in enumerate(spec.categories.values())
        for code in range(1, len(values) + 1)
    ]
    return np.array(found, np.int64).reshape(-1, 2)


_INPUTS = ("grid", "across", "along", *_PLACES, "hour_cos", "hour_sin", "weekend", "week_cos", "week_sin")


def _inputs(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what the waves run over, in the order of `_INPUTS`."""

    def of(name: str) -> NDArray[np.float64]:
        return matrix[:, _INDEX[name]]

    turn, week = of("hour") * (2 * np.pi / 24), of("weekday") * (2 * np.pi / 7)
    found: Mapping[str, NDArray[np.float64]] = {
        "grid": np.log(of("grid_m") + _SOFT_M),
        "across": np.log(np.abs(of("grid_x_m")) + _SOFT_M),
        "along": np.log(np.abs(of("grid_y_m")) + _SOFT_M),
        **{name: of(f"{name}_m") / _PLACE_SCALE_M for name in _PLACES},
        "hour_cos": np.cos(turn),
        "hour_sin": np.sin(turn),
        "weekend": (of("weekday") >= 5).astype(np.float64),
        "week_cos": np.cos(week),
        "week_sin": np.sin(week),
    }
    return np.stack([found[name] for name in _INPUTS], axis=1)
