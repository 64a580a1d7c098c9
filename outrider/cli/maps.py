"""`outrider maps`: make the map that the dashboard draws."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from engine.roads.basemap import LAYERS, build_base_map

__all__ = ["maps"]

maps = typer.Typer(help="Make the map that the dashboard draws.", no_args_is_help=True)


@maps.callback()
def _group() -> None:
    """Make the map that the dashboard draws."""


@maps.command()
def build(
    extract: Annotated[list[Path], typer.Argument(help="OpenStreetMap extracts (.osm.pbf).")],
    out: Annotated[Path, typer.Option("--out", help="The PMTiles file to write.")],
    ground: Annotated[
        list[Path] | None,
        typer.Option("--ground", help="Extract to take all but roads from, where the first has roads only."),
    ] = None,
) -> None:
    """Turn OpenStreetMap extracts into one file of vector tiles."""
    started = time.monotonic()
    built = build_base_map(extract, ground or [], out)
    layers = ", ".join(f"{built.features.get(layer, 0):,} {layer}" for layer in LAYERS if built.features.get(layer))
    Console().print(
        f"{built.path}: {built.path.stat().st_size / 1e6:.1f} MB, {layers}, in {time.monotonic() - started:.1f} s"
    )
