"""Finished legs as a data set of Parquet files, a file a company and day, to which new ones are added.

```
legs/
  company=<id>/day=<yyyy-mm-dd>/legs.parquet     by the day on which a leg ended (UTC), each leg once by its `leg` id
  company=<id>/exported.json                     how far it has come where it is filled from MongoDB
```
A leg is written once it has ended, with what was known at its moment. The newest hours hold short legs only, because
the long ones are still on their way: `read` leaves out what began within the P99 of durations before the newest end.
"""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
from numpy.typing import NDArray

from models.errors import InvalidInput
from models.eta.schema import LEG_COLUMNS
from models.geo import distances_m
from models.replacing import replacing
from pipelines.trip_schemas import TripSchema
from pipelines.trips import Trips, passes_over_a_stop, read_trips, trips_of_columns

__all__ = ["LegDataset", "company_folder", "read_history"]

_DAY_MS = 86_400_000
_NEEDED = ("leg", "company", "moment_ms", "from_lat", "from_lon", "to_lat", "to_lon", "duration_s")
_CENSORED = 0.99
_SAME_PLACE_M = 150.0
_LONGEST_SERVICE_S = 3_600.0


def company_folder(folder: Path, company: str) -> Path:
    """Return where a data set keeps a company's legs; it is made if it is not there."""
    place = folder / f"company={company}"
    place.mkdir(parents=True, exist_ok=True)
    return place


def read_history(source: Path, schema: TripSchema, company: str = "") -> Trips:
    """Return finished trips of a data set of legs, of one company or all, or of a file by its schema.

    Raises
    ------
    InvalidInput
        If it can't be read, or holds no trip.
    """
    if any(source.glob("company=*")):
        return LegDataset(source).read(company or None)
    return read_trips(source, schema)


class LegDataset:
    """A folder of finished legs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, legs: Mapping[str, NDArray[Any]]) -> int:
        """Store finished legs and return how many were new; a leg that is there already is replaced.

        Parameters
        ----------
        legs
            Columns of `models.eta.schema`, with `leg` (its id) and `company`, N values each.

        Raises
        ------
        InvalidInput
            If a needed column is missing, a leg has not ended, or history was gathered after a leg's moment.
        """
        if missing := [name for name in _NEEDED if name not in legs]:
            raise InvalidInput(f"legs lack {', '.join(missing)}", [(name, "is missing") for name in missing])
        _check_known(legs)
        ends_ms = legs["moment_ms"] + (legs["duration_s"] * 1000).astype(np.int64)
        days, companies = ends_ms // _DAY_MS, legs["company"].astype(str)
        added = 0
        for company in np.unique(companies):
            for day in np.unique(days[companies == company]):
                rows = (companies == company) & (days == day)
                table = pa.table({name: pa.array(values[rows]) for name, values in legs.items() if name != "company"})
                added += self._merge(str(company), int(day), table)
        return added

    def read(self, company: str | None = None, since_ms: int = 0) -> Trips:
        """Return the legs of one company, or of all, in the order of time.

        Raises
        ------
        InvalidInput
            If there are none.
        """
        files = sorted(self.folder.glob(f"company={company or '*'}/day=*/legs.parquet"))
        if not files:
            raise InvalidInput(f"{self.folder} holds no legs{f' of {company}' if company else ''}")
        partitions = pa.dataset.partitioning(pa.schema([("company", pa.string()), ("day", pa.string())]), flavor="hive")
        source = pa.dataset.dataset(files, partitioning=partitions, partition_base_dir=str(self.folder))
        table = source.to_table(filter=pa.dataset.field("moment_ms") >= since_ms).drop_columns(["day", "leg"])
        columns = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
        if not len(columns["moment_ms"]):
            raise InvalidInput(f"{self.folder} holds no legs since then")
        trips = trips_of_columns(_with_service(columns), None, str(self.folder))
        return trips.take(~_censored(trips))

    def forget(self, company: str, driver: str, until: datetime.datetime | None = None) -> int:
        """Remove the legs of a driver, and return how many there were.

        Parameters
        ----------
        driver
            Alias under which the legs are kept (`models.eta.history.driver_alias`).
        until
            What was begun later stays; all goes where it is left out.
        """
        until_ms = np.inf if until is None else until.timestamp() * 1000
        gone = 0
        for path in sorted(self.folder.glob(f"company={company}/day=*/legs.parquet")):
            stored = pa.parquet.read_table(path)
            if "driver" not in stored.column_names:
                continue
            whose = stored["driver"].to_numpy(zero_copy_only=False) == driver
            kept = ~(whose & (stored["moment_ms"].to_numpy() <= until_ms))
            if kept.all():
                continue
            gone += int((~kept).sum())
            if not kept.any():
                path.unlink()
                continue
            with replacing(path) as partial:
                pa.parquet.write_table(stored.filter(pa.array(kept)), partial, compression="zstd")
        return gone

    def companies(self) -> dict[str, int]:
        """Return how many legs each company has."""
        counts: dict[str, int] = {}
        for file in sorted(self.folder.glob("company=*/day=*/legs.parquet")):
            company = file.parent.parent.name.removeprefix("company=")
            counts[company] = counts.get(company, 0) + pa.parquet.read_metadata(file).num_rows
        return counts

    def newest_ms(self, company: str) -> int:
        """Return when the newest leg of a company ended, epoch milliseconds; 0 without any."""
        files = sorted(self.folder.glob(f"company={company}/day=*/legs.parquet"))
        if not files:
            return 0
        table = pa.parquet.read_table(files[-1], columns=["moment_ms", "duration_s"])
        return int(np.max(table["moment_ms"].to_numpy() + (table["duration_s"].to_numpy() * 1000).astype(np.int64)))

    def _merge(self, company: str, day: int, table: pa.Table) -> int:
        date = datetime.date(1970, 1, 1) + datetime.timedelta(days=day)
        place = company_folder(self.folder, company) / f"day={date.isoformat()}"
        place.mkdir(parents=True, exist_ok=True)
        path = place / "legs.parquet"
        before = 0
        if path.exists():
            stored = pa.parquet.read_table(path)
            before = len(stored)
            kept = np.isin(
                stored["leg"].to_numpy(zero_copy_only=False), table["leg"].to_numpy(zero_copy_only=False), invert=True
            )
            table = pa.concat_tables([stored.filter(pa.array(kept)), table], promote_options="default")
        with replacing(path) as partial:
            pa.parquet.write_table(table.sort_by("moment_ms"), partial, compression="zstd")
        return len(table) - before


def _with_service(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return legs with `service_s` where it is not given: until the driver sets out again from that stop.

    Waiting for the stop's time window is no service: where the driver came before it opens, service begins then.
    """
    found = dict(columns)
    if "driver" not in columns or not len(columns["moment_ms"]):
        return found
    given = np.asarray(columns.get("service_s", np.full(len(columns["moment_ms"]), np.nan)), np.float64)
    names = np.array([str(name) for name in columns["driver"]])
    order = np.lexsort((columns["moment_ms"], names))
    ends_ms = columns["moment_ms"] + columns["duration_s"] * 1000
    begins_ms = np.fmax(ends_ms, columns.get("opens_ms", ends_ms))
    ahead, behind = order[1:], order[:-1]
    stood_s = (columns["moment_ms"][ahead] - begins_ms[behind]) / 1000
    moved_m = distances_m(
        columns["to_lat"][behind], columns["to_lon"][behind], columns["from_lat"][ahead], columns["from_lon"][ahead]
    )
    is_known = (names[ahead] == names[behind]) & (moved_m < _SAME_PLACE_M)
    is_known &= (stood_s > 0) & (stood_s <= _LONGEST_SERVICE_S) & np.isnan(given[behind])
    is_known &= ~passes_over_a_stop(columns, behind, ahead)
    given = given.copy()
    given[behind[is_known]] = stood_s[is_known]
    return found | {"service_s": given}


def _check_known(legs: Mapping[str, NDArray[Any]]) -> None:
    if not np.all(legs["duration_s"] > 0):
        raise InvalidInput("a leg without a duration has not ended", [("duration_s", "has to be above zero")])
    history = [name for name in legs if name in LEG_COLUMNS and LEG_COLUMNS[name].is_history]
    if history and ("as_of_ms" not in legs or np.any(legs["as_of_ms"] > legs["moment_ms"])):
        raise InvalidInput(
            "history was gathered after a leg's moment", [("as_of_ms", "has to be at or before moment_ms")]
        )


def _censored(trips: Trips) -> NDArray[np.bool_]:
    """Return the legs of a time whose long legs are not known yet."""
    duration_ms = trips.legs["duration_s"] * 1000
    newest_ms = np.max(trips.legs["moment_ms"] + duration_ms)
    return np.asarray(trips.legs["moment_ms"] > newest_ms - np.quantile(duration_ms, _CENSORED))
