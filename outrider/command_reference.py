"""The reference page of the command line: every command with its options, from the code of `outrider.cli`."""

import importlib
from pathlib import Path

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from outrider.cli import COMMANDS

__all__ = ["command_page"]

_ROOT = Path(__file__).parents[1]
_HEAD = """# Commands

Made by `outrider docs`. Every figure of the documentation comes from an `outrider bench …`, `solve` or `backtest`; what
the keys of its JSON line mean stands with each.
"""


def command_page() -> str:
    """Return the commands as Markdown, in the order in which `outrider --help` lists them."""
    pages = [_command(name, target) for name, (target, _) in COMMANDS.items()]
    return "\n".join([_HEAD, *pages]).replace(f"{_ROOT}/", "").rstrip() + "\n"


def _command(name: str, target: str) -> str:
    module, _, attribute = target.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    application = found if isinstance(found, typer.Typer) else typer.Typer(add_completion=False)
    if application is not found:
        application.command(name)(found)
    command = get_command(application)
    context = typer.Context(command, info_name=f"outrider {name}")
    return get_docs_for_click(obj=command, ctx=context, name=f"outrider {name}", indent=1)
