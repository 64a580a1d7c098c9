"""Files of trips to columns of legs, in the order of time: CSV and Parquet, by a schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from models.errors import InvalidInput
from models.eta.clock import instants_of_wall_time
from models.eta.schema import CATEGORIES, LEG_COLUMNS
from pipelines.trip_schemas import TripSchema

__all__ = ["Trips", "finishes_ms", "passes_over_a_stop", "read_trips", "trips_of_columns"]


@dataclass(frozen=True, slots=True)
class Trips:
    """Finished trips in the order of their moments."""

    legs: Mapping[str, NDArray[Any]]
    """Columns of `models.eta.schema`, with `duration_s`."""
    split: NDArray[np.str_]
    """`train` or `test` as the file says, else empty text."""
    refused: Mapping[str, int]
    """Rows that could not be read, by reason."""

    def __len__(self) -> int:
        return len(self.legs["moment_ms"])

    def take(self, rows: NDArray[Any]) -> "Trips":
        """Return some of the trips, by mask or index."""
        legs = {name: values[rows] for name, values in self.legs.items()}
        return Trips(legs, self.split[rows], self.refused)


def finishes_ms(trips: Trips) -> NDArray[np.int64]:
    """Return when each trip ended, epoch milliseconds."""
    return np.asarray(trips.legs["moment_ms"] + (trips.legs["duration_s"] * 1000).astype(np.int64))


def passes_over_a_stop(
    legs: Mapping[str, NDArray[Any]], behind: NDArray[np.int64], ahead: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell between which legs of a driver another stop was made that no leg led to: on foot, to the house next door.

    `behind` and `ahead` are places of legs that follow one another. Where nobody counted the stops left, none was.
    """
    left = np.asarray(legs.get("stops_left", np.full(len(legs["moment_ms"]), np.nan)), np.float64)
    return np.asarray(left[ahead] < left[behind] - 1)


def read_trips(path: Path, schema: TripSchema) -> Trips:
    """Return the trips of a CSV or Parquet file, or of a folder of Parquet files.

    Raises
    ------
    InvalidInput
        If the file can't be read, lacks a column, has times without a time zone and the schema names none, or holds no
        trip.
    """
    table = _read_table(path)
    columns_of, texts_of = _sources(schema, table.column_names)
    wanted = {**columns_of, **texts_of, **{name: name for name in schema.numbers}}
    lacking = sorted({source for source in wanted.values() if source not in table.column_names})
    if lacking:
        faults = [(name, "is missing") for name in lacking]
        raise InvalidInput(f"{path.name} lacks {', '.join(lacking)}: it has {', '.join(table.column_names)}", faults)
    columns: dict[str, NDArray[Any]] = {}
    for name, source in columns_of.items():
        column = table[source].combine_chunks()
        if name == "moment_ms":
            columns[name] = _instants_ms(column, source, schema.zone)
        elif name == "zone":
            columns[name] = _texts(column)
        else:
            columns[name] = _numbers(column, source)
    columns |= {name: _numbers(table[name].combine_chunks(), name) for name in schema.numbers}
    columns |= {name: _texts(table[source].combine_chunks()) for name, source in texts_of.items()}
    split = _texts(table[schema.split].combine_chunks()) if schema.split in table.column_names else None
    return trips_of_columns(columns, None if split is None else split.astype(str), path.name)


def trips_of_columns(columns: Mapping[str, NDArray[Any]], split: NDArray[np.str_] | None, source: str) -> Trips:
    """Return columns as trips: what can't have been a trip is counted and left out, the rest put in the order of time.

    Raises
    ------
    InvalidInput
        If nothing is left.
    """
    rows = len(columns["moment_ms"])
    reasons = {
        "no time of start": columns["moment_ms"] < 0,
        "no place": ~_are_places(columns),
        "no duration, or none above zero": ~(columns["duration_s"] > 0),
    }
    good, refused = np.ones(rows, bool), {}
    for reason, bad in reasons.items():
        if count := int((good & bad).sum()):
            refused[reason] = count
        good &= ~bad
    if not good.any():
        raise InvalidInput(f"{source} holds no trip that can be used: {refused or 'it is empty'}")
    order = np.flatnonzero(good)[np.argsort(columns["moment_ms"][good], kind="stable")]
    parts = np.full(rows, "") if split is None else split
    return Trips({name: values[order] for name, values in columns.items()}, parts[order], refused)


def _sources(schema: TripSchema, given: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the column of the file for each column of numbers and of text that is read."""
    columns, texts = dict(schema.columns), dict(schema.categories)
    if schema.takes_all:
        history = {name for name, column in LEG_COLUMNS.items() if column.is_history or name == "as_of_ms"}
        columns |= {name: name for name in LEG_COLUMNS if name in given and name not in history and name not in columns}
        texts |= {name: name for name in CATEGORIES if name in given and name not in texts}
    return columns, texts


def _read_table(path: Path) -> pa.Table:
    try:
        if path.is_dir() or path.suffix in (".parquet", ".pq"):
            return pa.parquet.read_table(path)
        return pa.csv.read_csv(path, convert_options=pa.csv.ConvertOptions(strings_can_be_null=True))
    except (pa.ArrowException, OSError) as fault:
        raise InvalidInput(f"{path} can't be read: {str(fault).splitlines()[0]}") from fault


def _instants_ms(column: pa.Array, source: str, zone: str) -> NDArray[np.int64]:
    """Return epoch milliseconds, −1 where there is no time."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _parse_instants_ms(column, source, zone)
    if pa.types.is_integer(column.type):
        whole = column.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        if len(whole) and 0 < np.max(whole) < 100_000_000_000:
            raise InvalidInput(
                f"{source} looks like seconds", [(source, "has to be epoch milliseconds, or timestamps")]
            )
        return np.asarray(whole, dtype=np.int64)
    if not pa.types.is_timestamp(column.type):
        raise InvalidInput(f"{source} is {column.type}", [(source, "has to be a timestamp or epoch milliseconds")])
    ms = column.cast(pa.timestamp("ms", tz=column.type.tz), safe=False).cast(pa.int64())
    whole = ms.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.asarray(whole) if column.type.tz else _localised(whole, source, zone)


def _parse_instants_ms(column: pa.Array, source: str, zone: str) -> NDArray[np.int64]:
    """Return instants of ISO 8601 texts; all with an offset, or all without."""
    texts = column.to_pylist()
    try:
        with_offset = pa.array(texts, pa.string()).cast(pa.timestamp("ms", tz="UTC"))
    except pa.ArrowInvalid:
        try:
            return _instants_ms(pa.array(texts, pa.string()).cast(pa.timestamp("ms")), source, zone)
        except pa.ArrowInvalid as fault:
            raise InvalidInput(f"{source} holds what is no time: {fault}", [(source, "has to be ISO 8601")]) from fault
    return _instants_ms(with_offset, source, zone)


def _localised(wall_ms: NDArray[np.int64], source: str, zone: str) -> NDArray[np.int64]:
    if not zone:
        fault = "carries no time zone, and the schema names none (`zone`): an hour that is guessed spoils every feature"
        raise InvalidInput(f"{source} {fault}", [(source, fault)])
    known = wall_ms >= 0
    return np.where(known, instants_of_wall_time(np.where(known, wall_ms, 0), zone), -1)


def _numbers(column: pa.Array, source: str) -> NDArray[np.float64]:
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as fault:
        raise InvalidInput(f"{source} holds what is no number: {fault}", [(source, "has to be numbers")]) from fault


def _texts(column: pa.Array) -> NDArray[Any]:
    return np.array([None if value is None else str(value) for value in column.to_pylist()], dtype=object)


def _are_places(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    good = np.ones(len(columns["moment_ms"]), bool)
    for name, most in (("from_lat", 90), ("from_lon", 180), ("to_lat", 90), ("to_lon", 180)):
        good &= np.abs(columns[name]) <= most
    for end in ("from", "to"):
        good &= (columns[f"{end}_lat"] != 0) | (columns[f"{end}_lon"] != 0)  # (0, 0) is a receiver without a fix
    return good
