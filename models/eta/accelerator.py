"""Trees compiled to machine code (lleaves): six times as fast in batches. An extra beside a bundle, never trusted.

Compiled code belongs to one kind of processor and one release of the compiler, so it is stored under a key of both, and
used only when its checksum holds and it answers the bundle's probe rows as LightGBM does. Otherwise plain LightGBM
serves.
"""

import hashlib
import importlib.metadata
import json
import platform
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import BundleRefused
from models.eta.bundle import LEVELS, Bundle, Predictor, load_bundle

__all__ = ["compile_bundle", "is_compiled", "load_fast"]

_FOLDER = "compiled"
_TOLERANCE = 1e-6  # of a log ratio; what was measured is 1e-15


def compile_bundle(folder: Path) -> bool:
    """Compile the trees of a saved bundle for this kind of machine, about ten seconds a model.

    Returns
    -------
    bool
        Whether the compiled form answers as LightGBM does. Where it doesn't, or the extra `accelerator` isn't
        installed, plain LightGBM goes on serving.
    """
    bundle = load_bundle(folder)
    try:
        import lleaves
    except ImportError:
        return False
    place = folder / _FOLDER / _machine()
    place.mkdir(parents=True, exist_ok=True)
    for name in _names(bundle):
        model = lleaves.Model(model_file=str(folder / f"{name}.txt"))
        model.compile(cache=str(place / f"{name}.o"), raw_score=True)
    digests = {path.name: _digest(path) for path in sorted(place.glob("*.o"))}
    (place / "checksums.json").write_text(json.dumps({"version": bundle.version, "files": digests}))
    return is_compiled(load_fast(folder))


def load_fast(folder: Path) -> Bundle:
    """Read a bundle, with its compiled form where there is one for this machine that proves right.

    Raises
    ------
    BundleRefused
        As `load_bundle`.
    """
    bundle = load_bundle(folder)
    place = folder / _FOLDER / _machine()
    try:
        predictors = _compiled(bundle, folder, place)
    except (ImportError, OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, BundleRefused):
        return bundle  # whatever is wrong with an extra, the plain form answers
    fast = bundle.with_predictors(predictors)
    apart = np.abs(fast.log_quantiles(bundle.probe) - bundle.log_quantiles(bundle.probe))
    return fast if np.all(apart <= _TOLERANCE) else bundle


def is_compiled(bundle: Bundle) -> bool:
    """Return whether machine code computes a bundle."""
    return all(isinstance(predict, _Compiled) for level in LEVELS for predict in bundle.predictors[level])


class _Compiled:
    """A compiled model as a predictor."""

    def __init__(self, model_file: Path, cache: Path) -> None:
        import lleaves

        self._model = lleaves.Model(model_file=str(model_file))
        self._model.compile(cache=str(cache), raw_score=True)

    def __call__(self, matrix: NDArray[np.float64], /) -> NDArray[np.float64]:
        return np.asarray(self._model.predict(matrix, n_jobs=1))


def _compiled(bundle: Bundle, folder: Path, place: Path) -> dict[str, tuple[Predictor, ...]]:
    stored = json.loads((place / "checksums.json").read_text())
    if stored["version"] != bundle.version:
        raise BundleRefused("compiled of another version")
    for name in _names(bundle):
        if _digest(place / f"{name}.o") != stored["files"][f"{name}.o"]:
            raise BundleRefused(f"{name}.o was edited")
    return {
        level: tuple(
            _Compiled(folder / f"{level}-{number}.txt", place / f"{level}-{number}.o")
            for number in range(len(bundle.texts[level]))
        )
        for level in LEVELS
    }


def _names(bundle: Bundle) -> list[str]:
    return [f"{level}-{number}" for level, texts in bundle.texts.items() for number in range(len(texts))]


def _machine() -> str:
    """Return a key of the processor's kind and the compiler's release."""
    try:
        flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        flags = platform.processor()
    versions = [importlib.metadata.version(name) for name in ("lightgbm", "llvmlite")]
    return hashlib.sha256("|".join([platform.machine(), flags, *versions]).encode()).hexdigest()[:16]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
