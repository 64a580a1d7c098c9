"""Solutions and best known values as benchmark sets publish them."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from engine.routing.formats.instance import Instance, Known
from engine.routing.problem import RELOAD, Solution
from models.errors import InvalidInput

__all__ = ["read_known", "read_routes", "write_routes"]

_ROUTE = re.compile(r"^\s*Route\s*#?\s*\d+\s*:(.*)$", re.IGNORECASE)
_COST = re.compile(r"^\s*Cost\s*:?\s+([\d.eE+-]+)", re.IGNORECASE)


def read_routes(path: Path) -> list[list[int]]:
    """Read the routes of a solution file, `Route #1: 4 2 9`, in the file's numbers; an empty one is an idle vehicle."""
    routes = [[int(one) for one in found[1].split()] for line in _lines(path) if (found := _ROUTE.match(line))]
    if not routes:
        raise InvalidInput(f"{path.name} has no routes", [("file", "has no routes")])
    return routes


def read_known(path: Path, name: str) -> Known | None:
    """Read the best known value of an instance, from a solution file or a table; None if the table has none.

    A table is a CSV file with the columns `instance`, `best_known_cost` and, if it likes, `vehicles`.
    """
    if path.suffix.lower() != ".csv":
        costs = [float(found[1]) for line in _lines(path) if (found := _COST.match(line))]
        if not costs:
            raise InvalidInput(f"{path.name} states no cost", [("file", "states no cost")])
        return Known(costs[0], sum(1 for route in read_routes(path) if route))
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if "instance" not in row or "best_known_cost" not in row:
                detail = "needs the columns instance and best_known_cost"
                raise InvalidInput(f"{path.name} {detail}", [("file", detail)])
            if row["instance"].lower() == name.lower():
                return Known(float(row["best_known_cost"]), int(row["vehicles"]) if row.get("vehicles") else None)
    return None


def write_routes(path: Path, instance: Instance, solution: Solution) -> None:
    """Write a solution file in the instance's own numbers."""
    numbers = {visit: number for number, visit in instance.visits.items()}
    lines = []
    for vehicle, route in enumerate(solution.routes):
        stops: Sequence[str] = [str(numbers[visit]) for visit in route if visit.job != RELOAD]
        lines.append(f"Route #{vehicle + 1}: {' '.join(stops)}".rstrip())
    lines.append(f"Cost {instance.cost(solution):g}")
    path.write_text("\n".join(lines) + "\n")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name} is no text", [("file", "is no text")]) from error
