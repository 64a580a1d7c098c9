"""How a command of `outrider bench` ends: a table, JSON where it is asked for, and whether the run is valid."""

from typing import Annotated, Any

import typer

__all__ = ["AsJson", "tell"]

_CHECKS_FAILED = 2

AsJson = Annotated[bool, typer.Option("--json", help="End with one line that holds the result as JSON.")]


def tell(result: dict[str, Any], *, json: bool, is_valid: bool) -> None:
    """Print a result; exit with status 2 if the run's own checks failed."""
    from bench.report import show

    show(result, as_json=json)
    if not is_valid:
        raise typer.Exit(_CHECKS_FAILED)
