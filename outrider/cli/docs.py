"""`outrider docs`: the reference pages, from the code."""

from pathlib import Path
from typing import Annotated

import typer

from outrider.reference import PAGES

__all__ = ["docs"]


def docs(folder: Annotated[Path, typer.Option(help="Where the pages go.")] = Path("docs/reference")) -> None:
    """Write the reference pages of settings, problem types, roles and commands."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page())
        typer.echo(f"wrote {folder / name}")
