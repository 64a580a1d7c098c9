"""Draws routes to a picture. Needs matplotlib, which the extra `ml` brings."""

from pathlib import Path

from engine.routing.formats.instance import Instance
from engine.routing.problem import RELOAD, Problem, Solution, Visit
from models.errors import BadSettings

__all__ = ["plot_routes"]

_INCHES = 9.0


def plot_routes(path: Path, instance: Instance, solution: Solution) -> None:
    """Draw the routes of a solution, a colour each, and what is left out as crosses.

    Raises
    ------
    BadSettings
        If matplotlib is not installed, or the instance does not say where its places are.
    """
    if instance.picture is None:
        raise BadSettings(f"{instance.name} does not say where its places are: there is nothing to draw")
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BadSettings("a plot needs matplotlib: install outrider with the extra ml") from error
    figure = Figure(figsize=(_INCHES, _INCHES), layout="constrained")
    axes = figure.subplots()
    at, colours = instance.picture, mpl.colormaps["tab20"].colors  # type: ignore[attr-defined]
    for vehicle, route in enumerate(solution.routes):
        if route:
            path_at = at[_path(instance.problem, vehicle, route)]
            axes.plot(path_at[:, 0], path_at[:, 1], color=colours[vehicle % len(colours)], linewidth=0.9)
            axes.scatter(path_at[1:-1, 0], path_at[1:-1, 1], color=colours[vehicle % len(colours)], s=6)
    ends = sorted({end for one in instance.problem.vehicles for end in (one.start, one.end) if end is not None})
    axes.scatter(at[ends, 0], at[ends, 1], marker="s", color="black", s=30, zorder=3)
    left = [
        stop.place
        for job in solution.unserved
        for stop in (instance.problem.jobs[job].pickup, instance.problem.jobs[job].delivery)
        if stop is not None
    ]
    axes.scatter(at[left, 0], at[left, 1], marker="x", color="red", s=30, zorder=3)
    used = sum(1 for route in solution.routes if route)
    axes.set_title(f"{instance.name}: {instance.cost(solution):,.10g} with {used} vehicles")
    axes.set_aspect("equal")
    axes.set_axis_off()
    figure.savefig(path, dpi=150)


def _path(problem: Problem, vehicle: int, route: tuple[Visit, ...]) -> list[int]:
    """Return the places that a vehicle passes."""
    van = problem.vehicles[vehicle]
    stops = [van.reload if visit.job == RELOAD else _place(problem, visit) for visit in route]
    return [place for place in (van.start, *stops, van.end) if place is not None]


def _place(problem: Problem, visit: Visit) -> int | None:
    stop = problem.stop(visit)
    return None if stop is None else stop.place
