"""`outrider import FILE`: bring deliveries in from a spreadsheet, with a report by row."""

import asyncio
import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import httpx2
import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from models.errors import OutriderError
from outrider.client import ApiProblem, ImportReport, ImportRow, OutriderClient

__all__ = ["import_file"]

_KINDS: dict[str, Literal["text/csv", "application/x-ndjson"]] = {
    ".csv": "text/csv",
    ".txt": "text/csv",
    ".tsv": "text/csv",
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
}
_SHOWN = 50  # rows that something is wrong with, before the table says how many more there are


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or JSON lines, up to 10,000 rows.")],
    mode: Annotated[
        Literal["all", "valid"], typer.Option(help="`all`: none if a row fails; `valid`: those that don't.")
    ] = "all",
    on_duplicate: Annotated[
        Literal["error", "skip", "update"], typer.Option(help="What to do with a reference that is known already.")
    ] = "error",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report alone, store nothing.")] = False,
    ignore_unknown: Annotated[
        bool, typer.Option("--ignore-unknown", help="Pass over columns that are no field of ours.")
    ] = False,
    url: Annotated[str, typer.Option(envvar="OUTRIDER_URL", help="A running Outrider.")] = "http://127.0.0.1:8000",
    token: Annotated[str | None, typer.Option(envvar="OUTRIDER_TOKEN", help="A planner's access token.")] = None,
    email: Annotated[str | None, typer.Option(help="Sign in with this address …")] = None,
    password: Annotated[str | None, typer.Option(envvar="OUTRIDER_PASSWORD", help="… and this password.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with the report as one JSON line.")] = False,
) -> None:
    """Bring deliveries in from a file. Run again on the same file within a day, it brings nothing in twice.

    Exit status: 0 when every row came in or was there already, 2 when rows failed, 1 on an error.
    """
    options = {"mode": mode, "onDuplicate": on_duplicate, "dryRun": dry_run, "ignoreUnknown": ignore_unknown}
    try:
        rows, report = asyncio.run(_send(file, options, url, token, email, password, quiet=as_json))
    except (OutriderError, OSError, httpx2.TransportError) as error:
        print(f"outrider: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    if as_json:
        print(msgspec.json.encode(report if report is not None else {"state": "refused", "rows": rows}).decode())
    else:
        _show(file.name, rows, report)
    if any(row.outcome == "failed" for row in rows):
        sys.exit(2)


async def _send(
    file: Path,
    options: Mapping[str, str | bool],
    url: str,
    token: str | None,
    email: str | None,
    password: str | None,
    *,
    quiet: bool,
) -> tuple[Sequence[ImportRow], ImportReport | None]:
    """Send the file and return its rows, and the report if anything was taken."""
    body = await asyncio.to_thread(file.read_bytes)
    kind = _KINDS.get(file.suffix.lower(), "text/csv")
    key = hashlib.sha256(b"\n".join([msgspec.json.encode(options), body])).hexdigest()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    async with OutriderClient(url, token=token) as client:
        if email is not None and password is not None:
            await client.login(email, password)
        with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as progress:
            task = progress.add_task("sending", total=len(body))

            def sent(count: int) -> None:
                progress.update(task, completed=count, description="storing" if count == len(body) else "sending")

            try:
                report = await client.import_deliveries(body, kind, options=options, key=key, sent=sent)
            except ApiProblem as problem:
                if not problem.rows:
                    raise
                return msgspec.convert(problem.rows, list[ImportRow]), None
    return report.rows, report


def _show(name: str, rows: Sequence[ImportRow], report: ImportReport | None) -> None:
    console = Console()
    told = [row for row in rows if row.errors]
    if told:
        faults = Table("row", "reference", "outcome", "field", "what is wrong", title=f"{escape(name)}, row by row")
        for row in told[:_SHOWN]:
            for fault in row.errors:
                cells = (row.reference or "", row.outcome, fault.field, fault.detail)
                faults.add_row(str(row.row), *(escape(cell) for cell in cells))
        console.print(faults)
    if len(told) > _SHOWN:
        console.print(f"… and {len(told) - _SHOWN:,} rows more; --json tells all")
    if report is None:
        failed = sum(row.outcome == "failed" for row in rows)
        console.print(
            f"Nothing came in: {failed:,} of {len(rows):,} rows can't be taken (--mode valid takes the others)."
        )
        return
    counts = Table(escape(name), "", title_justify="left", show_header=True)
    for noun in ("created", "updated", "skipped", "failed"):
        counts.add_row(noun, f"{getattr(report, noun):,}")
    counts.add_row("address still to be found", f"{report.unlocated:,}")
    console.print(counts)
    if report.state == "checked":
        console.print("A dry run: nothing was stored.")
