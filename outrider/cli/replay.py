"""`outrider replay FILE`: stream a recorded trace into a running Outrider, faults and all."""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from models.errors import OutriderError
from outrider.client import IngestStream, OutriderClient
from outrider.playback import Playback, send_chunk, vehicle_ids
from outrider.traces import read_trace

__all__ = ["replay"]

_PARALLEL = 16  # requests at once when counting what became of the fixes
_DURABLE_WITHIN_S = 60.0


def replay(
    file: Annotated[Path, typer.Argument(help="Parquet or CSV: vehicle, time_ms, lat, lon, speed_mps, …")],
    speed: Annotated[float, typer.Option(min=1, help="Times faster than recorded.")] = 10.0,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so many seconds.")] = None,
    late_at_most: Annotated[
        float, typer.Option(min=0, help="Seconds; a row older than this beside those above it is sent at its own time.")
    ] = 600.0,
    url: Annotated[str, typer.Option(envvar="OUTRIDER_URL", help="A running Outrider.")] = "http://127.0.0.1:8000",
    token: Annotated[str | None, typer.Option(envvar="OUTRIDER_TOKEN", help="An admin's access token.")] = None,
    email: Annotated[str | None, typer.Option(help="Sign in with this address …")] = None,
    password: Annotated[str | None, typer.Option(envvar="OUTRIDER_PASSWORD", help="… and this password.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON line.")] = False,
) -> None:
    """Stream a recorded trace into a running Outrider, in recorded order and with all its faults.

    Vehicles become drivers (their name is the external id). Times are shifted so that the recording ends when the
    replay does. At the end it prints how many fixes were refused at the door, filtered as noise, or late.

    JSON keys: file, vehicles, sent, accepted, refused {reason: count}, live, late, filtered, repeated, seconds,
    pings_per_s.
    """
    try:
        result = asyncio.run(_replay(file, late_at_most, speed, seconds, url, token, email, password, quiet=as_json))
    except (OutriderError, OSError, httpx2.TransportError) as error:
        print(f"outrider: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    if as_json:
        print(json.dumps(result))
    else:
        _show(result)


async def _replay(
    file: Path,
    late_at_most_s: float,
    speed: float,
    seconds: float | None,
    url: str,
    token: str | None,
    email: str | None,
    password: str | None,
    *,
    quiet: bool,
) -> dict[str, Any]:
    trace = await asyncio.to_thread(read_trace, file, late_at_most_s=late_at_most_s)
    playback = Playback(trace, speed, seconds=seconds)
    async with OutriderClient(url, token=token) as client:
        if email is not None and password is not None:
            await client.login(email, password)
        drivers = await vehicle_ids(client, trace.vehicles)
        begun_ms, begun = time.time_ns() // 1_000_000, time.monotonic()
        async with client.ingest() as stream:
            await _stream(playback, stream, drivers, quiet=quiet)
            await stream.drain()
            elapsed_s = time.monotonic() - begun
            async with asyncio.timeout(_DURABLE_WITHIN_S):
                await stream.drain(durable=True)
        outcomes = await _count_outcomes(client, playback, drivers, begun_ms)
    refused = sum(stream.refused.values())
    return {
        "file": file.name,
        "vehicles": len(trace.vehicles),
        "sent": playback.count,
        "accepted": playback.count - refused,
        "refused": dict(stream.refused),
        **outcomes,
        "repeated": playback.count - refused - sum(outcomes.values()),
        "seconds": round(elapsed_s, 2),
        "pings_per_s": round(playback.count / max(elapsed_s, 0.001)),
    }


async def _stream(playback: Playback, stream: IngestStream, drivers: Mapping[int, str], *, quiet: bool) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task("fixes", total=playback.count)
        async for chunk in playback.chunks():
            await send_chunk(stream, chunk, drivers)
            progress.update(task, completed=chunk.end)


async def _count_outcomes(
    client: OutriderClient, playback: Playback, drivers: Mapping[int, str], begun_ms: int
) -> dict[str, int]:
    """Count what the engine made of the fixes, from the tracks that they left."""
    times = playback.trace.fixes["time"][: playback.count] + playback.shift_ms
    span = int(times.min()), int(times.max())
    gate = asyncio.Semaphore(_PARALLEL)
    counts = {"live": 0, "late": 0, "filtered": 0}

    async def count(driver: str) -> None:
        async with gate:
            track = await client.track(driver, *span)
        for received, filtered, late in zip(track["received"], track["filtered"], track["late"], strict=True):
            if received >= begun_ms:
                counts["filtered" if filtered else "late" if late else "live"] += 1

    async with asyncio.TaskGroup() as group:
        for driver in drivers.values():
            group.create_task(count(driver), name="replay-count")
    return counts


def _show(result: Mapping[str, Any]) -> None:
    table = Table(title=f"{result['file']}: {result['vehicles']} vehicles")
    table.add_column("fixes")
    table.add_column("", justify="right")
    for name in ("sent", "accepted", "live", "late", "filtered", "repeated"):
        table.add_row(name, f"{result[name]:,}")
    for reason, count in result["refused"].items():
        table.add_row(f"refused: {reason}", f"{count:,}")
    table.add_row("seconds", f"{result['seconds']}")
    table.add_row("pings/s", f"{result['pings_per_s']:,}")
    Console().print(table)
