"""Vehicle routing in the format of CVRPLIB, with the sections that PyVRP adds for depots, fleets and windows."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import vrplib

from engine.routing.formats.instance import FAR, Instance
from engine.routing.problem import Job, Problem, Stop, Vehicle, Visit
from engine.routing.travel import DenseTravel, PlaneTravel, Travel
from models.errors import InvalidInput

__all__ = ["read_tsplib"]

_KNOWN = frozenset(
    {
        *(
            "name",
            "comment",
            "type",
            "dimension",
            "edge_weight_type",
            "edge_weight_format",
            "edge_weight",
            "node_coord",
        ),
        *(
            "node_coord_type",
            "display_data_type",
            "demand",
            "depot",
            "capacity",
            "distance",
            "service_time",
            "vehicles",
        ),
        *("time_window", "vehicles_depot", "vehicles_max_duration", "vehicles_max_distance", "vehicles_fixed_cost"),
        "vehicles_unit_distance_cost",
    }
)
_EXACT = 1000
"""Lengths of sets with windows or fleets are taken to a thousandth, which PyVRP's instances call exact."""
_CENTS = 100
"""Fixed and unit costs of Pessoa's fleets are whole hundredths."""


def read_tsplib(path: Path) -> Instance:
    """Read a `.vrp` file.

    Plain capacitated problems have lengths that are rounded to whole numbers (TSPLIB's `EUC_2D`). Problems with time
    windows, several depots or a mixed fleet are taken in thousandths. Costs of fleets are published both as
    hundredths of thousandths and in whole units.

    Raises
    ------
    InvalidInput
        If it has a section that is not understood.
    """
    data = vrplib.read_instance(path, compute_edge_weights=False)
    if data.get("edge_weight_type", "EUC_2D") == "EXPLICIT":
        data = vrplib.read_instance(path)
    if strange := sorted(set(data) - _KNOWN):
        raise InvalidInput(f"{strange[0]} is not understood", [(name, "is not understood") for name in strange])
    is_plain = not ({"time_window", "vehicles_depot", "vehicles_unit_distance_cost"} & set(data))
    scale = 1 if is_plain else _EXACT
    depots = [int(one) for one in np.atleast_1d(data["depot"])]
    places = int(data["dimension"])
    customers = [place for place in range(places) if place not in depots]
    jobs = [_job(data, place, scale) for place in customers]
    vehicles = _vehicles(data, depots, scale, sum(job.load[0] for job in jobs), len(jobs))
    has_fleet = "vehicles_unit_distance_cost" in data or "vehicles_fixed_cost" in data
    return Instance(
        name=str(data["name"]),
        problem=Problem(jobs, vehicles, [_travel(data, scale)]),
        visits={place: Visit(number) for number, place in enumerate(customers)},
        units=(float(_EXACT * _CENTS), 1.0) if has_fleet else (1.0, float(scale)),
        picture=np.asarray(data["node_coord"], np.float64) if "node_coord" in data else None,
    )


def _travel(data: Mapping[str, Any], scale: int) -> Travel:
    if "edge_weight" in data and data.get("edge_weight_type") == "EXPLICIT":
        matrix = np.rint(np.asarray(data["edge_weight"], np.float64) * scale).astype(np.int64)
        return DenseTravel(matrix, matrix)
    if data.get("edge_weight_type", "EUC_2D") not in ("EUC_2D", "CEIL_2D"):
        kind = data["edge_weight_type"]
        raise InvalidInput(f"edge weights of type {kind} are not understood", [("edge_weight_type", "not understood")])
    points = np.asarray(data["node_coord"], np.float64)
    return PlaneTravel(points, scale, "up" if data.get("edge_weight_type") == "CEIL_2D" else "nearest")


def _job(data: Mapping[str, Any], place: int, scale: int) -> Job:
    service_s = round(scale * (_of(data.get("service_time"), place) or 0.0))
    windows = () if "time_window" not in data else (_scaled(data["time_window"][place], scale),)
    return Job(str(place), None, Stop(place, windows, service_s), (int(data["demand"][place]),))


def _scaled(window: Any, scale: int) -> tuple[int, int]:
    opens, closes = (int(np.rint(one * scale)) for one in window)
    return opens, closes


def _vehicles(data: Mapping[str, Any], depots: list[int], scale: int, load: int, customers: int) -> list[Vehicle]:
    capacity = data["capacity"]
    count = int(data.get("vehicles", 0))
    if not count:
        # as many as anybody needs: the fewest that hold everything, with room for loads that fit badly
        fewest = math.ceil(load / max(1, int(np.max(capacity))))
        count = min(customers, math.ceil(1.3 * fewest) + 10)
    limits = {name: data.get(f"vehicles_{name}") for name in ("max_duration", "max_distance")}
    if "distance" in data:  # of CVRPLIB's older sets: a route's length, with service
        limits["max_duration"] = data["distance"]

    vehicles = []
    for number in range(count):
        # numbered from one in the file
        depot = int(data["vehicles_depot"][number]) - 1 if "vehicles_depot" in data else depots[0]
        duration, distance = (_of(limits[name], number) for name in ("max_duration", "max_distance"))
        vehicles.append(
            Vehicle(
                str(number + 1),
                start=depot,
                end=depot,
                capacity=(int(_of(capacity, number) or 0),),
                shift=_scaled(data["time_window"][depot], scale) if "time_window" in data else (0, FAR),
                max_duration_s=None if duration is None else round(duration * scale),
                max_distance_m=None if distance is None else round(distance * scale),
                fixed=(_of(data.get("vehicles_fixed_cost"), number) or 0.0) * scale,
                per_metre=_of(data.get("vehicles_unit_distance_cost"), number) or 1.0,
            )
        )
    return vehicles


def _of(value: Any, number: int) -> float | None:
    """Return what a field says of one place or vehicle: the same for all, or a column."""
    if value is None:
        return None
    column = np.asarray(value, np.float64)
    return float(column) if column.ndim == 0 else float(column[number])
