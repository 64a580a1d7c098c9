"""`outrider seed`: a believable company to try things with."""

import asyncio
import secrets
from typing import Annotated

import typer
from pymongo.errors import PyMongoError
from rich.console import Console
from rich.progress import Progress

from api.auth.passwords import Passwords
from engine.embedded.borrowed import borrowed_database
from engine.settings import Settings
from engine.tenants.sample import sample_company
from engine.tenants.seeding import Seeding
from models.documents.document import now
from models.errors import BadSettings, Conflict

__all__ = ["seed"]

console = Console(stderr=True)


def seed(
    number: Annotated[int, typer.Option("--seed", min=0, help="Of the dice; each number is another company.")] = 1,
    deliveries: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many, over a week.")] = 2000,
    password: Annotated[str | None, typer.Option(help="Of everybody; one is made if left out.")] = None,
) -> None:
    """Make a company around Porto: depots, fences, 60 drivers with vehicles, 20 users, deliveries in all states.

    The same seed is the same company. One that is there already is left alone. It works beside a running Outrider.
    """
    chosen = password or secrets.token_urlsafe(12)
    try:
        email = asyncio.run(_seed(Settings(), number, deliveries, chosen))
    except Conflict as fault:
        raise BadSettings(f"the company of seed {number} is there already; take another --seed") from fault
    except PyMongoError as error:
        raise BadSettings(f"MongoDB does not answer: {error}") from error
    typer.echo(f"sign in as {email} with the password {chosen}")


async def _seed(settings: Settings, number: int, deliveries: int, password: str) -> str:
    sample = sample_company(number, now(), deliveries=deliveries)
    async with borrowed_database(settings) as database:
        password_hash = await Passwords().hashed(password)
        with Progress(console=console) as shown:
            bar = shown.add_task("deliveries", total=deliveries)
            return await Seeding(database, settings.log.partitions).run(
                sample,
                f"douro{number}.example",
                password_hash,
                lambda done, total: shown.update(bar, completed=done, total=total),
            )
