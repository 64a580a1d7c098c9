"""`outrider migrate`: what a new release changes in MongoDB, up, down, and how far it has come."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from pymongo.errors import PyMongoError
from rich.console import Console
from rich.table import Table

from engine.embedded.borrowed import borrowed_database
from engine.settings import Settings
from models.errors import BadSettings
from models.store.migrating import Migrations

__all__ = ["migrate"]

_T = TypeVar("_T")

migrate = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Change what MongoDB holds to what this release expects, and back."
)


@migrate.command()
def up() -> None:
    """Apply what is missing; `outrider up` does so by itself, unless the settings say otherwise."""
    done = _with_migrations(lambda migrations: migrations.up())
    typer.echo("\n".join(f"applied {name}" for name in done) or "nothing to do")


@migrate.command()
def down(
    name: Annotated[
        str | None, typer.Argument(help="Undo this one and all after it; the last alone if left out.")
    ] = None,
) -> None:
    """Undo, before an older release is started. Stop Outrider first."""
    try:
        done = _with_migrations(lambda migrations: migrations.down(name))
    except KeyError as fault:
        raise BadSettings(f"there is no migration {name}; `outrider migrate status` lists them") from fault
    typer.echo("\n".join(f"undone {one}" for one in done) or "nothing to do")


@migrate.command()
def status() -> None:
    """List all migrations, and when each was applied."""
    table = Table("migration", "applied", "what it does")
    for one in _with_migrations(lambda migrations: migrations.status()):
        table.add_row(one.name, one.applied.isoformat(timespec="seconds") if one.applied else "no", one.meaning)
    Console().print(table)


def _with_migrations(act: Callable[[Migrations], Awaitable[_T]]) -> _T:
    async def work() -> _T:
        async with borrowed_database(Settings()) as database:
            return await act(Migrations(database))

    try:
        return asyncio.run(work())
    except PyMongoError as error:
        raise BadSettings(f"MongoDB does not answer: {error}") from error
