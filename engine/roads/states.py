"""A state of traffic as a file: what the learner publishes, and everybody who asks for ways takes up.

One file that is replaced in one step; readers look at its mark and read it anew. It holds what arcs take now, and what
they usually take in each hour of a working day and of the weekend, in multiples of free flow.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import BadSettings
from models.replacing import replacing

__all__ = ["TrafficState", "mark_of", "read_state", "write_state"]

_FORMAT = 1
_FADES_S = 1200.0  # after which what is now counts half against what is usual


@dataclass(frozen=True, slots=True)
class TrafficState:
    """What free-flow times are to be multiplied by, for A arcs of which D were driven."""

    network: str
    """Of which network the arcs are (`RoadNetwork.mark`)."""
    at_s: float
    """Newest fix that was learned from, epoch seconds."""
    driven: NDArray[np.int64]
    """D arcs."""
    by_class: NDArray[np.float32]
    """Bands × classes: usual factors of arcs that were never driven."""
    usual: NDArray[np.float32]
    """Bands × D: usual factors of the others."""
    now: NDArray[np.float32]
    """A: factors at `at_s`."""

    def factors(self, classes: NDArray[np.int64], bands: Mapping[int, float], at_s: float) -> NDArray[np.float64]:
        """Return the factors of all arcs over some hours.

        Parameters
        ----------
        classes
            Of the arcs.
        bands
            Weight of each band, the first one's first; they sum to 1.
        at_s
            When the first begins: what is now fades into what is usual.
        """
        mean = np.zeros(classes.size)
        for band, weight in bands.items():
            mean += weight * self._usual(classes, band)
        first, weight = next(iter(bands.items()))
        fresh = weight * 0.5 ** (abs(at_s - self.at_s) / _FADES_S)
        return np.asarray(mean + fresh * (self.now - self._usual(classes, first)))

    def _usual(self, classes: NDArray[np.int64], band: int) -> NDArray[np.float64]:
        factor = self.by_class[band].astype(np.float64)[classes]
        factor[self.driven] = self.usual[band]
        return factor


def write_state(path: Path, state: TrafficState) -> None:
    """Write a state, replaced in one step."""
    write_arrays(path, {"format": np.array(_FORMAT), **{name: np.asarray(getattr(state, name)) for name in _FIELDS}})


def read_state(path: Path) -> TrafficState:
    """Return the state of a file.

    Raises
    ------
    BadSettings
        If it is missing, cut short, or no state of this release.
    """
    found = read_arrays(path)
    if int(found.get("format", -1)) != _FORMAT or any(name not in found for name in _FIELDS):
        raise BadSettings(f"{path} is no traffic of this release")
    state = TrafficState(
        network=str(found["network"]),
        at_s=float(found["at_s"]),
        **{name: found[name] for name in ("driven", "by_class", "usual", "now")},
    )
    is_sane = np.isfinite(state.now).all() and (state.now > 0).all() and state.usual.shape[1:] == state.driven.shape
    if not is_sane:
        raise BadSettings(f"{path} holds factors that can't be")
    return state


def mark_of(path: Path) -> tuple[int, int]:
    """Return what changes when a file is replaced; (0, 0) while there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name, replaced in one step."""
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **dict(arrays))  # type: ignore[arg-type]  # its types take the names for options


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return what `write_arrays` wrote; raises BadSettings where that is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as fault:
        raise BadSettings(f"{path} can't be read: {fault}") from fault


_FIELDS = tuple(TrafficState.__dataclass_fields__)
