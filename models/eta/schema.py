"""The columns of a leg and what a model may know of them: unit, meaning, and when each becomes known.

A leg goes from where its driver is to the next stop. Whoever hands in legs (training, back-test, live engine,
optimiser) gives these columns as arrays of one length; all but the required ones may be missing or NaN.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

__all__ = ["CATEGORIES", "LEG_COLUMNS", "OUTCOMES", "REQUIRED", "SCHEMA", "LegColumn", "Moment", "known_names"]

SCHEMA = "outrider-eta/1"
"""Name and version of what follows. A bundle of another version is refused: raise it whenever a meaning changes."""


class Moment(IntEnum):
    """When something becomes known, in the order of a delivery's life."""

    ORDER = 0
    """When the delivery is made."""
    ASSIGN = 1
    """When a driver and a route are given to it."""
    DEPART = 2
    """When the driver sets out for the stop."""
    EN_ROUTE = 3
    """While the driver is on the way."""
    ARRIVE = 4
    """When the driver is there: too late for any prediction."""


@dataclass(frozen=True, slots=True)
class LegColumn:
    """One column of a leg."""

    name: str
    unit: str
    known_at: Moment
    meaning: str
    is_required: bool = False
    is_history: bool = False
    """Made of legs that finished before `as_of_ms`."""


_COLUMNS = (
    LegColumn("moment_ms", "ms", Moment.ORDER, "epoch milliseconds for which the prediction is made", is_required=True),
    LegColumn("from_lat", "deg", Moment.ORDER, "where the driver is, WGS 84", is_required=True),
    LegColumn("from_lon", "deg", Moment.ORDER, "where the driver is, WGS 84", is_required=True),
    LegColumn("to_lat", "deg", Moment.ORDER, "the stop, WGS 84", is_required=True),
    LegColumn("to_lon", "deg", Moment.ORDER, "the stop, WGS 84", is_required=True),
    LegColumn("zone", "name", Moment.ORDER, "IANA time zone of the stop; the model's own where missing"),
    LegColumn("base_s", "s", Moment.ORDER, "travel time by the matrix provider; from the great circle where missing"),
    LegColumn("base_m", "m", Moment.ORDER, "way by the matrix provider; the great circle with a detour where missing"),
    LegColumn("base_of", "1", Moment.ORDER, "who says base_s: 0 the great circle, 1 the road network; not a feature"),
    LegColumn("traffic_ratio", "1", Moment.ORDER, "the provider's time in traffic now ÷ its time on free roads"),
    LegColumn("turns_per_km", "1/km", Moment.ORDER, "turns of the way, a measure of how complex it is"),
    LegColumn("elapsed_s", "s", Moment.EN_ROUTE, "since the driver set out for this stop; 0 at departure"),
    LegColumn("driven_ratio", "1", Moment.EN_ROUTE, "time taken so far ÷ base time of the way driven so far"),
    LegColumn("recent_mps", "m/s", Moment.EN_ROUTE, "great-circle speed over the last two minutes"),
    LegColumn("stop_index", "1", Moment.ASSIGN, "place of the stop in its route, from 0"),
    LegColumn("stops_left", "1", Moment.ASSIGN, "stops of the route from this one on"),
    LegColumn("service_ahead_s", "s", Moment.ASSIGN, "service times planned from this stop on"),
    LegColumn("weight_kg", "kg", Moment.ORDER, "weight on board for this stop"),
    LegColumn("priority", "1", Moment.ORDER, "0 is ordinary, higher is more urgent"),
    LegColumn("rain_mm_h", "mm/h", Moment.ORDER, "rain or melted snow at the moment"),
    LegColumn("temperature_c", "°C", Moment.ORDER, "of the air at the moment"),
    LegColumn("wind_mps", "m/s", Moment.ORDER, "wind at the moment"),
    LegColumn("opens_ms", "ms", Moment.ORDER, "before when the stop is not served; tells waiting from service times"),
    LegColumn("as_of_ms", "ms", Moment.ORDER, "no leg that finished later is in the history columns"),
    LegColumn("driver_recent", "log 1", Moment.ASSIGN, "driver's log pace over the last legs, shrunk", is_history=True),
    LegColumn("driver_long", "log 1", Moment.ASSIGN, "driver's log pace over all legs, shrunk", is_history=True),
    LegColumn("cell_pace", "log 1", Moment.ORDER, "log pace of legs into the stop's H3 cell, shrunk", is_history=True),
    LegColumn("driver_cell_pace", "log 1", Moment.ASSIGN, "the driver's log pace into that cell", is_history=True),
    LegColumn("pair_pace", "log 1", Moment.ORDER, "log pace between the two ends' H3 cells, shrunk", is_history=True),
    LegColumn("duration_s", "s", Moment.ARRIVE, "seconds it took from the moment to the stop: the target"),
    LegColumn("service_s", "s", Moment.ARRIVE, "seconds spent at the stop: target of the service time"),
    LegColumn("metered_m", "m", Moment.ARRIVE, "way that was driven"),
)

LEG_COLUMNS = MappingProxyType({column.name: column for column in _COLUMNS})
"""Every numeric or time column by name. Categories (`vehicle`, …) and a data set's own columns come on top."""

REQUIRED = tuple(column.name for column in _COLUMNS if column.is_required)
OUTCOMES = frozenset(column.name for column in _COLUMNS if column.known_at is Moment.ARRIVE)

CATEGORIES = MappingProxyType(
    {
        "vehicle": Moment.ASSIGN,
        "fleet": Moment.ORDER,
        "company": Moment.ORDER,
        "driver": Moment.ASSIGN,
        "from_area": Moment.ORDER,
        "to_area": Moment.ORDER,
    }
)
"""Columns of text that a model may take as categories, and when each is known."""


def known_names() -> Iterable[str]:
    """Return the names of all columns that have a meaning here."""
    return (*LEG_COLUMNS, *CATEGORIES)
