"""`outrider legs …`: what drivers have driven, as a data set that models are trained on."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from pymongo.errors import PyMongoError
from rich.console import Console
from rich.table import Table

from engine.embedded.borrowed import borrowed_database
from engine.eta.zones import TenantZones
from engine.settings import Settings
from models.errors import BadSettings
from models.eta.history import driver_alias
from models.store.legs import LegRepository
from outrider.cli.model_output import plain_errors, progress_bar
from pipelines.datasets import LegDataset
from pipelines.stored_legs import export_legs
from pipelines.training import Progress

__all__ = ["LEGS", "export_stored", "legs"]

LEGS = Path("var/legs")
"""Where the data set is by default."""

legs = typer.Typer(
    help="What drivers have driven, as a data set that models are trained on.",
    no_args_is_help=True,
    add_completion=False,
)


@legs.callback()
def _group() -> None:
    """Look after the data set of what drivers have driven."""


@legs.command()
def export(
    out: Annotated[Path, typer.Option("--out", help="Folder of the data set.")] = LEGS,
    tenant: Annotated[str, typer.Option("--tenant", help="One company, `ten_…`; all by default.")] = "",
) -> None:
    """Add to a data set the legs that it lacks; broken off, the next one goes on where it was."""
    with plain_errors(), progress_bar() as told:
        added = export_stored(out, tenant, told)
    table = Table("company", "new legs", "legs", title=str(out), title_justify="left")
    held = LegDataset(out).companies()
    for company, new in added.items():
        table.add_row(company, f"{new:,}", f"{held.get(company, 0):,}")
    Console().print(table)


@legs.command()
def forget(
    driver: Annotated[str, typer.Argument(help="Whose legs, `drv_…`.")],
    tenant: Annotated[str, typer.Option("--tenant", help="The driver's company, `ten_…`.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the data set.")] = LEGS,
) -> None:
    """Remove a driver's legs from a data set at once; an erasure of positions does it with the next export."""
    gone = LegDataset(out).forget(tenant, driver_alias(tenant, driver))
    Console().print(f"{gone:,} legs of {driver} removed from {out}")


def export_stored(out: Path, tenant: str, told: Progress) -> dict[str, int]:
    """Add the legs of one company, or of all, to a data set; return how many were new, by company.

    Raises
    ------
    BadSettings
        If MongoDB does not answer, or the company has no legs.
    """
    try:
        return asyncio.run(_export(out, tenant, told))
    except PyMongoError as error:
        raise BadSettings(f"MongoDB does not answer: {error}") from error


async def _export(out: Path, tenant: str, told: Progress) -> dict[str, int]:
    async with borrowed_database(Settings()) as database:
        stored, zones = LegRepository(database), TenantZones(database)
        companies = await stored.tenants()
        if tenant and tenant not in companies:
            raise BadSettings(f"company {tenant} has no driven legs yet")
        wanted = [tenant] if tenant else companies
        await zones.learn(wanted)
        return await export_legs(stored, LegDataset(out), wanted, zones.of, told)
