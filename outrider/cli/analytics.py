"""`outrider analytics …`: look after the figures."""

import asyncio
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from engine.analytics.rebuild import FigureRebuild
from engine.analytics.rebuild import Progress as Rebuilt
from engine.embedded.borrowed import borrowed_database
from engine.settings import Settings
from models.store.analytics import BookRepository
from models.store.scope import Scope

__all__ = ["analytics", "rebuild_figures"]

analytics = typer.Typer(help="Look after the figures.", no_args_is_help=True, add_completion=False)

_ACTOR = "engine"


@analytics.callback()
def _group() -> None:
    """Look after the figures."""


@analytics.command()
def rebuild(tenant: Annotated[str | None, typer.Option(help="One company, `ten_…`; all by default.")] = None) -> None:
    """Make the figures anew from deliveries and trips, while everything goes on; the old ones answer until then."""
    asyncio.run(rebuild_figures(Settings(), tenant))


async def rebuild_figures(settings: Settings, wanted: str | None) -> None:
    """Rebuild one company's figures, or those of all."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with borrowed_database(settings) as database:
        tenants = await BookRepository(database).tenants()
        if wanted is not None and wanted not in tenants:
            raise typer.BadParameter(f"there is no company {wanted}", param_hint="--tenant")
        with Progress(*columns, console=console) as bars:
            for tenant in [wanted] if wanted is not None else tenants:
                began, bar = time.monotonic(), bars.add_task(tenant, total=None)

                def told(rebuilt: Rebuilt, bar: TaskID = bar) -> None:
                    bars.update(bar, completed=rebuilt.deliveries, total=max(rebuilt.of, rebuilt.deliveries))

                await FigureRebuild(database, Scope(tenant, _ACTOR)).run(told)
                console.print(f"{tenant}: rebuilt in {time.monotonic() - began:.1f} s")
