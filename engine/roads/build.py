"""`outrider roads build`: from an OpenStreetMap extract to the file of a road network."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.roads.extract import read_extract
from engine.roads.file import write_network
from engine.roads.graph import build_graph
from engine.roads.hierarchy import contract
from engine.roads.profiles import PROFILES
from engine.roads.snapping import lay_grid
from models.errors import BadSettings

__all__ = ["ATTRIBUTION", "BuiltNetwork", "build_network"]

ATTRIBUTION = "© OpenStreetMap contributors, ODbL 1.0"
"""What is shown with every matrix, route or map made of OpenStreetMap."""


@dataclass(frozen=True, slots=True)
class BuiltNetwork:
    """What was built."""

    path: Path
    road_km: float
    arcs: int
    turns: int
    date: str | None


def build_network(
    extract: Path,
    target: Path,
    *,
    date: str | None = None,
    drives_left: bool = False,
    about: Mapping[str, Any] | None = None,
) -> BuiltNetwork:
    """Write the road network of an extract.

    Parameters
    ----------
    extract
        OpenStreetMap extract (`.osm.pbf`).
    target
        The file to write; replaced in one step when all is well.
    date
        State of the map, `YYYY-MM-DD`, where the extract does not say it itself.
    drives_left
        Whether traffic keeps to the left.
    about
        What else the file shall say about itself.

    Raises
    ------
    BadSettings
        If the extract is missing, unreadable or has no roads, or the packages of the extra `roads` are missing.
    """
    found = read_extract(extract)
    graph = build_graph(found, drives_left=drives_left)
    arrays: dict[str, NDArray[Any]] = dict(graph.arrays)
    hierarchy = contract(_order(arrays), arrays["turn_from"], arrays["turn_to"])
    arc_of_rank = np.empty(hierarchy.rank.size, np.int32)
    arc_of_rank[hierarchy.rank] = np.arange(hierarchy.rank.size, dtype=np.int32)
    grid = lay_grid(arrays["point_lat"], arrays["point_lon"], arrays["segment_points"])
    arrays |= {"arc_of_rank": arc_of_rank} | hierarchy.arrays() | grid.arrays()
    header = {
        **(about or {}),
        "region": extract.name.partition(".")[0],
        "date": date or found.date,
        "built": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "attribution": ATTRIBUTION,
        "profiles": list(PROFILES),
    }
    write_network(target, header, arrays)
    length_m = arrays["segment_m"].sum(dtype=np.float64)
    return BuiltNetwork(
        target, float(length_m) / 1000, arrays["arc_segment"].size, arrays["turn_from"].size, date or found.date
    )


def _order(arrays: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Return the order in which arcs are contracted: nested dissection by inertial flow, arcs at their middles."""
    try:
        import routingkit_cch
    except ImportError as cause:
        raise BadSettings("a road network needs the package routingkit-cch: pip install 'outrider[roads]'") from cause
    starts = arrays["segment_points"].astype(np.int64)
    middle = ((starts[:-1] + starts[1:]) // 2)[arrays["arc_segment"]]
    order = routingkit_cch.compute_order_inertial(
        middle.size,
        arrays["turn_from"].tolist(),
        arrays["turn_to"].tolist(),
        (arrays["point_lat"][middle] / 1e7).tolist(),
        (arrays["point_lon"][middle] / 1e7).tolist(),
    )
    return np.array(order, np.int64)
