"""What of OpenStreetMap is drawn, and the tiles that come of it."""

import gzip
import json
from pathlib import Path
from typing import Any

import osmium
import pytest
from pmtiles.reader import MmapSource, Reader

from api.dashboard import MAPS
from engine.roads.basemap import ATTRIBUTION, MAX_ZOOM, build_base_map, draw
from models.errors import BadSettings

HERE = (41.15, -8.61)
LARGEST_SHIPPED_MB = 6.0


@pytest.mark.parametrize(
    ("kind", "tags", "layer"),
    [
        ("line", {"highway": "residential"}, "roads"),
        ("line", {"railway": "tram"}, "rails"),
        ("line", {"waterway": "river", "name": "Rio Douro"}, "waterways"),
        ("area", {"natural": "water"}, "water"),
        ("area", {"leisure": "park"}, "green"),
        ("area", {"building": "yes"}, "buildings"),
        ("point", {"place": "suburb", "name": "Bonfim"}, "places"),
    ],
)
def test_layer_follows_from_tags(kind: str, tags: dict[str, str], layer: str) -> None:
    feature = draw(kind, tags)
    assert feature is not None
    assert feature.layer == layer


@pytest.mark.parametrize(
    ("kind", "tags"),
    [
        ("line", {"highway": "proposed"}),
        ("line", {"highway": "pedestrian", "area": "yes"}),
        ("line", {"railway": "subway", "tunnel": "yes"}),
        ("area", {"building": "no"}),
        ("point", {"place": "suburb"}),
        ("point", {"highway": "crossing"}),
    ],
)
def test_what_would_only_clutter_is_left_out(kind: str, tags: dict[str, str]) -> None:
    assert draw(kind, tags) is None


def test_greater_roads_are_drawn_from_farther_away() -> None:
    zooms = [draw("line", {"highway": name}) for name in ("motorway", "secondary", "residential", "service")]
    assert [zoom.min_zoom for zoom in zooms if zoom] == sorted(zoom.min_zoom for zoom in zooms if zoom)


def test_ramp_carries_no_name() -> None:
    ramp = draw("line", {"highway": "motorway_link", "ref": "A 28"})
    assert ramp is not None
    assert ramp.properties == {"class": "motorway", "link": True}


def test_extract_becomes_one_file_with_attribution(tmp_path: Path) -> None:
    built = build_base_map([an_extract(tmp_path / "town.osm.pbf")], [], tmp_path / "out" / "town.pmtiles")

    assert built.features == {"roads": 1, "water": 1}
    with built.path.open("rb") as file:
        reader = Reader(MmapSource(file))
        assert reader.header()["max_zoom"] == MAX_ZOOM
        assert reader.metadata()["attribution"] == ATTRIBUTION
        assert {layer["id"] for layer in reader.metadata()["vector_layers"]} == {"roads", "water"}


def test_ground_extract_gives_no_roads(tmp_path: Path) -> None:
    extract = an_extract(tmp_path / "town.osm.pbf")
    built = build_base_map([extract], [an_extract(tmp_path / "ground.osm.pbf")], tmp_path / "town.pmtiles")
    assert built.features == {"roads": 1, "water": 2}


def test_missing_extract_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="there is no extract"):
        build_base_map([tmp_path / "nowhere.osm.pbf"], [], tmp_path / "map.pmtiles")


def test_file_that_is_no_extract_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    extract = tmp_path / "letter.osm.pbf"
    extract.write_bytes(gzip.compress(b"dear reader"))
    with pytest.raises(BadSettings, match="can't be read"):
        build_base_map([extract], [], tmp_path / "map.pmtiles")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.osm.pbf"]


def test_shipped_map_covers_the_demo_and_is_small() -> None:
    porto = MAPS / "porto.pmtiles"
    with porto.open("rb") as file:
        reader = Reader(MmapSource(file))
        header, metadata = reader.header(), reader.metadata()
    latitude, longitude = (round(degrees * 10_000_000) for degrees in HERE)
    assert header["min_lat_e7"] < latitude < header["max_lat_e7"]
    assert header["min_lon_e7"] < longitude < header["max_lon_e7"]
    assert "OpenStreetMap contributors" in json.dumps(metadata, ensure_ascii=False)
    assert porto.stat().st_size < LARGEST_SHIPPED_MB * 1e6


def an_extract(path: Path) -> Path:
    """Write a street and a pond."""
    latitude, longitude = HERE
    corners = [(0.0, 0.0), (0.0, 0.002), (0.002, 0.002), (0.002, 0.0)]
    with osmium.SimpleWriter(str(path)) as writer:
        for number, (north, east) in enumerate(corners, 1):
            place = (longitude + east, latitude + north)
            writer.add_node(osmium.osm.mutable.Node(id=number, location=place, tags={}))
        ways: list[tuple[list[int], dict[str, Any]]] = [
            ([1, 3], {"highway": "residential", "name": "Rua das Flores"}),
            ([1, 2, 3, 4, 1], {"natural": "water"}),
        ]
        for number, (nodes, tags) in enumerate(ways, 1):
            writer.add_way(osmium.osm.mutable.Way(id=number, nodes=nodes, tags=tags))
    return path
