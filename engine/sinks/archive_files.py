"""Parquet files of history: one a tenant and day, sorted by driver and time.

Pure but for the file system: what to write is handed in. A file appears whole or not at all, because it is written
beside its place, flushed to disk and renamed.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.messages.fixes import DEGREE, STORED, UNKNOWN_BATTERY, UNKNOWN_SEQUENCE, Outcome, Reason
from models.messages.records import join_records
from models.replacing import replacing

__all__ = ["DAY_MS", "SCHEMA", "day_file", "day_name", "drop_driver", "read_day", "read_days", "write_day"]

DAY_MS = 86_400_000
_ROW_GROUP = 250_000  # about 10 MB of columns: few enough groups to skip by driver, large enough to compress

SCHEMA = pa.schema(
    [
        pa.field("driver", pa.dictionary(pa.int32(), pa.string())),
        pa.field("number", pa.uint32()),
        pa.field("time", pa.timestamp("ms", tz="UTC")),
        pa.field("received", pa.timestamp("ms", tz="UTC")),
        pa.field("device_time", pa.timestamp("ms", tz="UTC")),
        pa.field("latitude", pa.float64()),
        pa.field("longitude", pa.float64()),
        pa.field("speed_mps", pa.float32()),
        pa.field("heading_deg", pa.float32()),
        pa.field("accuracy_m", pa.float32()),
        pa.field("altitude_m", pa.float32()),
        pa.field("battery_pct", pa.uint8()),
        pa.field("sequence", pa.int64()),
        pa.field("source", pa.uint8()),
        pa.field("outcome", pa.uint8()),
        pa.field("reason", pa.uint8()),
        pa.field("position", pa.uint64()),
    ],
    metadata={
        "outcome": ",".join(f"{kind.value}={kind.name.lower()}" for kind in Outcome),
        "reason": ",".join(f"{kind.value}={kind.name.lower()}" for kind in Reason),
    },
)


def day_name(day: int) -> str:
    """Return a day (days since 1970-01-01 UTC) as `YYYY-MM-DD`."""
    return str(np.datetime64(day, "D"))


def day_file(root: Path, tenant: str, day: int) -> Path:
    """Return where the file of a tenant's day is kept."""
    return root / f"tenant={tenant}" / f"day={day_name(day)}" / "fixes.parquet"


def write_day(path: Path, tracks: Iterable[tuple[str, NDArray[np.void]]]) -> int:
    """Write a day's tracks and return the number of rows.

    Parameters
    ----------
    path
        The file to appear; one that is there is replaced.
    tracks
        Pairs of (driver id, `STORED` records in order of time).
    """
    rows = 0
    with replacing(path) as partial, partial.open("wb") as sink:
        with pq.ParquetWriter(sink, SCHEMA, compression="zstd") as writer:
            waiting: list[pa.RecordBatch] = []
            for driver, stored in tracks:
                waiting.append(_columns(driver, stored))
                rows += len(stored)
                if sum(len(batch) for batch in waiting) >= _ROW_GROUP:
                    writer.write_table(pa.Table.from_batches(waiting, SCHEMA).unify_dictionaries())
                    waiting = []
            writer.write_table(pa.Table.from_batches(waiting, SCHEMA).unify_dictionaries())
        sink.flush()
        os.fsync(sink.fileno())
    _sync_folder(path.parent)
    return rows


def read_days(root: Path, tenant: str, number: int, from_ms: int, to_ms: int) -> NDArray[np.void]:
    """Return a driver's archived fixes of `[from_ms, to_ms]` as `STORED` records, in order of time."""
    low, high = pa.scalar(from_ms, pa.timestamp("ms", tz="UTC")), pa.scalar(to_ms, pa.timestamp("ms", tz="UTC"))
    wanted = (pc.field("number") == number) & (pc.field("time") >= low) & (pc.field("time") <= high)
    parts = [
        _records(pq.read_table(day_file(root, tenant, day), filters=wanted, partitioning=None))
        for day in _days_there(root, tenant)
        if from_ms // DAY_MS <= day <= to_ms // DAY_MS
    ]
    return join_records(parts, STORED)


def read_day(path: Path) -> dict[int, tuple[str, NDArray[np.void]]]:
    """Return what a day's file holds: number → (driver id, `STORED` records by time); nothing if it is not there.

    Raises
    ------
    pyarrow.ArrowInvalid
        If it is no whole Parquet file.
    """
    if not path.exists():
        return {}
    table = pq.read_table(path, partitioning=None)
    stored, ids = _records(table), table["driver"].to_pylist()
    numbers, firsts = np.unique(stored["driver"], return_index=True)
    return {
        int(number): (ids[first], stored[stored["driver"] == number])
        for number, first in zip(numbers, firsts.tolist(), strict=True)
    }


def drop_driver(root: Path, tenant: str, number: int) -> int:
    """Take a driver's fixes out of all archived days of a tenant; return how many files had some."""
    changed = 0
    for day in _days_there(root, tenant):
        path = day_file(root, tenant, day)
        others = pc.field("number") != number
        with pq.ParquetFile(path) as archived:
            groups = [archived.read_row_group(index).filter(others) for index in range(archived.num_row_groups)]
            if sum(group.num_rows for group in groups) == archived.metadata.num_rows:
                continue
        with replacing(path) as partial, partial.open("wb") as sink:
            with pq.ParquetWriter(sink, SCHEMA, compression="zstd") as writer:
                for group in groups:
                    writer.write_table(group.unify_dictionaries())
            sink.flush()
            os.fsync(sink.fileno())
        _sync_folder(path.parent)
        changed += 1
    return changed


def _days_there(root: Path, tenant: str) -> list[int]:
    """Return the archived days of a tenant, oldest first. Looking for each asked day would cost a call a day."""
    names = sorted(path.parent.name.removeprefix("day=") for path in root.glob(f"tenant={tenant}/day=*/fixes.parquet"))
    return [int(np.datetime64(name, "D").astype(np.int64)) for name in names]


def _columns(driver: str, stored: NDArray[np.void]) -> pa.RecordBatch:
    count = len(stored)
    moment = pa.timestamp("ms", tz="UTC")
    names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([driver]))
    unknown = stored["device_time"] == 0
    battery, sequence = stored["battery"], stored["seq"]
    return pa.RecordBatch.from_arrays(
        [
            names,
            pa.array(stored["driver"]),
            pa.array(stored["time"], moment),
            pa.array(stored["received"], moment),
            pa.array(stored["device_time"], moment, mask=unknown),
            pa.array(stored["lat"] / DEGREE),
            pa.array(stored["lon"] / DEGREE),
            *(_optional(stored[name]) for name in ("speed", "heading", "accuracy", "altitude")),
            pa.array(battery, mask=battery == UNKNOWN_BATTERY),
            pa.array(sequence, mask=sequence == UNKNOWN_SEQUENCE),
            *(pa.array(stored[name]) for name in ("source", "outcome", "reason", "position")),
        ],
        schema=SCHEMA,
    )


def _optional(values: NDArray[np.float32]) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def _records(table: pa.Table) -> NDArray[np.void]:
    stored = np.zeros(table.num_rows, STORED)
    for name in ("time", "received", "device_time"):
        stored[name] = table[name].cast(pa.int64()).fill_null(0).to_numpy()
    stored["driver"] = table["number"].to_numpy()
    stored["lat"] = np.rint(table["latitude"].to_numpy() * DEGREE)
    stored["lon"] = np.rint(table["longitude"].to_numpy() * DEGREE)
    for ours, theirs in zip(
        ("speed", "heading", "accuracy", "altitude"),
        ("speed_mps", "heading_deg", "accuracy_m", "altitude_m"),
        strict=True,
    ):
        stored[ours] = table[theirs].fill_null(float("nan")).to_numpy()
    stored["battery"] = table["battery_pct"].fill_null(UNKNOWN_BATTERY).to_numpy()
    stored["seq"] = table["sequence"].fill_null(UNKNOWN_SEQUENCE).to_numpy()
    for name in ("source", "outcome", "reason", "position"):
        stored[name] = table[name].to_numpy()
    return stored


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
