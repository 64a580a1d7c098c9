"""`outrider up`: a whole Outrider on this machine, until Ctrl-C or SIGTERM."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from engine.collecting import collect_later
from engine.environment import prepare_environment
from engine.settings import Settings
from engine.telemetry.logging import configure_logging

__all__ = ["greeting", "up"]


def up(
    port: Annotated[int | None, typer.Option(help="Port of the front door; 0 takes a free one.")] = None,
    var: Annotated[Path | None, typer.Option(help="Folder for data, logs and development secrets.")] = None,
) -> None:
    """Run a whole Outrider on this machine. Settings come from `OUTRIDER_…` variables and `.env`."""
    settings = Settings()
    if var is not None:
        settings = settings.model_copy(update={"var": var})
    if port is not None:
        settings = settings.model_copy(update={"api": settings.api.model_copy(update={"port": port})})
    configure_logging(settings.log_level)
    prepare_environment(settings)
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    collect_later()
    from engine.host import Host  # only now: it imports what reads the environment

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    host = Host(settings)
    starting = loop.create_task(host.start(), name="host-start")
    interrupted = loop.create_task(stopping.wait(), name="host-interrupted")
    try:
        await asyncio.wait((starting, interrupted), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return
        await starting
        if sys.stdout.isatty():
            print(greeting(host.url, host.settings.var), flush=True)
        await stopping.wait()
    finally:
        interrupted.cancel()
        await host.stop()


def greeting(url: str, var: Path) -> str:
    """Return what a person at a terminal reads when Outrider is ready: where it is, and the first thing to do."""
    account = {"tenant": "Blue Vans", "email": "ana@example.com", "password": "correct horse battery"}
    return (
        f"\nOutrider runs at {url}, its data is in {var}\n"
        "Register a company:\n"
        f"  curl -s {url}/api/v1/auth/register -H 'Content-Type: application/json' \\\n"
        f"       -d '{json.dumps(account)}'\n"
        f"The API describes itself at {url}/docs. Ctrl-C stops everything.\n"
    )
