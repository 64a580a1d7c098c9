"""`outrider simulate`: days of a fleet in a simulated city, as files."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import track

__all__ = ["simulate"]


def simulate(
    out: Annotated[Path, typer.Option("--out", help="Folder for legs.parquet and trace-<day>.parquet.")],
    network: Annotated[Path | None, typer.Option("--in", help="Road network; default: that of Porto.")] = None,
    days: Annotated[int, typer.Option(min=1, help="Days of the calendar; Sundays and holidays are free.")] = 90,
    vans: Annotated[int, typer.Option(min=1, help="Vans of the fleet.")] = 60,
    gps_days: Annotated[int, typer.Option(min=0, help="First days of which phones' fixes are written.")] = 1,
    seed: Annotated[int, typer.Option(help="The same is the same city.")] = 1,
) -> None:
    """Simulate vans that deliver on real roads: legs with their truth, and what the phones would have sent."""
    from engine.roads.network import RoadNetwork
    from engine.roads.warm_up import BUILT
    from pipelines.fleet.files import write_legs, write_trace
    from pipelines.fleet.on_roads import porto
    from pipelines.fleet.simulate import Fleet, Leg, simulate_days

    console = Console(stderr=True)
    city = porto(RoadNetwork.load(network or BUILT), np.random.default_rng(seed))
    fleet = Fleet(vans=vans, days=days, gps_days=frozenset(range(gps_days)))
    legs: list[Leg] = []
    made = simulate_days(np.random.default_rng(seed), city, fleet)
    for day in track(made, "simulating", total=days, console=console, transient=True):
        legs += day.legs
        if day.tracks:
            console.print(str(write_trace(day.tracks, day.number, out)))
    console.print(f"{write_legs(legs, str(city.zone), out)}: {len(legs):,} legs")
