"""Whether a candidate may serve: a gain that is more than chance, and no part of the day or city made worse.

Both are judged on trips that neither was trained on: what the candidate's last folds predicted (`holdout.parquet`), as
far as it began after the champion's data ended.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from models.eta.bundle import Bundle
from models.eta.features import FeatureSpec
from pipelines.registry import EVERYBODY, Registry
from pipelines.replay_finishes import replay, replay_quantiles
from pipelines.scores import Scores, days_of, named_segments, paired_gain, score
from pipelines.training import Trained
from pipelines.trips import Trips

__all__ = ["Holdout", "Verdict", "judge", "judge_version", "read_holdout", "register"]

WORSE_POINTS = 2.0
"""No segment may lose more coverage than this, percent."""
_LEAST_ROWS = 200
_TABLE = "the hour × distance table"


@dataclass(frozen=True, slots=True)
class Holdout:
    """Trips that a candidate had not seen, and what it said of them."""

    trips: Trips
    quantiles: NDArray[np.float64]
    """Log ratios P10, P50, P90, not calibrated."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gates say."""

    is_passed: bool
    reasons: tuple[str, ...]
    """A sentence for each gate."""


def register(registry: Registry, trained: Trained) -> tuple[str, Scores]:
    """Store what was trained as a candidate, with its hold-out; return its name and what the hold-out says of it.

    The hold-out was predicted before it was seen, but its ranges were calibrated on it: their coverage is right by
    making.
    """
    trips = trained.trips.take(trained.rows)
    replayed = replay_quantiles(trained.bundle, trips, trained.quantiles)
    scores = score(replayed.running_s, trips.legs["duration_s"], named_segments(trips, trained.bundle.spec))
    name = registry.add(trained.bundle, scores.to_json(), {"holdout.parquet": _holdout_bytes(trained)})
    return name, scores


def judge_version(registry: Registry, name: str, tenant: str = EVERYBODY) -> Verdict:
    """Return whether a model of the registry may serve a tenant.

    Raises
    ------
    NotFound
        If there is none of that name.
    BundleRefused
        If it, or the one that serves, is damaged.
    """
    candidate, champion = registry.load(name), registry.champion(tenant)
    holdout = read_holdout(registry.folder_of(name))
    if champion is None:
        return judge(candidate, holdout, None)
    return judge(candidate, holdout, registry.load(champion), read_holdout(registry.folder_of(champion)))


def _holdout_bytes(trained: Trained) -> bytes:
    """Return the hold-out of a training as Parquet."""
    trips = trained.trips.take(trained.rows)
    columns = {f"leg_{name}": pa.array(values) for name, values in trips.legs.items()}
    levels = {name: pa.array(trained.quantiles[:, place]) for place, name in enumerate(("p10", "p50", "p90"))}
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({**columns, **levels}), sink, compression="zstd")
    return sink.getvalue()


def read_holdout(folder: Path) -> Holdout:
    """Read the hold-out of a bundle in the registry."""
    table = pyarrow.parquet.read_table(folder / "holdout.parquet")
    legs = {
        name.removeprefix("leg_"): table[name].to_numpy(zero_copy_only=False)
        for name in table.column_names
        if name.startswith("leg_")
    }
    quantiles = np.stack([table[name].to_numpy() for name in ("p10", "p50", "p90")], axis=1)
    return Holdout(Trips(legs, np.full(len(quantiles), ""), {}), quantiles)


def judge(
    candidate: Bundle, holdout: Holdout, champion: Bundle | None, champions_holdout: Holdout | None = None
) -> Verdict:
    """Return whether a candidate may replace the champion; without one it has to beat the table.

    Raises
    ------
    InvalidInput
        If the champion needs a column that these trips lack.
    """
    if champion is not None and champion.version == candidate.version:
        return Verdict(False, ("it serves already",))
    rows, theirs_s = _their_answers_s(candidate, holdout, champion, champions_holdout)
    if len(rows) < _LEAST_ROWS:
        fault = f"only {len(rows)} trips are new to both models: {_LEAST_ROWS} are needed to compare them"
        return Verdict(False, (fault,))
    trips = holdout.trips.take(rows)
    ours_s = replay_quantiles(candidate, trips, holdout.quantiles[rows]).running_s
    actual_s = trips.legs["duration_s"]
    gain = paired_gain(np.abs(theirs_s[:, 1] - actual_s), np.abs(ours_s[:, 1] - actual_s), days_of(trips))
    other = _TABLE if champion is None else f"model {champion.version[:12]}"
    interval = f"{gain.mean_s:+.1f} s [{gain.low_s:+.1f}, {gain.high_s:+.1f}] over {other} on {len(trips):,} trips"
    worse = _worse_segments(ours_s, theirs_s, trips, candidate.spec) if champion is not None else []
    return Verdict(gain.is_sure and not worse, (f"{'gain' if gain.is_sure else 'no sure gain'}: {interval}", *worse))


def _their_answers_s(
    candidate: Bundle, holdout: Holdout, champion: Bundle | None, champions_holdout: Holdout | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the trips that both may be judged by, and P10, P50, P90 of who serves now, seconds.

    Trained on the same trips, both have fold predictions of the same ones; else the champion is asked about newer ones.
    """
    everything = np.arange(len(holdout.trips))
    if champion is None:
        return everything, candidate.table.predict(holdout.trips.legs, candidate.spec)
    if champions_holdout is not None:
        rows, theirs = _shared(holdout.trips, champions_holdout.trips)
        if len(rows) >= _LEAST_ROWS:
            trips = holdout.trips.take(rows)
            return rows, replay_quantiles(champion, trips, champions_holdout.quantiles[theirs]).running_s
    newer = everything[holdout.trips.legs["moment_ms"] > int(champion.metadata["data"]["untilMs"])]
    if len(newer) < _LEAST_ROWS:
        return newer, np.empty((len(newer), 3))
    return newer, replay(champion, holdout.trips.take(newer)).running_s


def _shared(ours: Trips, theirs: Trips) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places, in each of the two, of trips that are in both."""
    names = ("moment_ms", "from_lat", "from_lon", "to_lat", "to_lon", "duration_s")
    keys = [list(zip(*(trips.legs[name].tolist() for name in names), strict=True)) for trips in (ours, theirs)]
    place_of = {key: place for place, key in enumerate(keys[1])}
    pairs = [(place, place_of[key]) for place, key in enumerate(keys[0]) if key in place_of]
    shared = np.array(pairs, np.int64).reshape(-1, 2)
    return shared[:, 0], shared[:, 1]


def _worse_segments(
    ours_s: NDArray[np.float64], theirs_s: NDArray[np.float64], trips: Trips, spec: FeatureSpec
) -> list[str]:
    """Return a sentence for each segment whose coverage is further from 80 % than before by more than two points."""
    actual_s, segments = trips.legs["duration_s"], named_segments(trips, spec)
    ours, theirs = score(ours_s, actual_s, segments).segments, score(theirs_s, actual_s, segments).segments
    return [
        f"{name}: coverage {ours[name][1]:.1f} % after {before:.1f} % on {rows:,} trips"
        for name, (rows, before) in theirs.items()
        if min(80.0, before) - ours[name][1] > WORSE_POINTS
    ]
