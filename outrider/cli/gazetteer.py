"""`outrider gazetteer`: make the file in which addresses are looked up offline."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from engine.gazetteer import PORTO
from engine.gazetteer.build import build_gazetteer
from engine.gazetteer.look_up import Gazetteer
from engine.gazetteer.sample import sample_addresses, write_orders

__all__ = ["gazetteer"]

gazetteer = typer.Typer(help="Look addresses up offline.", no_args_is_help=True)


@gazetteer.command()
def build(
    extract: Annotated[list[Path], typer.Argument(help="OpenStreetMap extracts (.osm.pbf); they may overlap.")],
    out: Annotated[Path, typer.Option("--out", help="The gazetteer to write.")],
) -> None:
    """Make a gazetteer of OpenStreetMap extracts; OUTRIDER_GEOCODING__GAZETTEER names the one that is used."""
    started = time.monotonic()
    built = build_gazetteer(extract, out)
    counts = ", ".join(f"{count:,} {noun}" for noun, count in built.counts.items())
    size_mb = out.stat().st_size / 1e6
    Console().print(f"{built.path}: {size_mb:.1f} MB, {counts}, in {time.monotonic() - started:.1f} s")


@gazetteer.command()
def find(
    address: Annotated[str, typer.Argument(help="What somebody wrote.")],
    file: Annotated[Path, typer.Option("--in", help="The gazetteer to look in.")],
) -> None:
    """Show what a gazetteer makes of an address."""
    found = Gazetteer(file).find(address)
    if found is None:
        Console().print("nothing found")
        raise typer.Exit(1)
    Console().print(
        f"{found.name}: {found.latitude}, {found.longitude} ({found.kind}, confidence {found.confidence:.2f})"
    )


@gazetteer.command()
def sample(
    count: Annotated[int, typer.Argument(min=1, max=10_000, help="How many.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the dice; the same seed draws the same addresses.")] = 1,
    file: Annotated[Path, typer.Option("--in", help="The gazetteer to draw from.")] = PORTO,
) -> None:
    """Write deliveries to real addresses as CSV, for trials: what an import takes."""
    write_orders(sample_addresses(file, count, seed), seed, sys.stdout)
