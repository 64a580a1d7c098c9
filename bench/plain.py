"""The plain alternative: a FastAPI route that validates each ping with pydantic and inserts it with Motor.

What one writes first when asked for a tracking API, and beside it the same with one `insert_many` a request. It runs
under the same uvicorn settings, against the same `mongod`, and answers once its insert is majority-committed and in the
journal: what ours reports as `durable`.
"""

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx2
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

from models.store.connections import connect_mongo

__all__ = ["BULK_PATH", "EACH_PATH", "plain_app", "running_plain", "serve"]

READY_WITHIN_S = 20.0
DATABASE = "plain"
EACH_PATH = "/api/v1/pings"
"""Inserts ping by ping, as the first version of a tracking API does."""
BULK_PATH = "/api/v1/pings/bulk"
"""Inserts a request's pings with one `insert_many`: the same after somebody has looked at it once."""


class PlainPing(BaseModel):
    """A ping as the plain alternative takes it."""

    driverId: Annotated[str, Field(min_length=1, max_length=64)]  # noqa: N815  # the name on the wire
    time: Annotated[int, Field(ge=946_684_800_000)]
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    speed: float | None = None
    heading: float | None = None
    accuracy: Annotated[float | None, Field(ge=0)] = None
    sequence: int | None = None


class PlainBatch(BaseModel):
    """What one request brings."""

    pings: list[PlainPing]


def plain_app(mongo_url: str) -> FastAPI:
    """Return the plain alternative's app."""
    app = FastAPI()
    pings: Any = connect_mongo(mongo_url, DATABASE)["pings"]

    @app.post(EACH_PATH)
    async def take_each(batch: PlainBatch) -> dict[str, Any]:
        for ping in batch.pings:
            await pings.insert_one(ping.model_dump())
        return {"accepted": len(batch.pings), "refused": []}

    @app.post(BULK_PATH)
    async def take_bulk(batch: PlainBatch) -> dict[str, Any]:
        await pings.insert_many([ping.model_dump() for ping in batch.pings], ordered=False)
        return {"accepted": len(batch.pings), "refused": []}

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


@contextlib.asynccontextmanager
async def running_plain(mongo_url: str, module: str = "bench.plain") -> AsyncIterator[tuple[str, int, int]]:
    """Run a plain alternative, the one of `module`, in a process of its own; yield host, port and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, mongo_url, str(port)), stdin=asyncio.subprocess.DEVNULL
    )
    try:
        await _answers(port)
        yield "127.0.0.1", port, process.pid
    finally:
        process.terminate()
        await process.wait()


async def _answers(port: int) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    async with httpx2.AsyncClient(trust_env=False) as http:
        while True:
            try:
                (await http.get(f"http://127.0.0.1:{port}/health")).raise_for_status()
            except httpx2.HTTPError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
            else:
                return


def serve(app: FastAPI, port: int) -> None:
    """Serve an app under the settings of the real API processes, as far as they matter."""
    uvicorn.run(
        app, host="127.0.0.1", port=port, loop="uvloop", http="httptools", log_level="warning", access_log=False
    )


if __name__ == "__main__":
    serve(plain_app(sys.argv[1]), int(sys.argv[2]))
