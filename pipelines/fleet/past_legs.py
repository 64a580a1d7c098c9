"""Simulated legs as a company's history: through the data set that `outrider legs export` fills."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.eta.bases import PROFILES, BaseTimes, Ends
from pipelines.datasets import LegDataset
from pipelines.fleet.files import legs_table, van_name
from pipelines.fleet.seen_legs import SeenLeg
from pipelines.trips import Trips

__all__ = ["past_columns", "past_legs"]

_KNOWN = ("to_lat", "to_lon", "zone", "base_s", "base_m", "base_of", "stops_left", "weight_kg", "priority")
"""Columns of simulated legs that a shard fills too. Times at the door are read from departures."""


def past_legs(
    legs: Sequence[SeenLeg],
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
    legs: Sequence[SeenLeg],
    zone: str,
    company: str,
    driver_of: Callable[[int], str] = van_name,
    base: BaseTimes | None = None,
) -> dict[str, NDArray[Any]]:
    """Return legs as a data set keeps them (`pipelines.datasets`).

    Parameters
    ----------
    zone
        IANA time zone of the city.
    driver_of
        Returns what the driver of a van is called.
    base
        Who says base times, as in a shard. Without it they are those of the ways that the vans took.
    """
    legs = sorted(legs, key=lambda seen: (seen.leg.departed_ms, seen.leg.van))  # as the table puts them
    table = legs_table([seen.leg for seen in legs], zone)
    columns: dict[str, NDArray[Any]] = {name: table[name].to_numpy(zero_copy_only=False) for name in _KNOWN}
    columns["moment_ms"] = np.array([seen.began_ms for seen in legs], np.int64)
    columns["duration_s"] = (np.array([seen.arrived_ms for seen in legs]) - columns["moment_ms"]) / 1000.0
    columns["from_lat"], columns["from_lon"] = np.array([seen.stood for seen in legs]).reshape(-1, 2).T
    if base is not None:
        columns |= _bases(columns, base)
    columns["opens_ms"] = np.array([opens or np.nan for opens in table["window_begins_ms"].to_pylist()], np.float64)
    columns["driver"] = np.array([driver_of(seen.leg.van) for seen in legs], dtype=object)
    columns["company"] = np.full(len(legs), company, dtype=object)
    columns["leg"] = np.array([f"leg_{number}" for number in range(len(legs))], dtype=object)
    return columns


def _bases(columns: dict[str, NDArray[Any]], base: BaseTimes) -> dict[str, NDArray[Any]]:
    """Return how long the ways are from where the vans were when they set off."""
    found = base.between(Ends.of(columns, np.full(len(columns["to_lat"]), PROFILES.index("van"), np.uint8)))
    return {"base_s": found.seconds, "base_m": found.metres, "base_of": found.source}
