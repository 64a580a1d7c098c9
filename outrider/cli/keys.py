"""`outrider keys`: the keys that sign access tokens, and those that seal personal data."""

import asyncio

import typer
from pymongo.errors import PyMongoError
from rich.progress import Progress

from engine.embedded.borrowed import borrowed_database
from engine.embedded.secrets import add_secret, keep_newest
from engine.privacy.rotation import DataRotation
from engine.settings import Settings
from models.errors import BadSettings, Unreadable

__all__ = ["keys"]

_ALL = 1000  # a master key goes only when its owner says so: what it wraps would be lost

keys = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Change the keys that sign access tokens and seal personal data."
)


@keys.command()
def rotate() -> None:
    """Sign with a new key from now on; tokens of before stay good."""
    count = add_secret(_own_folder().var, "jwt")
    typer.echo(f"a new key signs from now on; {count - 1} older verify")


@keys.command()
def retire() -> None:
    """Drop the older keys; tokens that they signed are good no more."""
    gone = keep_newest(_own_folder().var, "jwt")
    typer.echo(f"{gone} older keys are gone, and tokens signed with them are good no more")


@keys.command("renew-master")
def renew_master() -> None:
    """Wrap the keys of personal data with a new master key from now on; the older ones stay."""
    settings = Settings()
    if settings.master_keys or settings.master_keys_file:
        raise BadSettings("the master keys come from OUTRIDER_MASTER_KEYS or its file: put a new one in front there")
    count = add_secret(settings.var, "master", keep=_ALL)
    typer.echo(f"a new master key and {count - 1} older; now run `outrider keys rotate-data`")


@keys.command("rotate-data")
def rotate_data() -> None:
    """Seal all personal data anew, under new keys wrapped by the newest master key, while Outrider runs."""
    try:
        done = asyncio.run(_rotate_data(Settings()))
    except PyMongoError as error:
        raise BadSettings(f"MongoDB does not answer: {error}") from error
    except Unreadable as error:
        raise BadSettings(str(error)) from error
    typer.echo(f"{done:,} documents sealed anew; of the master keys only the newest is needed from now on")


async def _rotate_data(settings: Settings) -> int:
    async with borrowed_database(settings) as database:
        with Progress() as shown:
            bar = shown.add_task("sealing anew", total=None)
            return await DataRotation(database).run(lambda done, total: shown.update(bar, completed=done, total=total))


def _own_folder() -> Settings:
    settings = Settings()
    if settings.signing_secrets or settings.jwt_secrets_file:
        raise BadSettings("the keys come from OUTRIDER_JWT_SECRET(S) or a file: change them there")
    return settings
