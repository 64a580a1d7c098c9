"""`outrider roads`: make the road network that matrices, routes and map matching use."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from engine.roads.build import build_network
from engine.roads.network import RoadNetwork

__all__ = ["roads"]

roads = typer.Typer(help="Make the road network that plans, routes and arrival times use.", no_args_is_help=True)


@roads.command()
def build(
    extract: Annotated[Path, typer.Argument(help="OpenStreetMap extract (.osm.pbf).")],
    out: Annotated[Path, typer.Option("--out", help="The road network to write.")],
    date: Annotated[str | None, typer.Option("--date", help="State of the map, if not in it.")] = None,
    drive_on: Annotated[str, typer.Option("--drive-on", help="Side of the road: right or left.")] = "right",
) -> None:
    """Make a road network of an OpenStreetMap extract; OUTRIDER_ROADS__NETWORK names the one that is used."""
    started = time.monotonic()
    if drive_on not in ("right", "left"):
        raise typer.BadParameter("say right or left", param_hint="--drive-on")
    built = build_network(extract, out, date=date, drives_left=drive_on == "left")
    Console().print(
        f"{built.path}: {out.stat().st_size / 1e6:.1f} MB, {built.road_km:,.0f} km of road, {built.arcs:,} arcs,"
        f" {built.turns:,} turns, map of {built.date or 'an unknown day'}, in {time.monotonic() - started:.1f} s"
    )


@roads.command()
def leg(
    origin: Annotated[str, typer.Argument(help="latitude,longitude")],
    destination: Annotated[str, typer.Argument(help="latitude,longitude")],
    network: Annotated[Path, typer.Option("--in", help="The road network to drive in.")],
    profile: Annotated[str, typer.Option("--profile", help="car, van, truck or bike.")] = "van",
) -> None:
    """Show the fastest way between two places."""
    found = RoadNetwork.load(network).leg(_place(origin), _place(destination), profile)
    if found is None:
        Console().print("no way between them")
        raise typer.Exit(1)
    Console().print(f"{found.duration_s / 60:.1f} min, {found.distance_m / 1000:.2f} km")
    Console().print(found.polyline6, soft_wrap=True)


def _place(text: str) -> tuple[float, float]:
    latitude, _, longitude = text.partition(",")
    try:
        return float(latitude), float(longitude)
    except ValueError:
        raise typer.BadParameter(f"{text} is no latitude,longitude") from None
