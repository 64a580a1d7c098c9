"""`outrider demo`: a whole Outrider with a fleet at work on it."""

import asyncio
import contextlib
import datetime
import json
import os
import secrets
import signal
import socket
import time
import webbrowser
from collections import deque
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from engine.collecting import collect_later
from engine.environment import prepare_environment
from engine.settings import Settings
from engine.telemetry.logging import configure_logging
from models.ids import new_id
from outrider.client import ApiProblem, OutriderClient
from outrider.data import TAXI_TRACE
from outrider.demo.apprentice import Apprentice, Company
from outrider.demo.morning import Morning
from outrider.demo.taxis import Taxis
from outrider.demo.town import PAST_DAYS, Town, load_city, load_roads
from outrider.probe import LatencyProbe
from outrider.traces import read_trace

__all__ = ["demo"]

_FRAME_INTERVAL_MS = 20
_REFRESH_S = 0.5
_RATE_OVER_S = 5.0
_ACCURACY_S = 3.0


def demo(
    seconds: Annotated[float | None, typer.Option(min=1, help="End after so many seconds; else on Ctrl-C.")] = None,
    speed: Annotated[
        float, typer.Option(min=1, max=60, help="Times faster than the clock in the first minute; then as fast as it.")
    ] = 20.0,
    vans: Annotated[int, typer.Option(min=1, max=100, help="Vans of the fleet.")] = 40,
    taxis: Annotated[bool, typer.Option("--taxis/--no-taxis", help="Let real taxis drive in the same city.")] = True,
    var: Annotated[Path | None, typer.Option(help="Folder for data, logs and the log-in.")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the map in a browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON line and no table.")] = False,
) -> None:
    """Show a fleet that plans its morning in Porto and drives it, on a whole Outrider of its own.

    The first minute is the last twenty of the fleet's morning; from then on it lives by the clock. Beside it 225 taxis
    drive as they really did on a Monday morning. Meanwhile a model of travel times learns from what the vans drove in
    the week before, and serves once it is trained.

    JSON keys: pings, drivers, deliveries, stops_done, etas, model (that serves in the end, null where none does),
    promises, promises_held (share in the promised range), promise_error_s, leg_error_s (at departure, of that model),
    p50_ms, p99_ms (from ping to subscriber), refused, filtered, url.
    """
    settings = Settings()
    if var is not None:
        settings = settings.model_copy(update={"var": var})
    settings = settings.model_copy(update={"api": settings.api.model_copy(update={"port": _free_port(settings)})})
    settings.var.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (settings.var / "demo.log").open("a") as lines:
        configure_logging(settings.log_level, stream=lines)
        prepare_environment(settings)
        run = _Demo(settings, vans=vans, taxis=taxis, speed=speed, seconds=seconds, browser=browser, quiet=as_json)
        result = asyncio.run(_until_signalled(run))
    if as_json:
        print(json.dumps(result), flush=True)


class _Demo:
    """One demo from start to stop."""

    def __init__(
        self,
        settings: Settings,
        *,
        vans: int,
        taxis: bool,
        speed: float,
        seconds: float | None,
        browser: bool,
        quiet: bool,
    ) -> None:
        self._settings, self._vans, self._speed, self._seconds = settings, vans, speed, seconds
        self._has_taxis = taxis
        self._browser, self._quiet = browser, quiet
        self._console = Console(stderr=quiet)
        self._probe = LatencyProbe()
        self._morning: Morning | None = None
        self._taxis: Taxis | None = None
        self._now = datetime.datetime.now(datetime.UTC)
        self._apprentice = Apprentice(vans, self._now, settings.var / "demo.log")
        self._accuracy: dict[str, Any] = {}
        self._sent: deque[tuple[float, int]] = deque()
        self._filtered, self._lag_ms = 0, 0.0
        self._doing = "starting"
        self._url = self._page = self._email = self._password = ""

    async def run(self) -> None:
        """Start everything, drive, stop everything."""
        with self._console.status("Reading the roads of Porto …"):
            city = load_city(await asyncio.to_thread(load_roads))
        collect_later()
        from engine.host import Host  # only now: it imports what reads the environment

        host = Host(self._settings)
        async with self._apprentice:
            with self._console.status("Starting Outrider: stores, Ray, shards, API …"):
                await host.start()
            try:
                self._url = host.url
                async with OutriderClient(host.url) as client:
                    tenant = await self._register(client)
                    await self._show(client, Town.of(city, self._vans, self._now), tenant)
            finally:
                with self._console.status("Stopping …"):
                    await host.stop()

    def result(self) -> dict[str, Any]:
        """Return the figures of the JSON line."""
        from engine.telemetry.metrics import estimates  # as with the host

        morning = self._morning
        pings, drivers, refused = self._sums()
        return {
            "pings": pings,
            "drivers": drivers,
            "deliveries": morning.deliveries if morning else 0,
            "stops_done": morning.stops_done if morning else 0,
            "etas": estimates(),
            **self._eta_figures(),
            "p50_ms": round(self._probe.percentile_ms(50), 1),
            "p99_ms": round(self._probe.percentile_ms(99), 1),
            "refused": refused,
            "filtered": self._filtered,
            "url": self._url,
        }

    def _sums(self) -> tuple[int, int, int]:
        """Return pings, drivers and refused pings of vans and taxis together."""
        fleets = [fleet for fleet in (self._morning, self._taxis) if fleet is not None]
        return (
            sum(fleet.pings for fleet in fleets),
            sum(fleet.drivers for fleet in fleets),
            sum(fleet.refused for fleet in fleets),
        )

    def _eta_figures(self) -> dict[str, Any]:
        """Return who said when vans arrive, and how right that was."""
        lesson, whole = self._apprentice.lesson, self._accuracy.get("whole", {})
        model = None if lesson is None else lesson.model
        legs = [one for one in self._accuracy.get("models", ()) if one["model"] == model]
        return {
            "model": model,
            "promises": whole.get("arrivals", 0),
            "promises_held": whole.get("coverage"),
            "promise_error_s": whole.get("meanAbsoluteErrorS"),
            "leg_error_s": legs[0]["meanAbsoluteErrorS"] if legs else None,
        }

    async def _register(self, client: OutriderClient) -> str:
        """Register the company, keep its log-in and return its id."""
        self._email, self._password = f"demo-{new_id('dem')[-8:]}@outrider.example", secrets.token_urlsafe(12)
        session = await client.register("Porto demo", self._email, self._password)
        self._page = f"{self._url}/#token={session.access_token}"
        secret = self._settings.var / "demo-login.json"
        with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"url": self._url, "email": self._email, "password": self._password}, file)
        if self._browser:
            await asyncio.to_thread(webbrowser.open, self._page)
        return session.tenant_id

    async def _show(self, client: OutriderClient, town: Town, tenant: str) -> None:
        """Let the fleet work, with all that watches it."""
        live = client.subscribe("fleet", interval_ms=_FRAME_INTERVAL_MS)
        morning = Morning(client, town, vans=self._vans, speed=self._speed, probe=self._probe)
        async with morning, live, asyncio.TaskGroup() as group:
            self._morning = morning
            side = [
                group.create_task(self._probe.follow(live), name="demo-probe"),
                group.create_task(self._watch_health(client), name="demo-health"),
                group.create_task(self._watch_accuracy(client), name="demo-accuracy"),
                group.create_task(self._draw(), name="demo-table"),
            ]
            if self._has_taxis:
                self._taxis = Taxis(client, await asyncio.to_thread(read_trace, TAXI_TRACE))
                side.append(group.create_task(self._taxis.drive(), name="demo-taxis"))
            self._doing = "orders come in and are planned: watch the search on the page, under Plan"
            company = Company(
                tenant=tenant,
                drivers=await morning.hire(),
                zone=str(town.city.zone),
                legs=str(self._settings.var / "legs"),
                models=str(self._settings.models),
            )
            side.append(group.create_task(self._apprentice.teach(company), name="demo-apprentice"))
            await morning.prepare(self._seconds)
            self._doing = ""
            await morning.drive(self._seconds)
            for task in side:
                task.cancel()

    async def _watch_health(self, client: OutriderClient) -> None:
        before: int | None = None
        while True:
            with contextlib.suppress(ApiProblem, httpx2.TransportError):
                shards = await client.shards()
                filtered = sum(shard["counts"]["filtered"] for shard in shards)
                before = filtered if before is None else before
                self._filtered = filtered - before
                self._lag_ms = max((shard["lag_ms"] for shard in shards), default=0.0)
            await asyncio.sleep(_REFRESH_S)

    async def _watch_accuracy(self, client: OutriderClient) -> None:
        while True:
            with contextlib.suppress(ApiProblem, httpx2.TransportError):
                self._accuracy = await client.eta_accuracy(days=1)
            await asyncio.sleep(_ACCURACY_S)

    async def _draw(self) -> None:
        if self._quiet:
            return
        with Live(self._table(), console=self._console, auto_refresh=False) as screen:
            while True:
                screen.update(self._table(), refresh=True)
                await asyncio.sleep(_REFRESH_S)

    def _table(self) -> Table:
        from engine.telemetry.metrics import estimates  # as with the host

        table = Table(title="A fleet's morning in Porto", show_header=False, min_width=60)
        table.add_column(style="dim")
        table.add_column(overflow="fold")
        if self._morning is not None:
            morning, plan, probe = self._morning, self._morning.plan, self._probe
            pings, drivers, refused = self._sums()
            table.add_row("now", self._doing or self._pace(morning))
            if plan is not None:
                table.add_row("plan", f"{plan.routes:,} routes, {plan.unserved:,} orders that fit nowhere")
            table.add_row("drivers", f"{drivers:,}, {morning.drivers:,} of them on planned routes")
            table.add_row("deliveries", f"{morning.deliveries:,}, {morning.stops_done:,} stops done")
            table.add_row("arrival estimates", f"{estimates():,}, {self._who_says()}")
            table.add_row("promises", self._how_right())
            table.add_row("pings", f"{pings:,}  ({self._pings_per_s(pings):,.0f} a second)")
            table.add_row("fixes refused, filtered", f"{refused:,}, {self._filtered:,}")
            table.add_row("lag of the engine", f"{self._lag_ms:,.0f} ms")
            table.add_row(
                "ping to subscriber", f"p50 {probe.percentile_ms(50):,.0f} ms, p99 {probe.percentile_ms(99):,.0f} ms"
            )
        table.add_row("map", f"[link={self._page}]{self._url}/[/link]")
        table.add_row("log-in", f"{self._email}  {self._password}")
        table.add_row("stop", "Ctrl-C")
        return table

    def _who_says(self) -> str:
        """Return who says when vans arrive."""
        lesson = self._apprentice.lesson
        if self._apprentice.has_failed:
            return "by base times: no model could be trained, see demo.log"
        if lesson is None:
            return f"by base times; a model learns from the last {PAST_DAYS} days …"
        learned = f"learned from {lesson.legs:,} legs in {lesson.took_s:.0f} s"
        return f"by model {lesson.model}, {learned}, {'; '.join(lesson.reasons)}"

    def _how_right(self) -> str:
        """Return how promises and the model's word at departures have held."""
        found = self._eta_figures()
        if not found["promises"]:
            return "none is due yet"
        held = f"{found['promises_held']:.0%} of {found['promises']:,} in their range"
        errors = f"{held}, {found['promise_error_s']:.0f} s off"
        leg_error_s = found["leg_error_s"]
        return errors if leg_error_s is None else f"{errors}; at departure {leg_error_s:.0f} s"

    def _pace(self, morning: Morning) -> str:
        behind_s = morning.clock.behind_s if morning.clock is not None else 0.0
        if behind_s > 0:
            return f"{self._speed:g} × as fast as the clock, {behind_s / 60:.0f} min to catch up"
        return "as it happens"

    def _pings_per_s(self, pings: int) -> float:
        now = time.monotonic()
        self._sent.append((now, pings))
        while self._sent[0][0] < now - _RATE_OVER_S:
            self._sent.popleft()
        since, before = self._sent[0]
        return (pings - before) / max(now - since, _REFRESH_S)


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
