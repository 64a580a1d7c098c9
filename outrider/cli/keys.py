"""`outrider keys`: the development keys in `var/secrets` that sign access tokens."""

import typer

from engine.embedded.secrets import add_secret, keep_newest
from engine.settings import Settings
from models.errors import BadSettings

__all__ = ["keys"]

keys = typer.Typer(add_completion=False, no_args_is_help=True, help="Change the keys that sign access tokens.")


@keys.command()
def rotate() -> None:
    """Sign with a new key from the next start on; tokens of before stay good."""
    count = add_secret(_own_folder().var, "jwt")
    typer.echo(f"a new key signs from the next start of `outrider up` on; {count - 1} older verify")


@keys.command()
def retire() -> None:
    """Drop the older keys; tokens that they signed end at the next start."""
    gone = keep_newest(_own_folder().var, "jwt")
    typer.echo(f"{gone} older keys are gone; tokens signed with them end at the next start of `outrider up`")


def _own_folder() -> Settings:
    settings = Settings()
    if settings.signing_secrets:
        raise BadSettings("the keys come from OUTRIDER_JWT_SECRET or OUTRIDER_JWT_SECRETS: change them there")
    return settings
