"""Before training: which trips are learned from, how a city is read, and whether a column knows the future."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import spearmanr

from models.errors import InvalidInput
from models.eta.base_time import BASES
from models.eta.clock import BANDS, bands_of, local_clock
from models.eta.features import FeatureSpec, base_times_s, leg_features
from models.eta.grid_pace import GridPace
from models.geo import distances_m
from pipelines.trip_schemas import TripSchema
from pipelines.trips import Trips

__all__ = ["Suspicion", "clean_trips", "constant_features", "find_leakage", "fit_spec", "of_one_base", "refuse_leakage"]

_FASTEST_MPS, _SLOWEST_MPS = 30.0, 0.3
_LEAST_OF_CATEGORY = 20
_GRID_STEP_DEG = 3.0
_TURNS = 12
_LEAK = 0.9
_LEAST_FOR_LEAK = 100
_MOSTLY = 0.5  # share of trips
_SHRINK = 20.0  # trips that the usual of all hours counts for, in each


def clean_trips(trips: Trips, schema: TripSchema) -> tuple[Trips, dict[str, int]]:
    """Return the trips to learn from, and how many each rule took. Scoring uses all of them."""
    duration_s, away_m = trips.legs["duration_s"], _great_circles_m(trips)
    # round the block to the house behind is slow as the crow flies only
    driven_m = np.fmax(away_m, np.asarray(trips.legs.get("base_m", away_m), np.float64))
    is_apart = driven_m > schema.floor_m
    rules = {
        f"shorter than {schema.shortest_s:.0f} s": duration_s < schema.shortest_s,
        f"longer than {schema.longest_s:.0f} s": duration_s > schema.longest_s,
        f"faster than {_FASTEST_MPS:.0f} m/s": away_m / duration_s > _FASTEST_MPS,
        f"slower than {_SLOWEST_MPS} m/s": is_apart & (driven_m / duration_s < _SLOWEST_MPS),
    }
    good, taken = np.ones(len(trips), bool), {}
    for rule, bad in rules.items():
        if count := int((good & bad).sum()):
            taken[rule] = count
        good &= ~bad
    return trips.take(good), taken


def fit_spec(trips: Trips, schema: TripSchema) -> FeatureSpec:
    """Return how a model of these trips reads legs: its frame, its base times and its categories."""
    lat, lon = np.median(trips.legs["from_lat"]), np.median(trips.legs["from_lon"])
    categories = {}
    for name in schema.categories:
        values, counts = np.unique(_present(trips.legs[name]), return_counts=True)
        categories[name] = tuple(str(value) for value in values[counts >= _LEAST_OF_CATEGORY])
    spec = FeatureSpec(
        pace=_fit_pace(trips, GridPace(lat=float(lat), lon=float(lon), floor_m=schema.floor_m), schema.grid_deg),
        zone=schema.zone or "UTC",
        country=schema.country,
        subdivision=schema.subdivision,
        numbers=tuple(schema.numbers),
        categories={name: values for name, values in categories.items() if values},
    )
    return replace(spec, traffic=_usual_traffic(trips, spec))


def of_one_base(trips: Trips) -> tuple[Trips, str]:
    """Return the trips with the base times that most have, and whose these are, as a bundle's metadata say it.

    `street grid` is the model's own; one of `models.eta.base_time.BASES` where the trips say it (`base_of`); `provider`
    is somebody's, and such a model never serves with confidence, because nobody can say these times again.
    """
    if "base_s" not in trips.legs:
        return trips, "street grid"
    known = np.asarray(trips.legs.get("base_of", np.full(len(trips), np.nan)), np.float64)
    sources, counts = np.unique(known[np.isfinite(known)], return_counts=True)
    if not sources.size or counts.max() < len(trips) / 2 or not 0 <= sources[counts.argmax()] < len(BASES):
        return trips, "provider"
    source = sources[counts.argmax()]
    return trips.take(known == source), BASES[int(source)]


def constant_features(matrix: NDArray[np.float64], spec: FeatureSpec) -> list[str]:
    """Return the features that say nothing in these data: always missing, or always the same."""
    found = []
    for place, name in enumerate(spec.names):
        known = matrix[np.isfinite(matrix[:, place]), place]
        if not len(known) or known.min() == known.max():
            found.append(name)
    return found


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A column that seems to know how a trip ended."""

    column: str
    correlation: float
    """Of its rank with the rank of what base time leaves unexplained, or of the duration."""


def find_leakage(trips: Trips, spec: FeatureSpec) -> list[Suspicion]:
    """Return the data set's own columns that know too much to have been known before arrival.

    The rank correlation with the duration, and with the log ratio to base time, is compared with what anything known at
    departure can reach: on real trips 0.6 at most for the ratio, and for the duration what base time itself has.
    """
    spec = replace(spec, traffic=())  # else a ratio that knows the future would hide in the base times
    base_s = base_times_s(trips.legs, spec)
    duration_s = trips.legs["duration_s"]
    ratio = np.log(duration_s / base_s)
    matrix = leg_features(trips.legs, spec)
    found = []
    for name in (*spec.numbers, *_optional(trips, spec)):
        values = matrix[:, spec.names.index(name)]
        known = np.isfinite(values)
        if known.sum() < _LEAST_FOR_LEAK or np.ptp(values[known]) == 0:
            continue
        of_ratio = abs(float(spearmanr(values[known], ratio[known]).statistic))
        of_duration = abs(float(spearmanr(values[known], duration_s[known]).statistic))
        of_base = abs(float(spearmanr(base_s[known], duration_s[known]).statistic))
        if of_ratio > _LEAK or of_duration > max(_LEAK, of_base + (1 - of_base) / 2):
            found.append(Suspicion(name, max(of_ratio, of_duration)))
    return found


def refuse_leakage(trips: Trips, spec: FeatureSpec) -> None:
    """Refuse trips with a column that knows the future.

    Raises
    ------
    InvalidInput
        With the columns by name.
    """
    if suspects := find_leakage(trips, spec):
        faults = [
            (each.column, f"follows the duration at rank correlation {each.correlation:.2f}") for each in suspects
        ]
        names = ", ".join(each.column for each in suspects)
        raise InvalidInput(f"{names} can't have been known before arrival: drop it from the schema", faults)


def _optional(trips: Trips, spec: FeatureSpec) -> list[str]:
    """Return the further leg columns that these trips fill; the provider's base time may be that close."""
    apart = {"moment_ms", "from_lat", "from_lon", "to_lat", "to_lon", "base_s", "base_m", "zone"}
    apart |= {*spec.categories, *spec.numbers}
    return [name for name in spec.names if name in trips.legs and name not in apart]


def _fit_pace(trips: Trips, frame: GridPace, grid_deg: float | None) -> GridPace:
    """Return base times that fit these trips best in absolute error, turned to the grid that explains them best."""
    turns = [grid_deg] if grid_deg is not None else list(np.arange(0.0, 90.0, _GRID_STEP_DEG))
    fits = [_fit_turned(trips, frame, float(turn)) for turn in turns]
    return min(fits, key=lambda fit: fit[0])[1]


def _fit_turned(trips: Trips, frame: GridPace, grid_deg: float) -> tuple[float, GridPace]:
    turned = GridPace(frame.lat, frame.lon, grid_deg, 0.0, 0.0, 0.0, 0.0, frame.floor_m)
    ends = tuple(trips.legs[name] for name in ("from_lat", "from_lon", "to_lat", "to_lon"))
    x_m, y_m = turned.turned(*turned.offsets_m(*ends))
    direct_m = turned.great_circles_m(*ends)
    columns = np.stack([np.ones(len(x_m)), np.abs(x_m), np.abs(y_m), direct_m], axis=1)
    duration_s = trips.legs["duration_s"]
    weight, factors = np.ones(len(duration_s)), np.zeros(4)
    for _ in range(_TURNS):  # reweighted squares: what remains is the absolute error of the logarithm
        root = np.sqrt(weight) / np.maximum(duration_s, 1.0)
        factors, _ = nnls(columns * root[:, None], duration_s * root)
        error = np.abs(np.log(np.maximum(columns @ factors, 1.0) / duration_s))
        weight = 1 / np.maximum(error, 0.02)
    fixed_s, across, along, direct = map(float, factors)
    found = GridPace(frame.lat, frame.lon, grid_deg, fixed_s, across, along, direct, frame.floor_m)
    return float(np.mean(np.abs(np.log(np.maximum(columns @ factors, 1.0) / duration_s)))), found


def _usual_traffic(trips: Trips, spec: FeatureSpec) -> tuple[float, ...]:
    """Return the usual traffic ratio of each hour, shrunk to that of all; nothing unless most trips know theirs."""
    unknown = np.full(len(trips), np.nan)
    known, base_s = (np.asarray(trips.legs.get(name, unknown), np.float64) for name in ("traffic_ratio", "base_s"))
    is_known = np.isfinite(base_s) & np.isfinite(known) & (known > 0)
    if is_known.mean() < _MOSTLY:
        return ()
    logs, told = np.log(known[is_known]), trips.take(is_known).legs
    clock = local_clock(told["moment_ms"], told.get("zone", spec.zone), spec.country, spec.subdivision)
    band = bands_of(clock.hour, clock.weekday)
    sums, counts = np.bincount(band, logs, BANDS), np.bincount(band, minlength=BANDS)
    usual = np.exp((sums + _SHRINK * logs.mean()) / (counts + _SHRINK))
    return tuple(usual.round(4).tolist())


def _great_circles_m(trips: Trips) -> NDArray[np.float64]:
    return distances_m(*(trips.legs[name] for name in ("from_lat", "from_lon", "to_lat", "to_lon")))


def _present(values: NDArray[np.object_]) -> NDArray[np.str_]:
    return np.array([value for value in values if value is not None], dtype=str)
