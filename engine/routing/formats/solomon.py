"""Vehicle routing with time windows as Solomon (1987) and Gehring and Homberger (1999) wrote it down.

By the rules of the DIMACS challenge of 2021: the total distance alone counts, of lengths that are computed in doubles
and cut to one decimal, and travel time is the same.
"""

from pathlib import Path

import numpy as np
import vrplib

from engine.routing.formats.instance import Instance
from engine.routing.problem import Job, Problem, Stop, Vehicle, Visit
from engine.routing.travel import PlaneTravel

__all__ = ["read_solomon"]

_TENTHS = 10


def read_solomon(path: Path) -> Instance:
    """Read a file of Solomon's format."""
    data = vrplib.read_instance(path, instance_format="solomon", compute_edge_weights=False)
    points = np.asarray(data["node_coord"], np.float64)
    windows = np.rint(np.asarray(data["time_window"], np.float64) * _TENTHS).astype(np.int64).tolist()
    service = np.rint(np.asarray(data["service_time"], np.float64) * _TENTHS).astype(np.int64).tolist()
    jobs = [
        Job(str(number), None, Stop(number, (tuple(windows[number]),), service[number]), (int(data["demand"][number]),))
        for number in range(1, len(points))
    ]
    vehicles = [
        Vehicle(str(number), start=0, end=0, capacity=(int(data["capacity"]),), shift=tuple(windows[0]))
        for number in range(1, int(data["vehicles"]) + 1)
    ]
    return Instance(
        name=str(data["name"]),
        problem=Problem(jobs, vehicles, [PlaneTravel(points, _TENTHS, "down")]),
        visits={number: Visit(number - 1) for number in range(1, len(points))},
        units=(float(_TENTHS),),
        picture=points,
    )
