"""Recorded traces of real vehicles, from Parquet or CSV.

Columns: `vehicle` (text), `time_ms` (epoch milliseconds), `lat`, `lon` (degrees WGS 84), and if there are any
`speed_mps`, `heading_deg`, `accuracy_m`, `trip`. Others are ignored. Faults stay in: a trace is what was recorded.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from models.errors import InvalidInput
from models.messages.fixes import DEGREE, FIX, UNKNOWN_BATTERY, UNKNOWN_SEQUENCE

__all__ = ["Trace", "read_trace"]

_REQUIRED = ("vehicle", "time_ms", "lat", "lon")
_OPTIONAL = ("speed_mps", "heading_deg", "accuracy_m", "trip")
_LATE_AT_MOST_S = 600.0  # Austin's files are laid out trip after trip: they step back by hours
_NO_DEGREES = -(2**31)  # stands for NaN: out of any range, so that the door refuses it


@dataclass(frozen=True, slots=True)
class Trace:
    """Fixes in the order in which they are to be sent."""

    vehicles: list[str]
    fixes: NDArray[np.void]
    """`FIX` records; `driver` is the place in `vehicles`."""
    release_ms: NDArray[np.int64]
    """When each was sent, on the clock of the recording, rising: a fix that came late stays late."""
    trip: NDArray[np.int64] | None
    """Trip of each fix, where the source has trips."""

    @property
    def duration_ms(self) -> int:
        """From the first fix sent to the last."""
        return int(self.release_ms[-1] - self.release_ms[0]) if len(self.release_ms) else 0


def read_trace(file: Path, *, late_at_most_s: float = _LATE_AT_MOST_S) -> Trace:
    """Return the trace in a Parquet or CSV file.

    Parameters
    ----------
    file
        What to read.
    late_at_most_s
        A row that is older than those of its vehicle above it by up to so much came late, and is sent after them. One
        that is older still shows how the file is laid out, and is sent at its own time.

    Raises
    ------
    InvalidInput
        If the file is missing, is neither, or lacks a column.
    """
    table = _read_table(file)
    vehicles = pc.dictionary_encode(table["vehicle"].cast(pa.string()).combine_chunks())
    vehicle = np.asarray(vehicles.indices, np.int64)
    time_ms = np.asarray(table["time_ms"].to_numpy(), np.int64)
    fixes = np.zeros(len(time_ms), FIX)
    fixes["driver"] = vehicle
    fixes["time"] = time_ms
    fixes["lat"], fixes["lon"] = _steps(_column(table, "lat")), _steps(_column(table, "lon"))
    fixes["speed"], fixes["heading"] = _column(table, "speed_mps"), _column(table, "heading_deg")
    fixes["accuracy"], fixes["altitude"] = _column(table, "accuracy_m"), np.nan
    fixes["seq"], fixes["battery"] = UNKNOWN_SEQUENCE, UNKNOWN_BATTERY
    release_ms = _release_times(vehicle, time_ms, late_at_most_s * 1000)
    order = np.argsort(release_ms, kind="stable")
    trip = _column(table, "trip").astype(np.int64)[order] if _is_numbered(table) else None
    return Trace(vehicles.dictionary.to_pylist(), fixes[order], release_ms[order], trip)


def _read_table(file: Path) -> pa.Table:
    if not file.is_file():
        raise InvalidInput(f"there is no file {file}")
    try:
        with file.open("rb") as handle:
            is_parquet = handle.read(4) == b"PAR1"
        if is_parquet:
            found = set(pyarrow.parquet.read_schema(file).names)
            columns = [name for name in (*_REQUIRED, *_OPTIONAL) if name in found]
            table = pyarrow.parquet.read_table(file, columns=columns)
        else:
            types = {"vehicle": pa.string(), "time_ms": pa.int64(), "lat": pa.float64(), "lon": pa.float64()}
            table = pyarrow.csv.read_csv(file, convert_options=pyarrow.csv.ConvertOptions(column_types=types))
    except pa.ArrowInvalid as cause:
        raise InvalidInput(f"{file} is neither Parquet nor CSV of a trace: {str(cause).splitlines()[0]}") from cause
    missing = [name for name in _REQUIRED if name not in table.column_names]
    if missing:
        raise InvalidInput(f"{file} lacks the column {', '.join(missing)}")
    return table.filter(pc.and_(table["vehicle"].is_valid(), table["time_ms"].is_valid()))


def _column(table: pa.Table, name: str) -> NDArray[np.float64]:
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan, np.float64)
    return np.asarray(table[name].to_numpy(), np.float64)


def _is_numbered(table: pa.Table) -> bool:
    return "trip" in table.column_names and pa.types.is_integer(table["trip"].type) and table["trip"].null_count == 0


def _steps(degrees: NDArray[np.float64]) -> NDArray[np.int64]:
    good = np.abs(degrees) <= 200  # what is beyond is refused as well; it only has to fit the field
    return np.where(good, np.rint(np.where(good, degrees, 0) * DEGREE), _NO_DEGREES).astype(np.int64)


def _release_times(vehicle: NDArray[np.int64], times: NDArray[np.int64], late_at_most_ms: float) -> NDArray[np.int64]:
    """Return when each row was sent: not before the rows of its vehicle just above it in the file."""
    newest: dict[int, int] = {}
    released = []
    for row, time_ms in zip(vehicle.tolist(), times.tolist(), strict=True):
        held = newest.get(row, time_ms)
        newest[row] = time_ms if held - time_ms > late_at_most_ms else max(held, time_ms)
        released.append(newest[row])
    return np.array(released, np.int64)
