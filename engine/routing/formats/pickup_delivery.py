"""Pickup and delivery with time windows as Li and Lim (2003) and Sartori and Buriol (2020) wrote it down.

Both want few vehicles first and a short way then.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engine.routing.formats.instance import Instance
from engine.routing.problem import Job, Problem, Stop, Vehicle, Visit
from engine.routing.travel import DenseTravel, PlaneTravel, Travel
from models.errors import InvalidInput

__all__ = ["read_li_lim", "read_sartori_buriol"]

_FINE = 10_000
"""Lengths are taken up to the next of so many parts, so that what is in time here is in time in doubles."""


class _Fleet(NamedTuple):
    """Vehicles that are all alike."""

    vehicles: int
    capacity: int
    longest: int
    """Longest way between two places."""


Row = tuple[int, int, int, int, int, int, int]
"""Number, load, opens, closes, service, its pickup if it is a delivery, its delivery if it is a pickup."""


def read_li_lim(path: Path, *, vehicles_first: bool = True) -> Instance:
    """Read a file of Li and Lim. Its lengths are published in doubles."""
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    try:
        count, capacity = int(lines[0][0]), int(lines[0][1])
        points = np.array([[float(line[1]), float(line[2])] for line in lines[1:]])
        rows = [_row([line[0], *line[3:9]]) for line in lines[1:]]
    except (ValueError, IndexError) as error:
        raise InvalidInput(f"{path.name} is no file of Li and Lim", [("file", str(error))]) from error
    extent = points.max(axis=0) - points.min(axis=0)
    longest = int(np.hypot(*extent) * _FINE) + 1
    problem, visits = _problem(rows, _FINE, PlaneTravel(points, _FINE, "up"), _Fleet(count, capacity, longest))
    instance = Instance(path.stem, problem, visits, points=points, picture=points, vehicles_first=True)
    return instance if vehicles_first else _by_length(instance)


def read_sartori_buriol(path: Path, *, vehicles_first: bool = True) -> Instance:
    """Read a file of Sartori and Buriol. Travel times between its places are whole minutes of real roads."""
    lines = path.read_text().splitlines()
    try:
        fields = {
            name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines[:12]) if value
        }
        begins, edges = lines.index("NODES") + 1, lines.index("EDGES") + 1
        size = int(fields["SIZE"])
        rows = [_row([line.split()[0], *line.split()[3:9]]) for line in lines[begins : begins + size]]
        places = [(float(one[2]), float(one[1])) for line in lines[begins : begins + size] if (one := line.split())]
        matrix = np.array([line.split() for line in lines[edges : edges + size]], np.int64)
    except (ValueError, IndexError, KeyError) as error:
        raise InvalidInput(f"{path.name} is no file of Sartori and Buriol", [("file", str(error))]) from error
    # every pair may have a vehicle of its own
    fleet = _Fleet(max(1, size // 2), int(fields["CAPACITY"]), int(matrix.max()))
    problem, visits = _problem(rows, 1, DenseTravel(matrix, matrix), fleet)
    name = fields.get("NAME", path.stem)
    instance = Instance(name, problem, visits, picture=np.array(places), vehicles_first=True)
    return instance if vehicles_first else _by_length(instance)


def _row(fields: Sequence[str]) -> Row:
    number, load, opens, closes, service, pickup, delivery = (int(float(one)) for one in fields)
    return number, load, opens, closes, service, pickup, delivery


def _problem(rows: Sequence[Row], scale: int, travel: Travel, fleet: _Fleet) -> tuple[Problem, dict[int, Visit]]:
    """Return the problem with vehicles that cost more than any way that one less of them can make necessary."""
    stops = {
        number: Stop(number, ((opens * scale, closes * scale),), service * scale)
        for number, _, opens, closes, service, _, _ in rows
    }
    jobs: list[Job] = []
    visits: dict[int, Visit] = {}
    for number, load, _, _, _, pickup, delivery in rows[1:]:
        if delivery:
            visits[number], visits[delivery] = Visit(len(jobs), True), Visit(len(jobs))
            jobs.append(Job(f"{number}-{delivery}", stops[number], stops[delivery], (load,)))
        elif not pickup:
            raise InvalidInput(f"stop {number} belongs to no pair", [(f"nodes.{number}", "belongs to no pair")])
    fixed = float(2 * fleet.longest * (len(rows) + fleet.vehicles))
    shift = stops[0].windows[0]
    vehicles = [
        Vehicle(str(number + 1), start=0, end=0, capacity=(fleet.capacity,), shift=shift, fixed=fixed)
        for number in range(fleet.vehicles)
    ]
    return Problem(jobs, vehicles, [travel]), visits


def _by_length(instance: Instance) -> Instance:
    """Return an instance in which the way alone counts."""
    vehicles = [dataclasses.replace(one, fixed=0.0) for one in instance.problem.vehicles]
    problem = dataclasses.replace(instance.problem, vehicles=vehicles)
    return dataclasses.replace(instance, problem=problem, vehicles_first=False)
