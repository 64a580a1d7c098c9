"""Driven legs out of MongoDB into the data set of Parquet files that models are trained on, what is new each time.

A company's folder keeps how far it has come (`exported.json`). Legs are read in the order of being stored, and the mark
moves once they are on disk, so an export that broke off goes on where it was; each begins a little before the mark,
because the clocks of those who store differ, and a leg that comes twice takes its own place. Legs of drivers whose
positions were erased since leave the data set with the next export.
"""

import datetime
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.documents.document import now
from models.eta.history import USUAL_VEHICLE, driver_alias
from models.replacing import replacing
from models.store.legs import LegRepository
from pipelines.datasets import LegDataset, company_folder

__all__ = ["export_legs"]

_MARK = "exported.json"
_OVERLAP = datetime.timedelta(minutes=10)
_BEGIN = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_NUMBERS = {
    "base_s": "baseS",
    "base_m": "baseM",
    "base_of": "baseOf",
    "stops_left": "stopsLeft",
    "service_ahead_s": "serviceAheadS",
    "weight_kg": "weightKg",
    "priority": "priority",
    "traffic_ratio": "trafficRatio",
    "rain_mm_h": "rainMmH",
    "temperature_c": "temperatureC",
    "wind_mps": "windMps",
}
"""Column of a leg → field of the document."""


async def export_legs(
    legs: LegRepository,
    dataset: LegDataset,
    tenants: Sequence[str],
    zone_of: Callable[[str], str],
    told: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, int]:
    """Add the companies' legs that the data set lacks, and return how many were new, by company.

    What drivers had driven whose positions were erased goes out of it.

    Parameters
    ----------
    zone_of
        Returns a company's IANA time zone.
    told
        Called with the company, and how many of how many legs have been read.
    """
    added = {}
    for tenant in tenants:
        mark = company_folder(dataset.folder, tenant) / _MARK
        since, until = _marked(mark) - _OVERLAP, now()
        total, done, new = await legs.count(tenant, since, until), 0, 0
        async for batch in legs.stored(tenant, since, until):
            new += dataset.add(_columns(batch, tenant, zone_of(tenant)))
            done += len(batch)
            _set_mark(mark, batch[-1]["stored"])
            told(tenant, done, max(total, done))
        for driver, at in (await legs.forgotten(tenant)).items():
            dataset.forget(tenant, driver_alias(tenant, driver), at)
        added[tenant] = new
    return added


def _marked(mark: Path) -> datetime.datetime:
    """Return when the newest exported leg had been stored; a mark that can't be read is none."""
    try:
        found = datetime.datetime.fromisoformat(json.loads(mark.read_text())["storedUntil"])
    except (OSError, ValueError, KeyError, TypeError):
        return _BEGIN + _OVERLAP
    return found if found.tzinfo is not None else found.replace(tzinfo=datetime.UTC)


def _set_mark(mark: Path, stored: datetime.datetime) -> None:
    with replacing(mark) as partial:
        partial.write_text(json.dumps({"storedUntil": stored.isoformat()}))


def _columns(legs: Sequence[Mapping[str, Any]], tenant: str, zone: str) -> dict[str, NDArray[Any]]:
    departed = np.array([round(leg["departed"].timestamp() * 1000) for leg in legs], np.int64)
    arrived = np.array([round(leg["arrived"].timestamp() * 1000) for leg in legs], np.int64)
    ends = {
        f"{end}_{axis}": np.array([leg[end][place] for leg in legs], np.float64)
        for end in ("from", "to")
        for place, axis in enumerate(("lat", "lon"))
    }
    return {
        "leg": _texts([leg["_id"] for leg in legs]),
        "company": _texts([tenant] * len(legs)),
        "driver": _texts([driver_alias(tenant, leg["driver"]) for leg in legs]),
        "vehicle": _texts([leg.get("vehicle", USUAL_VEHICLE) for leg in legs]),
        "zone": _texts([zone] * len(legs)),
        "moment_ms": departed,
        **ends,
        **{name: np.array([leg.get(field, np.nan) for leg in legs], np.float64) for name, field in _NUMBERS.items()},
        "elapsed_s": np.zeros(len(legs)),
        "stop_index": np.zeros(len(legs)),
        "opens_ms": np.array([_opens_ms(leg) for leg in legs], np.float64),
        "duration_s": (arrived - departed) / 1000,
    }


def _opens_ms(leg: Mapping[str, Any]) -> float:
    """Return before when a stop was not served, epoch milliseconds; NaN where it could be at any time."""
    return round(leg["opens"].timestamp() * 1000) if leg.get("opens") is not None else math.nan


def _texts(values: Sequence[str]) -> NDArray[Any]:
    return np.array(values, dtype=object)
