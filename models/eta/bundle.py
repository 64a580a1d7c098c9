"""A model of travel times as a folder of plain files: quantile trees, calibration, table, and what they were made of.

Nothing in it is code or a pickle. `manifest.json` holds the checksum of every other file and one of itself; a folder
whose schema, version or checksums differ is refused as a whole. The compiled form (`models.eta.accelerator`) is an
extra.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import BundleRefused
from models.eta.calibration import Calibration, segments_of
from models.eta.features import FeatureSpec, Legs, base_times_s, leg_features, traffic_factors
from models.eta.history import PaceHistory
from models.eta.schema import SCHEMA
from models.eta.service_time import ServiceTimes
from models.eta.smooth import SmoothModel
from models.eta.spread import Spread
from models.eta.time_table import TimeTable

if TYPE_CHECKING:
    import lightgbm

__all__ = ["FORMAT", "LEVELS", "Bundle", "Predictor", "load_bundle", "load_time_table", "save_bundle"]

FORMAT = "outrider-eta-bundle/4"
LEVELS = ("p10", "p50", "p90")
_LEAST_S = 1.0


class Predictor(Protocol):
    """One tree ensemble, plain or compiled: N × F features in, N log ratios out."""

    def __call__(self, matrix: NDArray[np.float64], /) -> NDArray[np.float64]:
        """Return the log ratio to base time of each row."""
        ...


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model that can be asked. Frozen: a correction between trainings comes in from outside with each question."""

    spec: FeatureSpec
    texts: Mapping[str, tuple[str, ...]]
    """Level → LightGBM models as text, averaged: `p50` the log ratio, `p10` and `p90` how far the tails lie from it."""
    calibration: Calibration
    """Of predictions as they are."""
    running: Calibration
    """Of predictions that the running residual has corrected: the tighter one, which online calibration starts from."""
    scores: NDArray[np.float64]
    """What calibration left of each tail under `running`, N × 2, the newest last: the seed of online calibration."""
    smooth: SmoothModel
    """A surface that is averaged with the trees of `p50`."""
    smooth_share: float
    """How much it counts, 0 to 1."""
    table: TimeTable
    probe: NDArray[np.float64]
    """Feature rows on which a compiled form is compared with LightGBM."""
    metadata: Mapping[str, Any]
    """Data snapshot, metrics, code version, base times' source, parameters."""
    level: float = 0.0
    """Log ratio that the newest trips of training lay beyond what was foreseen of them; drift goes on for a while."""
    service: ServiceTimes | None = None
    """Times at the door, where the data tell them."""
    history: PaceHistory | None = None
    """What the legs of training tell of later ones, where the model reads that."""
    spread: Spread = field(default_factory=Spread)
    """How the spreads of legs join along a route."""
    version: str = ""
    """Digest of the manifest: the same for the same model. Empty until it is saved."""
    predictors: Mapping[str, tuple[Predictor, ...]] = field(default_factory=dict, compare=False, repr=False)
    """What computes each level; plain LightGBM unless `models.eta.accelerator` has put compiled code in its place."""
    boosters: Mapping[str, tuple["lightgbm.Booster", ...]] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.boosters:
            return
        boosters = {level: tuple(map(_booster, self.texts[level])) for level in LEVELS}
        for booster in (booster for level in LEVELS for booster in boosters[level]):
            if tuple(booster.feature_name()) != self.spec.names:
                raise BundleRefused("the trees read other features than the specification names")
        object.__setattr__(self, "boosters", MappingProxyType(boosters))
        if not self.predictors:
            plain = {level: tuple(map(_plain, boosters[level])) for level in LEVELS}
            object.__setattr__(self, "predictors", MappingProxyType(plain))

    def predict(
        self, legs: Legs, *, shift: ArrayLike = 0.0, offsets: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return P10, P50 and P90 of the time each leg takes from its moment on.

        Parameters
        ----------
        legs
            Columns as in `models.eta.schema`.
        shift
            Log ratio to add to all three, one value or N: what recently finished legs say (`models.eta.residuals`).
        offsets
            By how much the tails are moved outwards instead of by the bundle's own calibration, log ratio, N × 2
            (`models.eta.online_calibration`).

        Returns
        -------
        NDArray
            N × 3 seconds, sorted within each row.

        Raises
        ------
        InvalidInput
            If the legs can't be read.
        """
        matrix = leg_features(legs, self.spec)
        return self.times_s(base_times_s(legs, self.spec), matrix, self.log_quantiles(matrix), shift, offsets)

    def reads(self, feature: str) -> bool:
        """Tell whether answers may hang on a feature: whether a tree splits on it, or the surface counts it."""
        place = self.spec.names.index(feature)
        trees = (booster for level in LEVELS for booster in self.boosters[level])
        return self.smooth.reads(place) or any(booster.feature_importance("split")[place] > 0 for booster in trees)

    def log_quantiles(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return uncalibrated quantiles of the log ratio, N × 3, sorted: never worse than crossed (arXiv 0704.3649)."""
        low, middle, high = (_mean([predict(matrix) for predict in self.predictors[level]]) for level in LEVELS)
        if self.smooth_share:
            middle = (1 - self.smooth_share) * middle + self.smooth_share * self.smooth(matrix)
        middle = middle + self.level
        return np.sort(np.stack([middle + low, middle, middle + high], axis=1), axis=1)

    def times_s(
        self,
        base_s: NDArray[np.float64],
        matrix: NDArray[np.float64],
        quantiles: NDArray[np.float64],
        shift: ArrayLike = 0.0,
        offsets: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Return calibrated times of what `log_quantiles` answered, N × 3 seconds."""
        moved = self.calibration.of(self.segments(matrix)) if offsets is None else offsets
        middle = quantiles[:, 1]
        low = np.minimum(quantiles[:, 0] - moved[:, 0], middle)
        high = np.maximum(quantiles[:, 2] + moved[:, 1], middle)
        log_ratios = np.stack([low, middle, high], axis=1) + np.reshape(shift, (-1, 1))
        return np.asarray(np.maximum(base_s[:, None] * np.exp(log_ratios), _LEAST_S))

    def segments(self, matrix: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the segment of calibration that each row of features belongs to."""
        names = self.spec.names
        return segments_of(matrix[:, names.index("hour")], matrix[:, names.index("great_circle_m")])

    def contributions(self, legs: Legs, *, shift: ArrayLike = 0.0) -> dict[str, NDArray[np.float64]]:
        """Return what makes each P50 differ from its base time: minutes by factor, N each; their sum is the difference.

        SHAP values (arXiv 1802.03888) are additive in the log ratio; the logarithmic mean of the two times turns them
        into minutes without a remainder. `usual` is what legs of this data take beyond their base time, `today` the
        shift. The base time is that of free roads: `traffic` is what the model's own, in traffic, has beyond it.
        """
        matrix, traffic = leg_features(legs, self.spec), traffic_factors(legs, self.spec)
        base_s = base_times_s(legs, self.spec) / traffic
        logs = _mean([booster.predict(matrix, pred_contrib=True, num_threads=1) for booster in self.boosters["p50"]])
        parts = {
            "usual": logs[:, -1] * (1 - self.smooth_share) + self.level,
            "today": np.broadcast_to(shift, len(matrix)),
            "traffic": np.log(traffic),
        }
        for place, factor in enumerate(self.spec.factors):
            parts[factor] = parts.get(factor, 0.0) + logs[:, place] * (1 - self.smooth_share)
        if self.smooth_share:
            for factor, part in self.smooth.by_factor(matrix, self.spec.factors).items():
                parts[factor] = parts.get(factor, 0.0) + part * self.smooth_share
        minutes = base_s * _log_mean(sum(parts.values(), np.zeros(len(matrix)))) / 60
        return {factor: part * minutes for factor, part in parts.items()}

    def with_predictors(self, predictors: Mapping[str, tuple[Predictor, ...]]) -> "Bundle":
        """Return the same bundle, computed by others."""
        return replace(self, predictors=MappingProxyType(dict(predictors)))


def save_bundle(bundle: Bundle, folder: Path) -> str:
    """Write a bundle into a new folder and return its version.

    Raises
    ------
    FileExistsError
        If the folder exists.
    """
    folder.mkdir(parents=True)
    for level, texts in bundle.texts.items():
        for number, text in enumerate(texts):
            (folder / f"{level}-{number}.txt").write_text(text)
    _write_json(folder / "spec.json", bundle.spec.to_json())
    calibrations = {"frozen": bundle.calibration.to_json(), "running": bundle.running.to_json()}
    calibrations["spread"] = bundle.spread.to_json()
    _write_json(folder / "calibration.json", calibrations)
    bundle.table.save(folder / "table.npz")
    bundle.smooth.save(folder / "smooth.npz")
    if bundle.service is not None:
        bundle.service.save(folder / "service.npz")
    if bundle.history is not None:
        bundle.history.save(folder / "history.npz")
    np.savez_compressed(folder / "probe.npz", probe=bundle.probe, scores=bundle.scores)
    manifest = {
        "format": FORMAT,
        "schema": SCHEMA,
        "levels": {level: len(texts) for level, texts in bundle.texts.items()},
        "smoothShare": bundle.smooth_share,
        "level": bundle.level,
        "metadata": dict(bundle.metadata),
        "files": {path.name: _digest(path.read_bytes()) for path in sorted(folder.iterdir())},
    }
    version = _digest(_canonical(manifest))
    _write_json(folder / "manifest.json", {**manifest, "version": version})
    return version


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle back.

    Raises
    ------
    BundleRefused
        If a file is missing, cut short or edited, or the bundle is of another format or schema than this release reads.
    """
    manifest = _checked(folder)
    try:
        plain = {name: json.loads((folder / name).read_text()) for name in ("spec.json", "calibration.json")}
        texts = {
            level: tuple((folder / f"{level}-{number}.txt").read_text() for number in range(count))
            for level, count in manifest["levels"].items()
        }
        with np.load(folder / "probe.npz", allow_pickle=False) as found:
            probe, scores = found["probe"], found["scores"]
        return Bundle(
            spec=FeatureSpec.from_json(plain["spec.json"]),
            texts=texts,
            calibration=Calibration.from_json(plain["calibration.json"]["frozen"]),
            running=Calibration.from_json(plain["calibration.json"]["running"]),
            scores=scores,
            smooth=SmoothModel.load(folder / "smooth.npz"),
            smooth_share=float(manifest["smoothShare"]),
            level=float(manifest["level"]),
            table=TimeTable.load(folder / "table.npz"),
            probe=probe,
            metadata=manifest["metadata"],
            service=ServiceTimes.load(folder / "service.npz") if "service.npz" in manifest["files"] else None,
            history=PaceHistory.load(folder / "history.npz") if "history.npz" in manifest["files"] else None,
            spread=Spread.from_json(plain["calibration.json"]["spread"]),
            version=manifest["version"],
        )
    except (KeyError, TypeError, ValueError, OSError) as fault:
        raise BundleRefused(f"the bundle {folder.name} can't be read: {fault}") from fault


def load_time_table(folder: Path) -> tuple[TimeTable, FeatureSpec, str]:
    """Read the table of a bundle alone, which answers where the trees can't be had, and whose base times it is of.

    Raises
    ------
    BundleRefused
        If the table or the specification itself is damaged.
    """
    manifest = _checked(folder, only=("table.npz", "spec.json"))
    spec = FeatureSpec.from_json(json.loads((folder / "spec.json").read_text()))
    return TimeTable.load(folder / "table.npz"), spec, str(manifest["metadata"].get("base", ""))


def _checked(folder: Path, only: Sequence[str] = ()) -> dict[str, Any]:
    """Return the manifest once everything it names is as it was when it was saved."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
        version = manifest["version"]
        files = dict(manifest["files"])
        formats = (manifest["format"], manifest["schema"])
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise BundleRefused(f"{folder.name} is no bundle, or its manifest is damaged: {fault}") from fault
    if formats != (FORMAT, SCHEMA):
        wanted = f"{FORMAT} with {SCHEMA}"
        raise BundleRefused(f"{folder.name} is a {' with '.join(formats)}; this release reads {wanted}: train anew")
    if _digest(_canonical({key: value for key, value in manifest.items() if key != "version"})) != version:
        raise BundleRefused(f"the manifest of {folder.name} was edited: its checksum differs")
    for name in only or files:
        path = folder / name
        if not path.is_file():
            raise BundleRefused(f"{folder.name} lacks {name}")
        if _digest(path.read_bytes()) != files.get(name):
            raise BundleRefused(f"{name} of {folder.name} was cut short or edited: its checksum differs")
    return manifest


def _booster(text: str) -> "lightgbm.Booster":
    """Return trees from their text. Raises ValueError if it is none."""
    import lightgbm  # here: pandas comes with it, 100 MB and a second or two that no process without a model needs

    try:
        return lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as fault:
        raise ValueError(str(fault)) from fault


def _plain(booster: "lightgbm.Booster") -> Predictor:
    def predict(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(booster.predict(matrix, num_threads=1))  # a second thread costs the neighbours a core

    return predict


def _mean(arrays: Sequence[Any]) -> NDArray[np.float64]:
    return np.asarray(arrays[0] if len(arrays) == 1 else np.mean(arrays, axis=0))


def _log_mean(log_ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (exp(x) − 1) ÷ x, 1 at 0: the logarithmic mean of a time and its base, in units of the base."""
    safe = np.where(np.abs(log_ratio) < 1e-9, 1.0, log_ratio)
    return np.where(np.abs(log_ratio) < 1e-9, 1.0, np.expm1(safe) / safe)


def _write_json(path: Path, plain: Any) -> None:
    path.write_text(json.dumps(plain, indent=1, sort_keys=True) + "\n")


def _canonical(plain: Any) -> bytes:
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
