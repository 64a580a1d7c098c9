"""How the columns of somebody's file of trips map to those of a leg: built-in schemas, or a JSON file.

A schema names the column of each thing that it knows, the time zone of times that carry none, and what the data set
is: its calendar of holidays and how exact its places are.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from models.errors import InvalidInput
from models.eta.clock import is_zone
from models.eta.schema import CATEGORIES, LEG_COLUMNS, REQUIRED, Moment

__all__ = ["TripSchema", "built_in_schemas", "load_schema"]

_NEEDED = (*REQUIRED, "duration_s")


@dataclass(frozen=True, slots=True)
class TripSchema:
    """The shape of a file of trips."""

    name: str
    columns: Mapping[str, str]
    """Leg column (`models.eta.schema`) → column of the file."""
    kind: Literal["trips", "drives"] = "trips"
    """`trips`: a row a trip. `drives`: a row a fix, with `trip`, `time_ms`, `lat`, `lon` (`pipelines.drives`)."""
    zone: str = ""
    """IANA time zone of the stops, and of times that carry no offset; without it such times are refused."""
    country: str = ""
    """ISO 3166 code of the calendar of holidays."""
    subdivision: str = ""
    """Part of the country."""
    categories: Mapping[str, str] = field(default_factory=dict)
    """Category of a leg → column of the file."""
    numbers: Mapping[str, str] = field(default_factory=dict)
    """The data set's own numeric columns, by known name → moment at which each is known (`order` … `en_route`)."""
    split: str = ""
    """Column that says `train` or `test`."""
    grid_deg: float | None = None
    """Turn of the street grid, degrees clockwise from north; found in the data where it is not given."""
    floor_m: float = 50.0
    """Shorter great circles are taken for this, metres: how exact the places are."""
    shortest_s: float = 60.0
    """Shorter trips are not learned from (they are still scored): a taxi's are mistakes, a van's lead next door."""
    longest_s: float = 10_800.0
    """Longer trips are not learned from either."""
    takes_all: bool = False
    """Whether columns of the file that are named as those of a leg are read without being listed."""
    history: bool = False
    """Whether what finished legs of driver, cell and pair tell goes into the features (`models.eta.history`)."""
    attribution: str = ""
    """Whom the data are from, and their licence."""

    def __post_init__(self) -> None:
        if self.kind not in ("trips", "drives"):
            raise InvalidInput(f"schema {self.name}: kind {self.kind!r} is neither trips nor drives")
        faults = [(f"columns.{name}", "is missing") for name in _NEEDED if name not in self.columns]
        unknown = [name for name in self.columns if name not in LEG_COLUMNS]
        faults += [(f"columns.{name}", f"is no leg column; known are {', '.join(LEG_COLUMNS)}") for name in unknown]
        faults += [
            (f"categories.{name}", f"known are {', '.join(CATEGORIES)}")
            for name in self.categories
            if name not in CATEGORIES
        ]
        if self.zone and not is_zone(self.zone):
            faults.append(("zone", f"{self.zone!r} is not the IANA name of a time zone"))
        moments = {moment.name.lower(): moment for moment in Moment}
        for name, known_at in self.numbers.items():
            if known_at not in moments:
                faults.append((f"numbers.{name}", f"has to be one of {', '.join(moments)}"))
            elif moments[known_at] is Moment.ARRIVE:
                faults.append((f"numbers.{name}", "is known on arrival only: no model may read it"))
        if faults:
            raise InvalidInput(f"schema {self.name}: {faults[0][0]} {faults[0][1]}", faults)


def built_in_schemas() -> list[str]:
    """Return the names of the schemas that come with Outrider."""
    return sorted(path.name.removesuffix(".json") for path in _FOLDER.iterdir() if path.name.endswith(".json"))


def load_schema(name: str) -> TripSchema:
    """Return a built-in schema by name, or one from a JSON file.

    Raises
    ------
    InvalidInput
        If there is none of that name, or the file is no schema.
    """
    source = _FOLDER / f"{name}.json"
    path = Path(name)
    if source.is_file():
        text = source.read_text()
    elif path.is_file():
        text = path.read_text()
    else:
        choices = ", ".join(built_in_schemas())
        raise InvalidInput(f"there is no schema {name}: built in are {choices}, or give a JSON file")
    try:
        plain: Any = json.loads(text)
    except ValueError as fault:
        raise InvalidInput(f"{name} is no JSON: {fault}") from fault
    return _from_json(plain, path.stem)


def _from_json(plain: Any, name: str) -> TripSchema:
    if not isinstance(plain, dict) or not isinstance(plain.get("columns"), dict):
        raise InvalidInput(f"schema {name} has to be an object with `columns`")
    known = {each.name for each in fields(TripSchema)}
    if strange := sorted(set(plain) - known):
        raise InvalidInput(f"schema {name} has {strange[0]!r}; known are {', '.join(sorted(known))}")
    return TripSchema(**{"name": name, **plain})


_FOLDER = files("pipelines") / "schemas"
