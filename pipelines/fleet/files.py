"""What a simulation leaves on disk: legs as the ETA pipeline reads them, and traces as `outrider replay` plays them.

`legs.parquet` has the columns of `models.eta.schema`, a row a leg at the moment of setting off, and beside them the
truth that no model may read (`arrived_ms`, `served_ms`, `address`, `kind`, …). `trace-<day>.parquet` has a row a fix,
in the order of sending.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.eta.base_time import BASES
from models.messages.fixes import DEGREE
from pipelines.fleet.gps import Track
from pipelines.fleet.simulate import Leg

__all__ = ["legs_table", "trace_table", "van_name", "write_legs", "write_trace"]


def legs_table(legs: Iterable[Leg], zone: str) -> pa.Table:
    """Return legs in the schema of the ETA pipeline, in the order of setting off."""
    rows = [_row(leg, zone) for leg in sorted(legs, key=lambda leg: (leg.departed_ms, leg.van))]
    return pa.Table.from_pylist(rows)


def trace_table(tracks: Mapping[int, Track]) -> pa.Table:
    """Return the fixes of all vans in the order of sending."""
    vans = np.concatenate([np.full(len(track.fixes), van) for van, track in tracks.items()])
    fixes = np.concatenate([track.fixes for track in tracks.values()])
    order = np.argsort(np.concatenate([track.sent_ms for track in tracks.values()]), kind="stable")
    fixes, vans = fixes[order], vans[order]
    return pa.table(
        {
            "vehicle": pa.array([van_name(van) for van in vans.tolist()]).dictionary_encode(),
            "time_ms": fixes["time"],
            "lat": fixes["lat"] / DEGREE,
            "lon": fixes["lon"] / DEGREE,
            "accuracy_m": fixes["accuracy"],
        }
    )


def write_legs(legs: Iterable[Leg], zone: str, folder: Path) -> Path:
    """Write `legs.parquet` and return where it is."""
    return _write(legs_table(legs, zone), folder / "legs.parquet")


def write_trace(tracks: Mapping[int, Track], day: int, folder: Path) -> Path:
    """Write the trace of one day, which has tracks, and return where it is."""
    return _write(trace_table(tracks), folder / f"trace-{day:03d}.parquet")


def _row(leg: Leg, zone: str) -> dict[str, Any]:
    begins_ms = max(leg.arrived_ms, leg.window_begins_ms)
    return {
        "moment_ms": leg.departed_ms,
        "from_lat": leg.origin_lat,
        "from_lon": leg.origin_lon,
        "to_lat": leg.lat,
        "to_lon": leg.lon,
        "zone": zone,
        "driver": van_name(leg.van),
        "vehicle": "van",
        "base_s": leg.base_s,
        "base_m": leg.base_m,
        "base_of": BASES.index("roads"),
        "stop_index": leg.stop,
        "stops_left": leg.stops - leg.stop,
        "weight_kg": leg.weight_kg,
        "priority": leg.priority,
        "rain_mm_h": leg.rain_mm,
        "duration_s": (leg.arrived_ms - leg.departed_ms) / 1000.0,
        "service_s": (leg.served_ms - begins_ms) / 1000.0,
        "day": leg.day,
        "address": leg.address,
        "kind": leg.kind,
        "is_delivered": leg.is_delivered,
        "moved_ms": leg.moved_ms,
        "arrived_ms": leg.arrived_ms,
        "served_ms": leg.served_ms,
        "window_begins_ms": leg.window_begins_ms or None,
        "window_ends_ms": leg.window_ends_ms or None,
    }


def van_name(van: int) -> str:
    """Return what a van is called in files."""
    return f"van {van + 1:03d}"


def _write(table: pa.Table, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file, compression="zstd")
    return file
