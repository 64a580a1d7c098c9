"""`outrider doctor`: what this machine lacks, and what to do."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from engine.settings import Settings
from engine.telemetry.health import check_machine

__all__ = ["doctor"]

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of a table.")] = False,
) -> None:
    """Check this machine, and say what to do. Exit code 1 when something keeps Outrider from running."""
    findings = check_machine(Settings())
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        table = Table(box=None, pad_edge=False)
        for heading in ("", "", "seen", "what to do"):
            table.add_column(heading, overflow="fold")
        for finding in findings:
            colour = _COLOURS[finding.verdict]
            table.add_row(f"[{colour}]{finding.verdict}[/{colour}]", finding.subject, finding.seen, finding.advice)
        Console().print(table)
    if any(finding.verdict == "fail" for finding in findings):
        raise typer.Exit(1)
