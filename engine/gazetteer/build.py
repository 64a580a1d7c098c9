"""An OpenStreetMap extract as one small file that addresses are looked up in.

`osmium` (extra `maps`) reads the extract. Ways of one name that lie together are one street; houses hang on their
street; the file is SQLite, so that a country needs no more memory than a town.
"""

import itertools
import math
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.gazetteer.words import shortened, words_of
from models.errors import BadSettings
from models.geo import METRES_PER_DEGREE
from models.replacing import replacing

__all__ = [
    "ATTRIBUTION",
    "SCHEMA_VERSION",
    "SHORTEST_WITH_TYPOS",
    "Gathered",
    "Gazetteered",
    "build_gazetteer",
    "write_gazetteer",
]

ATTRIBUTION = "© OpenStreetMap contributors"
"""Whoever shows what was found names them (ODbL 1.0)."""
SCHEMA_VERSION = 1
SHORTEST_WITH_TYPOS = 4
"""Length of a word, letters: a shorter one has to be right."""

_TOGETHER_M = 400.0  # ways of one name that are no further apart are one street
_AT_STREET_M = 600.0  # a house further from every street of its name has a street of its own
_TOWN_M, _QUARTER_M = 12_000.0, 2_500.0
_LONGEST_PIECE_M = 60.0
_TOWNS = frozenset({"city", "town"})
_QUARTERS = frozenset({"village", "suburb", "quarter", "neighbourhood", "hamlet", "borough"})
_POINTS_OF_INTEREST = ("amenity", "tourism", "railway", "aeroway", "office", "shop", "leisure", "historic")
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE things (id INTEGER PRIMARY KEY, kind TEXT, name TEXT, words TEXT, context TEXT, context_words TEXT,
    postcodes TEXT, lat REAL, lon REAL);
CREATE TABLE houses (thing INTEGER, number INTEGER, suffix TEXT, lat REAL, lon REAL,
    PRIMARY KEY (thing, number, suffix)) WITHOUT ROWID;
CREATE TABLE words (word TEXT PRIMARY KEY, things INTEGER) WITHOUT ROWID;
CREATE TABLE postings (word TEXT, thing INTEGER, PRIMARY KEY (word, thing)) WITHOUT ROWID;
CREATE TABLE typos (key TEXT, word TEXT, PRIMARY KEY (key, word)) WITHOUT ROWID;
CREATE TABLE towns (words TEXT, lat REAL, lon REAL);
CREATE INDEX towns_by_words ON towns (words);
CREATE TABLE postcodes (code TEXT PRIMARY KEY, lat REAL, lon REAL) WITHOUT ROWID;
"""

Point = tuple[float, float]
"""Latitude and longitude, degrees."""


@dataclass(frozen=True, slots=True)
class House:
    """A house number of a street."""

    street: str
    numbers: tuple[tuple[int, str], ...]
    at: Point
    city: str | None = None
    postcode: str | None = None


@dataclass(slots=True)
class Gathered:
    """What an extract says that is of use here."""

    ways: dict[str, list[tuple[list[Point], str | None]]] = field(default_factory=lambda: defaultdict(list))
    """Street name → its ways' points and postal code."""
    houses: list[House] = field(default_factory=list)
    places: list[tuple[str, str, Point]] = field(default_factory=list)
    """Class (`city`, `suburb`, `amenity`, …), name, where."""
    other_names: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Name → further names of the same thing."""


@dataclass(slots=True)
class _Thing:
    kind: str
    name: str
    points: list[Point]
    context: set[str] = field(default_factory=set)
    postcodes: set[str] = field(default_factory=set)
    houses: dict[tuple[int, str], Point] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gazetteered:
    """What was written."""

    path: Path
    counts: Mapping[str, int]
    """How many streets, houses, places and postal codes it knows."""


def build_gazetteer(extracts: Sequence[Path], target: Path) -> Gazetteered:
    """Write the gazetteer of some extracts, which may overlap.

    Raises
    ------
    BadSettings
        If an extract is missing or unreadable, holds no name, or `osmium` is not installed.
    """
    gathered = Gathered()
    for extract in extracts:
        if not extract.is_file():
            raise BadSettings(f"there is no extract {extract}; give an OpenStreetMap file (.osm.pbf)")
        _gather(extract, gathered)
    return write_gazetteer(gathered, target)


def write_gazetteer(gathered: Gathered, target: Path) -> Gazetteered:
    """Write what was gathered as a gazetteer; the file is replaced in one step when all is well.

    Raises
    ------
    BadSettings
        If nothing was gathered.
    """
    things = _streets(gathered) + _places(gathered)
    if not things:
        raise BadSettings("the extracts name no street and no place")
    _add_context(things, gathered)
    with replacing(target) as partial, closing(sqlite3.connect(partial)) as file:
        file.executescript(_SCHEMA)
        _write(file, things, gathered)
        file.commit()
        file.execute("VACUUM")
    kinds = Counter(thing.kind for thing in things)
    return Gazetteered(
        target,
        {
            "streets": kinds["street"],
            "houses": sum(len(thing.houses) for thing in things),
            "places": kinds["place"],
            "postal codes": len({code for thing in things for code in thing.postcodes}),
        },
    )


def distance_m(one: Point, other: Point) -> float:
    """Return the distance of two points that are near each other, metres: a plane will do."""
    north = (one[0] - other[0]) * METRES_PER_DEGREE
    east = (one[1] - other[1]) * METRES_PER_DEGREE * math.cos(math.radians((one[0] + other[0]) / 2))
    return math.hypot(north, east)


def _gather(extract: Path, gathered: Gathered) -> None:
    try:
        import osmium
    except ImportError as cause:
        raise BadSettings("reading an extract needs the package osmium: pip install 'outrider[maps]'") from cause
    try:
        thing: Any  # osmium's union holds changesets, which no extract has
        for thing in osmium.FileProcessor(str(extract)).with_locations():
            if len(thing.tags) and (thing.is_node() or thing.is_way()):
                tags = {tag.k: tag.v for tag in thing.tags}
                if points := list(_points(thing)):
                    _take(tags, points, gathered, is_way=thing.is_way())
    except (RuntimeError, OSError) as cause:
        raise BadSettings(f"{extract} can't be read as an OpenStreetMap extract: {cause}") from cause


def _points(thing: Any) -> Iterator[Point]:
    if thing.is_node():
        yield thing.location.lat, thing.location.lon
        return
    for node in thing.nodes:
        if node.location.valid():  # ways run out of the extract
            yield node.location.lat, node.location.lon


def _take(tags: Mapping[str, str], points: list[Point], gathered: Gathered, *, is_way: bool) -> None:
    name = tags.get("name")
    if name is not None and is_way and "highway" in tags:
        gathered.ways[name].append((points, tags.get("postal_code") or tags.get("addr:postcode")))
    elif name is not None and ("place" in tags or any(key in tags for key in _POINTS_OF_INTEREST)):
        gathered.places.append((tags.get("place", "poi"), name, _middle(points)))
    if name is not None:
        further = [tags[key] for key in ("alt_name", "old_name", "official_name", "short_name") if key in tags]
        gathered.other_names[name].update(one.strip() for text in further for one in text.split(";"))
    street = tags.get("addr:street") or tags.get("addr:place")
    numbers = _numbers(tags.get("addr:housenumber", ""))
    if street is not None and numbers:
        city, postcode = tags.get("addr:city"), tags.get("addr:postcode")
        gathered.houses.append(House(street, numbers, _middle(points), city, postcode))


def _numbers(text: str) -> tuple[tuple[int, str], ...]:
    found = re.findall(r"([0-9]{1,5})\s?([a-zA-Z]?)\b", text)
    return tuple((int(number), suffix.lower()) for number, suffix in found)


def _middle(points: Sequence[Point]) -> Point:
    return sum(lat for lat, _ in points) / len(points), sum(lon for _, lon in points) / len(points)


def _streets(gathered: Gathered) -> list[_Thing]:
    by_name: dict[tuple[str, ...], list[_Thing]] = defaultdict(list)
    spelled: dict[tuple[str, ...], list[tuple[str, list[Point], str | None]]] = defaultdict(list)
    for name, ways in gathered.ways.items():
        spelled[words_of(name)] += [(name, _dense(points), postcode) for points, postcode in ways]
    for words, named in spelled.items():
        if words:
            by_name[words] = [_street(cluster) for cluster in _clusters(named)]
    for house in gathered.houses:
        street = _street_of(house, by_name[words_of(house.street)])
        street.houses |= dict.fromkeys(house.numbers, house.at)
        street.context |= {house.city} if house.city else set()
        street.postcodes |= {house.postcode} if house.postcode else set()
    return [street for streets in by_name.values() for street in streets]


def _dense(points: Sequence[Point]) -> list[Point]:
    """Return points along a line that are close enough for a house to be near one."""
    dense = [points[0]]
    for start, end in itertools.pairwise(points):
        pieces = max(1, math.ceil(distance_m(start, end) / _LONGEST_PIECE_M))
        dense += [
            (start[0] + (end[0] - start[0]) * n / pieces, start[1] + (end[1] - start[1]) * n / pieces)
            for n in range(1, pieces + 1)
        ]
    return dense


def _clusters(
    ways: Sequence[tuple[str, list[Point], str | None]],
) -> Iterator[list[tuple[str, list[Point], str | None]]]:
    """Yield groups of ways that hang together within some hundred metres."""
    waiting = list(ways)
    while waiting:
        cluster, edge = [waiting[0]], [waiting.pop(0)]
        while edge:
            near = edge.pop()
            close = [way for way in waiting if _gap_m(near[1], way[1]) <= _TOGETHER_M]
            waiting = [way for way in waiting if way not in close]
            cluster += close
            edge += close
        yield cluster


def _gap_m(one: Sequence[Point], other: Sequence[Point]) -> float:
    return min(distance_m(a, b) for a in (one[0], one[len(one) // 2], one[-1]) for b in other)


def _street(cluster: Sequence[tuple[str, list[Point], str | None]]) -> _Thing:
    name = Counter(name for name, _, _ in cluster).most_common(1)[0][0]
    points = [point for _, way, _ in cluster for point in way]
    return _Thing("street", name, points, postcodes={code for _, _, code in cluster if code})


def _street_of(house: House, streets: list[_Thing]) -> _Thing:
    near = [(min(distance_m(house.at, point) for point in street.points), street) for street in streets]
    gap, street = min(near, key=lambda pair: pair[0], default=(math.inf, None))
    if street is None or gap > _AT_STREET_M:
        street = _Thing("street", house.street, [house.at])
        streets.append(street)
    return street


def _places(gathered: Gathered) -> list[_Thing]:
    return [_Thing("place", name, [at]) for _, name, at in gathered.places]


def _add_context(things: Iterable[_Thing], gathered: Gathered) -> None:
    """Say of each thing in which town and quarter it lies, as far as the extract knows."""
    wanted = ((_TOWNS, _TOWN_M), (_QUARTERS, _QUARTER_M))
    known = [([(name, at) for kind, name, at in gathered.places if kind in kinds], most) for kinds, most in wanted]
    for thing in things:
        at = _middle(thing.points)
        for places, most in known:
            gap, name = min(((distance_m(at, where), name) for name, where in places), default=(math.inf, ""))
            if gap <= most and name != thing.name:
                thing.context.add(name)


def _write(file: sqlite3.Connection, things: Sequence[_Thing], gathered: Gathered) -> None:
    postings: dict[str, set[int]] = defaultdict(set)
    for number, thing in enumerate(things, 1):
        middle = _middle(thing.points)
        lat, lon = min(thing.points, key=lambda point: distance_m(point, middle))
        context = "; ".join(sorted(thing.context))
        named, within = " ".join(words_of(thing.name)), " ".join(words_of(context))
        row = (number, thing.kind, thing.name, named, context, within, " ".join(sorted(thing.postcodes)))
        file.execute("INSERT INTO things VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, round(lat, 6), round(lon, 6)))
        houses = [(number, *key, round(at[0], 6), round(at[1], 6)) for key, at in thing.houses.items()]
        file.executemany("INSERT INTO houses VALUES (?, ?, ?, ?, ?)", houses)
        for name in (thing.name, *gathered.other_names.get(thing.name, ())):
            for word in words_of(name):
                postings[word].add(number)
    file.executemany("INSERT INTO words VALUES (?, ?)", [(word, len(found)) for word, found in postings.items()])
    file.executemany("INSERT INTO postings VALUES (?, ?)", [(w, n) for w, found in postings.items() for n in found])
    typos = [(key, word) for word in postings if len(word) >= SHORTEST_WITH_TYPOS for key in shortened(word)]
    file.executemany("INSERT INTO typos VALUES (?, ?)", typos)
    file.executemany("INSERT INTO postcodes VALUES (?, ?, ?)", _postcodes(things))
    towns = [(name, at) for kind, name, at in gathered.places if kind in _TOWNS | _QUARTERS]
    file.executemany("INSERT INTO towns VALUES (?, ?, ?)", [(" ".join(words_of(name)), *at) for name, at in towns])
    meta = {"schema": str(SCHEMA_VERSION), "things": str(len(things)), "attribution": ATTRIBUTION}
    file.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())


def _postcodes(things: Iterable[_Thing]) -> list[tuple[str, float, float]]:
    points: dict[str, list[Point]] = defaultdict(list)
    for thing in things:
        for code in thing.postcodes:
            points[code].append(_middle(thing.points))
    middles = {code: _middle(found) for code, found in points.items()}
    return [(code, round(lat, 6), round(lon, 6)) for code, (lat, lon) in middles.items()]
