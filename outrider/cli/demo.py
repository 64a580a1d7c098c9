"""`outrider demo`: a whole Outrider with a real fleet on it."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import time
import webbrowser
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from engine.environment import prepare_environment
from engine.settings import Settings
from engine.telemetry.logging import configure_logging
from models.ids import new_id
from outrider.cli.replay import vehicle_ids
from outrider.client import ApiProblem, IngestStream, OutriderClient
from outrider.data import DEMO_TRACE
from outrider.driver_app import DriverApp
from outrider.playback import Playback, send_chunk
from outrider.probe import LatencyProbe
from outrider.traces import Trace, read_trace

__all__ = ["demo"]

_FRAME_INTERVAL_MS = 20
_REFRESH_S = 0.5
_RATE_OVER_S = 5.0
_DRAIN_WITHIN_S = 15.0


def demo(
    seconds: Annotated[float | None, typer.Option(min=1, help="End after so many seconds; else on Ctrl-C.")] = None,
    speed: Annotated[float, typer.Option(min=1, help="Times faster than it happened.")] = 10.0,
    var: Annotated[Path | None, typer.Option(help="Folder for data, logs and the log-in.")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the map in a browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON line and no table.")] = False,
) -> None:
    """Show 225 taxis of Porto on a Monday morning, on a whole Outrider of its own.

    JSON keys: pings, drivers, deliveries, stops_done, etas, p50_ms, p99_ms (from ping to subscriber), refused,
    filtered, url.
    """
    settings = Settings()
    if var is not None:
        settings = settings.model_copy(update={"var": var})
    settings = settings.model_copy(update={"api": settings.api.model_copy(update={"port": _free_port(settings)})})
    settings.var.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (settings.var / "demo.log").open("a") as lines:
        configure_logging(settings.log_level, stream=lines)
        prepare_environment(settings)
        result = asyncio.run(_until_signalled(_Demo(settings, speed, seconds, browser=browser, quiet=as_json)))
    if as_json:
        print(json.dumps(result), flush=True)


@dataclass(slots=True)
class _Totals:
    """What the table shows."""

    pings: int = 0
    drivers: int = 0
    deliveries: int = 0
    stops_done: int = 0
    refused: int = 0
    filtered: int = 0
    lag_ms: float = 0.0
    recent: list[tuple[float, int]] = field(default_factory=list)

    def note_pings(self, count: int) -> None:
        """Count pings that were just sent."""
        now = time.monotonic()
        self.pings += count
        self.recent = [*(entry for entry in self.recent if entry[0] > now - _RATE_OVER_S), (now, count)]

    @property
    def pings_per_s(self) -> float:
        """The rate of the last seconds."""
        since = time.monotonic() - _RATE_OVER_S
        return sum(count for at, count in self.recent if at > since) / _RATE_OVER_S


class _Demo:
    """One demo from start to stop."""

    def __init__(self, settings: Settings, speed: float, seconds: float | None, *, browser: bool, quiet: bool) -> None:
        self._settings, self._speed, self._seconds = settings, speed, seconds
        self._browser, self._quiet = browser, quiet
        self._console = Console(stderr=quiet)
        self._totals = _Totals()
        self._probe = LatencyProbe()
        self._app: DriverApp | None = None
        self._finished = _Totals()
        self._url = self._page = self._email = self._password = ""

    async def run(self) -> None:
        """Start everything, play, stop everything."""
        trace = await asyncio.to_thread(read_trace, DEMO_TRACE)
        from engine.host import Host  # only now: it imports what reads the environment

        host = Host(self._settings)
        with self._console.status("Starting Outrider: stores, Ray, shards, API …"):
            await host.start()
        try:
            self._url = host.url
            async with OutriderClient(host.url) as client:
                await self._register(client)
                await self._play(client, trace)
        finally:
            with self._console.status("Stopping …"):
                await host.stop()

    def result(self) -> dict[str, Any]:
        """Return the figures of the JSON line."""
        from engine.telemetry.metrics import estimates  # as with the host

        self._sum_up()
        totals = self._totals
        return {
            "pings": totals.pings,
            "drivers": totals.drivers,
            "deliveries": totals.deliveries,
            "stops_done": totals.stops_done,
            "etas": estimates(),
            "p50_ms": round(self._probe.percentile_ms(50), 1),
            "p99_ms": round(self._probe.percentile_ms(99), 1),
            "refused": totals.refused,
            "filtered": totals.filtered,
            "url": self._url,
        }

    async def _register(self, client: OutriderClient) -> None:
        self._email, self._password = f"demo-{new_id('dem')[-8:]}@outrider.example", secrets.token_urlsafe(12)
        session = await client.register("Porto demo", self._email, self._password)
        self._page = f"{self._url}/#token={session.access_token}"
        secret = self._settings.var / "demo-login.json"
        with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"url": self._url, "email": self._email, "password": self._password}, file)
        if self._browser:
            await asyncio.to_thread(webbrowser.open, self._page)

    async def _play(self, client: OutriderClient, trace: Trace) -> None:
        live = client.subscribe("fleet", interval_ms=_FRAME_INTERVAL_MS)
        async with live, asyncio.TaskGroup() as group:
            side = [
                group.create_task(self._probe.follow(live), name="demo-probe"),
                group.create_task(self._watch_health(client), name="demo-health"),
                group.create_task(self._show(), name="demo-table"),
            ]
            await self._play_laps(client, trace)
            for task in side:
                task.cancel()

    async def _play_laps(self, client: OutriderClient, trace: Trace) -> None:
        left_s, lap = self._seconds, 0
        while left_s is None or left_s > 0:
            lap += 1
            drivers = await vehicle_ids(client, trace.vehicles, "taxi " if lap == 1 else f"lap {lap} taxi ")
            self._totals.drivers += len(drivers)
            playback = Playback(trace, self._speed, seconds=left_s)
            await self._play_lap(client, playback, drivers)
            # the length of the lap counts, not the clock: the last fix is due a moment before the end
            left_s = None if left_s is None else left_s - playback.seconds
            if left_s is None or left_s > 0:
                await self._clear(client, drivers)

    async def _play_lap(self, client: OutriderClient, playback: Playback, drivers: dict[int, str]) -> None:
        self._app = DriverApp(client, playback, drivers)
        async with asyncio.TaskGroup() as group, client.ingest() as stream:
            app = group.create_task(self._app.run(), name="demo-app")
            async for chunk in playback.chunks():
                self._probe.note_sent([drivers[place] for place in chunk.fixes["driver"].tolist()], chunk.fixes["time"])
                await send_chunk(stream, chunk, drivers)
                self._totals.note_pings(len(chunk.fixes))
                self._totals.refused = self._finished.refused + sum(stream.refused.values())
            await self._finish(stream, app)
        self._sum_up()
        self._finished = _Totals(
            deliveries=self._totals.deliveries, stops_done=self._totals.stops_done, refused=self._totals.refused
        )
        self._app = None

    async def _clear(self, client: OutriderClient, drivers: dict[int, str]) -> None:
        """Take a lap's taxis off the map before the next one; the run's last lap stays to be looked at."""
        for driver in drivers.values():
            with contextlib.suppress(ApiProblem):  # one whose last trip is still open stays
                await client.delete_driver(driver)

    async def _finish(self, stream: IngestStream, app: asyncio.Task[None]) -> None:
        """Let the last fixes arrive and the last drop-offs be reported; a run cut short leaves trips open."""
        async with asyncio.timeout(_DRAIN_WITHIN_S):
            await stream.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5 if self._seconds is not None else _DRAIN_WITHIN_S):
                await asyncio.shield(app)
        app.cancel()
        self._totals.refused = self._finished.refused + sum(stream.refused.values())

    def _sum_up(self) -> None:
        if self._app is not None:
            self._totals.deliveries = self._finished.deliveries + self._app.deliveries
            self._totals.stops_done = self._finished.stops_done + self._app.stops_done

    async def _watch_health(self, client: OutriderClient) -> None:
        before: int | None = None
        while True:
            with contextlib.suppress(ApiProblem, httpx2.TransportError):
                shards = await client.shards()
                filtered = sum(shard["counts"]["filtered"] for shard in shards)
                before = filtered if before is None else before
                self._totals.filtered = filtered - before
                self._totals.lag_ms = max((shard["lag_ms"] for shard in shards), default=0.0)
            await asyncio.sleep(_REFRESH_S)

    async def _show(self) -> None:
        if self._quiet:
            return
        with Live(self._table(), console=self._console, auto_refresh=False) as screen:
            while True:
                screen.update(self._table(), refresh=True)
                await asyncio.sleep(_REFRESH_S)

    def _table(self) -> Table:
        self._sum_up()
        totals, probe = self._totals, self._probe
        table = Table(title=f"Porto, Monday morning, {self._speed:g} × as fast", show_header=False, min_width=60)
        table.add_column(style="dim")
        table.add_column(overflow="fold")
        table.add_row("pings", f"{totals.pings:,}  ({totals.pings_per_s:,.0f} a second)")
        table.add_row("drivers", f"{totals.drivers:,}")
        table.add_row("deliveries", f"{totals.deliveries:,}, {totals.stops_done:,} stops done")
        table.add_row("fixes refused, filtered", f"{totals.refused:,}, {totals.filtered:,}")
        table.add_row("lag of the engine", f"{totals.lag_ms:,.0f} ms")
        table.add_row(
            "ping to subscriber", f"p50 {probe.percentile_ms(50):,.0f} ms, p99 {probe.percentile_ms(99):,.0f} ms"
        )
        table.add_row("map", f"[link={self._page}]{self._url}/[/link]")
        table.add_row("log-in", f"{self._email}  {self._password}")
        table.add_row("stop", "Ctrl-C")
        return table


async def _until_signalled(run: "_Demo") -> dict[str, Any]:
    """Run the demo; SIGINT and SIGTERM end it in good order."""
    loop = asyncio.get_running_loop()
    playing = loop.create_task(run.run(), name="demo")
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, playing.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await playing
    return run.result()


def _free_port(settings: Settings) -> int:
    """Return the port of the settings, or 0 (any free one) when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.api.host, settings.api.port))
        except OSError:
            return 0
    return settings.api.port
