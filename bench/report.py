"""How a benchmark tells what it found: a table for people, one line of JSON for machines."""

import os
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

__all__ = ["console", "heading", "show"]

console = Console(stderr=True)
"""Where progress goes, so that the JSON line has the output for itself."""


def heading(bench: str, *, seconds: float, repeats: int) -> dict[str, Any]:
    """Return the keys that every result begins with."""
    return {
        "bench": bench,
        "version": version("outrider"),
        "cores": os.cpu_count() or 1,
        "seconds": seconds,
        "repeats": repeats,
    }


def show(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a result as a table and, if wanted, as one line of JSON at the end."""
    table = Table(title=f"outrider bench {result['bench']}", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in result.items():
        table.add_row(name, _shown(value))
    (console if as_json else Console()).print(table)
    if as_json:
        print(msgspec.json.encode(result).decode())  # noqa: T201  # the output of the command


def _shown(value: object) -> str:
    match value:
        case bool() | str():
            return str(value)
        case float():
            return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"
        case int():
            return f"{value:,}"
        case Mapping():
            return "\n".join(f"{name} {_shown(part)}" for name, part in value.items()) or "none"
        case list():
            return "\n".join(_shown(part).replace("\n", ", ") for part in value) or "none"
        case _:
            return str(value)
