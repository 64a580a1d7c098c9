"""What an OpenStreetMap extract says of roads, read with `osmium`: ways, nodes that matter, turn restrictions."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.roads.profiles import class_of
from models.errors import BadSettings

__all__ = ["Extract", "Restriction", "read_extract"]

Tags = Mapping[str, str]

_KEYS = ("highway", "route", "barrier", "restriction", "type", "access", "motor_vehicle", "bicycle")


@dataclass(frozen=True, slots=True)
class Restriction:
    """A turn that is banned, or the only one allowed, at a node or from one way over others to a third."""

    from_way: int
    via_node: int | None
    """None where it is over ways."""
    via_ways: frozenset[int]
    to_way: int
    is_only: bool
    is_u_turn: bool
    exempt: frozenset[str]
    """Access keys of vehicles that need not care."""
    special: str | None
    """The one access key that it holds for; None holds for all."""


@dataclass(frozen=True, slots=True)
class Extract:
    """Ways for vehicles, flat: way w has the points `starts[w]` to `starts[w + 1]`."""

    way_ids: NDArray[np.int64]
    way_tags: list[Tags]
    starts: NDArray[np.int64]
    refs: NDArray[np.int64]
    """Node ids of the points."""
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    node_tags: Mapping[int, Tags]
    """Of nodes that carry any that matter."""
    restrictions: list[Restriction]
    date: str | None
    """State of the map as the file says, `YYYY-MM-DD`."""


@dataclass(slots=True)
class _Gathered:
    way_ids: Any = field(default_factory=lambda: array("q"))
    way_tags: list[Tags] = field(default_factory=list)
    starts: Any = field(default_factory=lambda: array("q", [0]))
    refs: Any = field(default_factory=lambda: array("q"))
    lat: Any = field(default_factory=lambda: array("d"))
    lon: Any = field(default_factory=lambda: array("d"))
    node_tags: dict[int, Tags] = field(default_factory=dict)
    restrictions: list[Restriction] = field(default_factory=list)


def read_extract(path: Path) -> Extract:
    """Read the roads of an extract (`.osm.pbf`, `.osm`).

    Raises
    ------
    BadSettings
        If it is missing, unreadable or without roads, or the package `osmium` is not there.
    """
    if not path.is_file():
        raise BadSettings(f"there is no extract {path}; give an OpenStreetMap file (.osm.pbf)")
    try:
        import osmium
    except ImportError as cause:
        raise BadSettings("reading an extract needs the package osmium: pip install 'outrider[roads]'") from cause
    found = _Gathered()
    try:
        reader = osmium.FileProcessor(str(path)).with_locations().with_filter(osmium.filter.KeyFilter(*_KEYS))
        date = reader.header.get("osmosis_replication_timestamp")[:10] or None
        thing: Any  # osmium's union holds changesets, which no extract has
        for thing in reader:
            if thing.is_way():
                _take_way(found, thing)
            elif thing.is_node():
                found.node_tags[thing.id] = {tag.k: tag.v for tag in thing.tags}
            elif thing.is_relation():
                _take_relation(found, thing)
    except (RuntimeError, OSError) as cause:
        raise BadSettings(f"{path} can't be read as an OpenStreetMap extract: {cause}") from cause
    if not found.way_tags:
        raise BadSettings(f"there are no roads in {path}")
    return Extract(
        np.array(found.way_ids),
        found.way_tags,
        np.array(found.starts),
        np.array(found.refs),
        np.array(found.lat),
        np.array(found.lon),
        found.node_tags,
        found.restrictions,
        date,
    )


def _take_way(found: _Gathered, way: Any) -> None:
    tags = {tag.k: tag.v for tag in way.tags}
    if class_of(tags) is None:
        return
    before = len(found.refs)
    for node in way.nodes:
        # a way that runs out of the extract has points that are not in it
        if node.location.valid() and (len(found.refs) == before or found.refs[-1] != node.ref):
            found.refs.append(node.ref)
            found.lat.append(node.lat)
            found.lon.append(node.lon)
    if len(found.refs) - before < 2:
        del found.refs[before:], found.lat[before:], found.lon[before:]
        return
    found.way_ids.append(way.id)
    found.way_tags.append(tags)
    found.starts.append(len(found.refs))


def _take_relation(found: _Gathered, relation: Any) -> None:
    tags = {tag.k: tag.v for tag in relation.tags}
    kind, _, special = tags.get("type", "").partition(":")
    if kind != "restriction":
        return
    key = next((key for key in tags if key == "restriction" or key.startswith("restriction:")), "")
    special = special or key.partition(":")[2]
    rule = tags.get(key, "")
    if special == "conditional" or not rule.startswith(("no_", "only_")):
        return
    members: dict[str, list[tuple[str, int]]] = {}
    for member in relation.members:
        members.setdefault(member.role, []).append((member.type, member.ref))
    vias = members.get("via", [])
    via_ways = frozenset(ref for of, ref in vias if of == "w")
    if len(vias) != max(1, len(via_ways)) or any(of == "r" for of, _ in vias):
        return
    via_node = None if via_ways else vias[0][1]
    exempt = frozenset(part.strip() for part in tags.get("except", "").split(";") if part.strip())
    found.restrictions += [
        Restriction(
            from_way, via_node, via_ways, to_way, rule.startswith("only_"), rule == "no_u_turn", exempt, special or None
        )
        for kind_from, from_way in members.get("from", [])
        for kind_to, to_way in members.get("to", [])
        if kind_from == kind_to == "w"
    ]
