"""Simulated legs as a company's history: through the data set that `outrider legs export` fills."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.eta.bases import PROFILES, BaseTimes, Ends
from models.geo import METRES_PER_DEGREE
from pipelines.datasets import LegDataset
from pipelines.fleet.files import legs_table, van_name
from pipelines.fleet.gps import Phone
from pipelines.fleet.simulate import Leg
from pipelines.trips import Trips

__all__ = ["past_columns", "past_legs"]

_KNOWN = (
    "from_lat",
    "from_lon",
    "to_lat",
    "to_lon",
    "zone",
    "base_s",
    "base_m",
    "base_of",
    "stops_left",
    "weight_kg",
    "priority",
)
"""Columns of simulated legs that a shard fills too. Times at the door are read from departures."""
_SEED = 1


def past_legs(
    legs: Sequence[Leg],
    zone: str,
    company: str,
    driver_of: Callable[[int], str] = van_name,
    base: BaseTimes | None = None,
) -> Trips:
    """Return legs as trainings read them, in the order of time; `past_columns` says what the rest is."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = LegDataset(Path(folder))
        dataset.add(past_columns(legs, zone, company, driver_of, base))
        return dataset.read(company)


def past_columns(
    legs: Sequence[Leg],
    zone: str,
    company: str,
    driver_of: Callable[[int], str] = van_name,
    base: BaseTimes | None = None,
) -> dict[str, NDArray[Any]]:
    """Return legs as a data set keeps them (`pipelines.datasets`), from when shards see that a van sets off.

    Parameters
    ----------
    zone
        IANA time zone of the city.
    driver_of
        Returns what the driver of a van is called.
    base
        Who says base times of the ways from where phones see the vans to the addresses, as in a shard: now and then
        the wrong side of the street. Without it they are those of the ways that the vans took.
    """
    table = legs_table(legs, zone)
    columns: dict[str, NDArray[Any]] = {name: table[name].to_numpy(zero_copy_only=False) for name in _KNOWN}
    columns["moment_ms"] = table["moved_ms"].to_numpy()
    columns["duration_s"] = (table["arrived_ms"].to_numpy() - columns["moment_ms"]) / 1000.0
    if base is not None:
        columns |= _as_seen(columns, base)
    drivers = {van_name(van): driver_of(van) for van in {leg.van for leg in legs}}
    columns["opens_ms"] = np.array([opens or np.nan for opens in table["window_begins_ms"].to_pylist()], np.float64)
    columns["driver"] = np.array([drivers[name] for name in table["driver"].to_pylist()], dtype=object)
    columns["company"] = np.full(len(legs), company, dtype=object)
    columns["leg"] = np.array([f"leg_{number}" for number in range(len(legs))], dtype=object)
    return columns


def _as_seen(columns: dict[str, NDArray[Any]], base: BaseTimes) -> dict[str, NDArray[Any]]:
    """Return where ways seem to begin, and how long they are from there."""
    rng, count = np.random.default_rng(_SEED), len(columns["from_lat"])
    north, east = rng.normal(0.0, Phone().drift_m / METRES_PER_DEGREE, (2, count))
    seen = {
        "from_lat": columns["from_lat"] + north,
        "from_lon": columns["from_lon"] + east / np.cos(np.radians(columns["from_lat"])),
    }
    found = base.between(Ends.of(columns | seen, np.full(count, PROFILES.index("van"), np.uint8)))
    return seen | {"base_s": found.seconds, "base_m": found.metres, "base_of": found.source}
