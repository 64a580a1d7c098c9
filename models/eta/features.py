"""From legs to the numbers that a model reads: one implementation for training, back-test, live engine and optimiser.

Everything is a function of columns that are known at the moment of prediction (`models.eta.schema`). A model's own way
of reading them (its city's frame, calendar, categories) is a `FeatureSpec`, which travels inside the bundle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import InvalidInput
from models.eta.clock import BANDS, LocalClock, bands_of, is_zone, local_clock
from models.eta.grid_pace import GridPace
from models.eta.schema import CATEGORIES, LEG_COLUMNS, OUTCOMES, REQUIRED, SCHEMA, Moment

__all__ = [
    "FEATURES",
    "Feature",
    "FeatureSpec",
    "Legs",
    "base_times_s",
    "check_legs",
    "leg_features",
    "traffic_factors",
]

Legs = Mapping[str, ArrayLike]
"""Columns of legs by name, each of length N (or one value for all)."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One number that a model reads."""

    name: str
    unit: str
    known_at: Moment
    factor: str
    """Which of the reasons told to people it belongs to."""


FEATURES: tuple[Feature, ...] = (
    Feature("base_s", "s", Moment.ORDER, "distance"),
    Feature("base_m", "m", Moment.ORDER, "distance"),
    Feature("great_circle_m", "m", Moment.ORDER, "distance"),
    Feature("manhattan_m", "m", Moment.ORDER, "distance"),
    Feature("grid_m", "m", Moment.ORDER, "distance"),
    Feature("grid_x_m", "m", Moment.ORDER, "direction"),
    Feature("grid_y_m", "m", Moment.ORDER, "direction"),
    Feature("bearing_deg", "deg", Moment.ORDER, "direction"),
    Feature("hour", "h", Moment.ORDER, "time_of_day"),
    Feature("weekday", "1", Moment.ORDER, "time_of_day"),
    Feature("hour_of_week", "h", Moment.ORDER, "time_of_day"),
    Feature("is_holiday", "1", Moment.ORDER, "time_of_day"),
    Feature("from_x_m", "m", Moment.ORDER, "place"),
    Feature("from_y_m", "m", Moment.ORDER, "place"),
    Feature("to_x_m", "m", Moment.ORDER, "place"),
    Feature("to_y_m", "m", Moment.ORDER, "place"),
    Feature("traffic_ratio", "1", Moment.ORDER, "traffic"),
    Feature("turns_per_km", "1/km", Moment.ORDER, "distance"),
    Feature("elapsed_s", "s", Moment.EN_ROUTE, "progress"),
    Feature("driven_ratio", "log 1", Moment.EN_ROUTE, "progress"),
    Feature("recent_mps", "m/s", Moment.EN_ROUTE, "progress"),
    Feature("recent_ratio", "log 1", Moment.EN_ROUTE, "progress"),
    Feature("stop_index", "1", Moment.ASSIGN, "route"),
    Feature("stops_left", "1", Moment.ASSIGN, "route"),
    Feature("service_ahead_s", "s", Moment.ASSIGN, "route"),
    Feature("weight_kg", "kg", Moment.ORDER, "load"),
    Feature("priority", "1", Moment.ORDER, "load"),
    Feature("rain_mm_h", "mm/h", Moment.ORDER, "weather"),
    Feature("temperature_c", "°C", Moment.ORDER, "weather"),
    Feature("wind_mps", "m/s", Moment.ORDER, "weather"),
    Feature("driver_recent", "log 1", Moment.ASSIGN, "driver"),
    Feature("driver_long", "log 1", Moment.ASSIGN, "driver"),
    Feature("cell_pace", "log 1", Moment.ORDER, "place"),
    Feature("driver_cell_pace", "log 1", Moment.ASSIGN, "driver"),
    Feature("pair_pace", "log 1", Moment.ORDER, "place"),
)
"""In the order of the matrix; a bundle's own numbers and categories follow."""

_LEAST_BASE_S = 20.0  # the ratio of a leg to no leg at all explodes
_LEAST_TRAFFIC, _MOST_TRAFFIC = 0.5, 8.0
_OTHER = 0  # a value that training has not seen, or too rarely; LightGBM would take a negative code for missing


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """How one model reads legs."""

    pace: GridPace
    """Base times where the provider gives none, and the frame of the street grid."""
    zone: str = "UTC"
    """IANA time zone of stops that name none."""
    country: str = ""
    """ISO 3166 code of the calendar of holidays; empty for none."""
    subdivision: str = ""
    """Part of the country, ISO 3166-2 without the country."""
    numbers: tuple[str, ...] = ()
    """Further numeric columns of this data set."""
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns of text → values that training has seen often enough, in the order of their codes from 1."""
    traffic: tuple[float, ...] = ()
    """Usual traffic ratio by hour, of working days and then of weekends: given base times are taken in traffic, by the
    leg's own ratio or, where nobody knows it, by this one. Empty: they are taken as they are, and traffic is a feature.
    """

    def __post_init__(self) -> None:
        if not is_zone(self.zone):
            raise InvalidInput(f"{self.zone!r} is not a time zone", [("zone", "is not the IANA name of a time zone")])
        if len(self.traffic) not in (0, BANDS):
            raise InvalidInput("usual traffic has a ratio for each hour", [("traffic", f"has to have {BANDS} values")])
        taken = {*LEG_COLUMNS, *CATEGORIES, *(feature.name for feature in FEATURES)}
        if clash := sorted(taken & set(self.numbers)):
            raise InvalidInput(f"columns have a meaning already: {', '.join(clash)}", [(clash[0], "is taken")])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all features in the order of the matrix."""
        return (*(feature.name for feature in FEATURES), *self.numbers, *self.categories)

    @property
    def factors(self) -> tuple[str, ...]:
        """The reason that each feature belongs to, in the order of the matrix."""
        own = tuple("driver" if name == "driver" else name for name in (*self.numbers, *self.categories))
        return (*(feature.factor for feature in FEATURES), *own)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        plain = asdict(self)
        plain["categories"] = {name: list(values) for name, values in self.categories.items()}
        return {"schema": SCHEMA, **plain}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "FeatureSpec":
        """Return what `to_json` was made from."""
        return cls(
            pace=GridPace(**plain["pace"]),
            zone=plain["zone"],
            country=plain["country"],
            subdivision=plain["subdivision"],
            numbers=tuple(plain["numbers"]),
            categories={name: tuple(values) for name, values in plain["categories"].items()},
            traffic=tuple(plain.get("traffic", ())),
        )


def check_legs(legs: Legs, spec: FeatureSpec) -> int:
    """Return the number of legs, after looking that they can be read.

    Raises
    ------
    InvalidInput
        If a required column is missing or holds what is no number, columns differ in length, coordinates lie outside
        of the world, instants are no whole numbers, or history was gathered after the moment of a leg.
    """
    missing = [name for name in (*REQUIRED, *spec.numbers) if name not in legs]
    if missing:
        raise InvalidInput(f"legs lack {', '.join(missing)}", [(name, "is missing") for name in missing])
    rows = len(np.atleast_1d(np.asarray(legs["moment_ms"])))
    if np.asarray(legs["moment_ms"]).dtype.kind not in "iu":
        raise InvalidInput("moments have to be epoch milliseconds", [("moment_ms", "has to be whole milliseconds UTC")])
    for name, values in legs.items():
        array = np.asarray(values)
        if array.ndim and len(array) != rows:
            raise InvalidInput(
                f"{name} has {len(array)} values for {rows} legs", [(name, f"has to have {rows} values")]
            )
    for name, most in (("from_lat", 90), ("from_lon", 180), ("to_lat", 90), ("to_lon", 180)):
        values = _numbers(legs, name, rows)
        if not np.all(np.abs(values) <= most):  # also catches NaN
            row = int(np.flatnonzero(~(np.abs(values) <= most))[0])
            raise InvalidInput(f"{name} of leg {row} is no coordinate", [(f"{name}[{row}]", f"has to be in ±{most}")])
    _check_as_of(legs, rows)
    return rows


def base_times_s(legs: Legs, spec: FeatureSpec) -> NDArray[np.float64]:
    """Return the base time of each leg, seconds: what the provider said, else the pace of the spec; at least 20 s.

    Where the spec has it so, what the provider said of free roads is taken in traffic.
    """
    rows = len(np.atleast_1d(np.asarray(legs["moment_ms"])))
    given_s = _numbers(legs, "base_s", rows) * traffic_factors(legs, spec)
    if not np.all(np.isfinite(given_s)):
        given_s = np.where(np.isfinite(given_s), given_s, spec.pace.times_s(*_ends(legs, rows)))
    return np.maximum(given_s, _LEAST_BASE_S)


def traffic_factors(legs: Legs, spec: FeatureSpec) -> NDArray[np.float64]:
    """Return what the provider's times of free roads are multiplied by before a model reads them, N values."""
    rows = len(np.atleast_1d(np.asarray(legs["moment_ms"])))
    if not spec.traffic:
        return np.ones(rows)
    known = _numbers(legs, "traffic_ratio", rows)
    clock = _clock(legs, spec, rows)
    usual = np.array(spec.traffic)[bands_of(clock.hour, clock.weekday)]
    return np.clip(np.where(np.isfinite(known), known, usual), _LEAST_TRAFFIC, _MOST_TRAFFIC)


def leg_features(legs: Legs, spec: FeatureSpec) -> NDArray[np.float64]:
    """Return what the model reads: N × F numbers in the order of `spec.names`, NaN where unknown.

    Columns that are known on arrival only are never read.

    Raises
    ------
    InvalidInput
        As `check_legs`.
    """
    rows = check_legs(legs, spec)
    columns = {
        **_distances(legs, spec, rows),
        **_times(legs, spec, rows),
        **_progress(legs, rows),
        **{name: _numbers(legs, name, rows) for name in spec.numbers},
        **{name: _codes(legs, name, values, rows) for name, values in spec.categories.items()},
    }
    if spec.traffic:  # base times hold it: a leg hours ahead, of which nobody knows it yet, is read as all others
        columns["traffic_ratio"] = np.full(rows, np.nan)
    matrix = np.empty((rows, len(spec.names)))
    for place, name in enumerate(spec.names):
        matrix[:, place] = columns[name] if name in columns else _numbers(legs, name, rows)
    return matrix


def _check_as_of(legs: Legs, rows: int) -> None:
    history = [name for name in legs if name in LEG_COLUMNS and LEG_COLUMNS[name].is_history]
    if not history:
        return
    if "as_of_ms" not in legs:
        raise InvalidInput("history without as_of_ms", [("as_of_ms", f"is missing beside {history[0]}")])
    ahead = _column(legs, "as_of_ms", rows) > _column(legs, "moment_ms", rows)
    if np.any(ahead):
        row = int(np.flatnonzero(ahead)[0])
        raise InvalidInput(f"history of leg {row} is of its future", [(f"as_of_ms[{row}]", "is after moment_ms")])


def _distances(legs: Legs, spec: FeatureSpec, rows: int) -> dict[str, NDArray[np.float64]]:
    from_lat, from_lon, to_lat, to_lon = _ends(legs, rows)
    pace = spec.pace
    away_m = pace.great_circles_m(from_lat, from_lon, to_lat, to_lon)
    east_m, north_m = pace.offsets_m(from_lat, from_lon, to_lat, to_lon)
    grid_x_m, grid_y_m = pace.turned(east_m, north_m)
    from_x_m, from_y_m = pace.places_m(from_lat, from_lon)
    to_x_m, to_y_m = pace.places_m(to_lat, to_lon)
    base_m = _numbers(legs, "base_m", rows)
    return {
        "base_s": base_times_s(legs, spec),
        "base_m": np.where(np.isfinite(base_m), base_m, away_m * pace.detour),
        "great_circle_m": away_m,
        "manhattan_m": np.abs(east_m) + np.abs(north_m),
        "grid_m": np.abs(grid_x_m) + np.abs(grid_y_m),
        "grid_x_m": grid_x_m,
        "grid_y_m": grid_y_m,
        "bearing_deg": np.degrees(np.arctan2(east_m, north_m)),
        "from_x_m": from_x_m,
        "from_y_m": from_y_m,
        "to_x_m": to_x_m,
        "to_y_m": to_y_m,
    }


def _times(legs: Legs, spec: FeatureSpec, rows: int) -> dict[str, NDArray[np.float64]]:
    clock = _clock(legs, spec, rows)
    return {
        "hour": clock.hour,
        "weekday": clock.weekday,
        "hour_of_week": clock.weekday * 24 + clock.hour,
        "is_holiday": clock.is_holiday,
    }


def _clock(legs: Legs, spec: FeatureSpec, rows: int) -> LocalClock:
    zone = np.asarray(legs.get("zone", spec.zone))
    return local_clock(_column(legs, "moment_ms", rows).astype(np.int64), zone, spec.country, spec.subdivision)


def _progress(legs: Legs, rows: int) -> dict[str, NDArray[np.float64]]:
    """Return how the leg has gone so far: ratios as logarithms, as the target is."""
    away_m = _numbers(legs, "base_m", rows)
    usual_mps = away_m / np.maximum(_numbers(legs, "base_s", rows), _LEAST_BASE_S)
    recent_mps = _numbers(legs, "recent_mps", rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        driven = np.log(_numbers(legs, "driven_ratio", rows))
        recent = np.log(np.maximum(recent_mps, 0.3) / usual_mps)
    return {
        "elapsed_s": np.nan_to_num(_numbers(legs, "elapsed_s", rows), nan=0.0),
        "driven_ratio": np.where(np.isfinite(driven), driven, np.nan),
        "recent_mps": recent_mps,
        "recent_ratio": np.where(np.isfinite(recent), recent, np.nan),
    }


def _codes(legs: Legs, name: str, values: Sequence[str], rows: int) -> NDArray[np.float64]:
    """Return codes of a category: its place from 1, 0 for a value never seen, NaN where there is none."""
    if name not in legs:
        return np.full(rows, np.nan)
    given = np.broadcast_to(np.asarray(legs[name], dtype=object), (rows,))
    code = {value: place for place, value in enumerate(values, start=1)}
    return np.array([np.nan if value is None else float(code.get(str(value), _OTHER)) for value in given])


def _ends(legs: Legs, rows: int) -> tuple[NDArray[np.float64], ...]:
    return tuple(_numbers(legs, name, rows) for name in ("from_lat", "from_lon", "to_lat", "to_lon"))


def _column(legs: Legs, name: str, rows: int) -> NDArray[Any]:
    return np.broadcast_to(np.asarray(legs[name]), (rows,))


def _numbers(legs: Legs, name: str, rows: int) -> NDArray[np.float64]:
    """Return a column as numbers, NaN throughout where it is not given or belongs to the future."""
    if name not in legs or name in OUTCOMES:
        return np.full(rows, np.nan)
    try:
        return np.broadcast_to(np.asarray(legs[name], dtype=np.float64), (rows,))
    except (TypeError, ValueError) as fault:
        raise InvalidInput(f"{name} holds what is no number", [(name, "has to be numbers")]) from fault
