"""A door on a port of its own: the real app on real stores behind uvicorn, and senders for it. No shards."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect

from api.auth.tokens import new_key
from api.services import Services
from models.messages.fixes import FIX
from models.messages.log import FIXES_FIELD, stream_key
from models.store.drivers import DriverRepository, NewDriver
from models.store.scope import Scope
from tests.rest import running_api
from tests.stack import Stores, eventually


@dataclass
class Door:
    """A running front door and one tenant's keys."""

    services: Services
    address: str
    tenant: str
    drivers: list[str]
    gateway: str
    device: str
    """Key of the first driver."""

    @property
    def url(self) -> str:
        """Return its HTTP address."""
        return f"http://{self.address}"

    def stream(self, token: str | None = None, query: str = "", **options: Any) -> connect:
        """Return an ingest stream, not yet open."""
        headers = {} if token == "" else {"Authorization": f"Bearer {token or self.gateway}"}
        uri = f"ws://{self.address}/api/v1/ws/ingest{query}"
        return connect(uri, additional_headers=headers, compression=None, proxy=None, **options)

    async def raw_stream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return the bare socket of an ingest stream after its handshake, for what no client library would send."""
        host, _, port = self.address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=2**12)
        request = (
            f"GET /api/v1/ws/ingest?token={self.gateway} HTTP/1.1",
            f"Host: {self.address}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            "\r\n",
        )
        writer.write("\r\n".join(request).encode())
        await reader.readuntil(b"\r\n\r\n")
        return reader, writer

    async def logged(self) -> np.ndarray:
        """Return all fixes of the log."""
        settings = self.services.settings
        found = [np.zeros(0, FIX)]
        for partition in range(settings.log.partitions):
            entries = await self.services.redis.xrange(stream_key(settings.prefix, partition))
            found += [np.frombuffer(fields[FIXES_FIELD], FIX) for _, fields in entries]
        return np.concatenate(found)

    async def history_catches_up(self) -> None:
        """Say what shards say when all of the log is in history."""
        settings = self.services.settings
        progress = dict.fromkeys(range(settings.log.partitions), (2**62, 2**62))
        channel = f"{settings.prefix}:progress"

        async def is_heard() -> bool:
            return bool(await self.services.redis.publish(channel, msgspec.msgpack.encode(progress)))

        await eventually(is_heard)


def now_ms() -> int:
    """Return the time, epoch milliseconds."""
    return int(time.time() * 1000)


def a_ping(driver: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return a good ping as a row."""
    ping = {"time": now_ms(), "latitude": 41.15, "longitude": -8.61} | fields
    return ping if driver is None else {"driverId": driver, **ping}


def packed_fixes(count: int, places: int = 1) -> np.ndarray:
    """Return good fixes for a packed frame."""
    fixes = np.zeros(count, FIX)
    fixes["time"], fixes["lat"], fixes["lon"] = now_ms(), 411_500_000, -86_100_000
    fixes["driver"], fixes["seq"], fixes["battery"] = np.arange(count) % places, -1, 255
    for name in ("speed", "heading", "accuracy", "altitude"):
        fixes[name] = np.nan
    return fixes


async def hear(stream: ClientConnection) -> dict[str, Any]:
    """Return the next message of the server."""
    message = await stream.recv()
    decode = msgspec.json.decode if isinstance(message, str) else msgspec.msgpack.decode
    said: dict[str, Any] = decode(message)
    return said


async def acknowledged(stream: ClientConnection, seq: int) -> list[dict[str, Any]]:
    """Return the refusals up to the acknowledgement of `seq`."""
    refused: list[dict[str, Any]] = []
    while True:
        said = await hear(stream)
        assert said["type"] == "ack", said
        refused += said["refused"]
        if said["seq"] >= seq:
            return refused


@contextlib.asynccontextmanager
async def running_door(stores: Stores, prefix: str, tenant: str, websocket: Any) -> AsyncIterator[Door]:
    """Serve the app with uvicorn and this WebSocket implementation."""
    async with running_api(stores, prefix) as (app, services):
        drivers = await DriverRepository(services.database, 64).create_many(
            Scope(tenant, "tests"), [NewDriver(name=f"van {n}", external_id=f"van-{n}") for n in range(3)]
        )
        gateway, gateway_token = new_key(tenant, "gateway", "depot", None)
        device, device_token = new_key(tenant, "device", "phone", drivers[0].id)
        await services.database["keys"].insert_many([gateway.stored(), device.stored()])
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(app, ws=websocket, lifespan="off", log_level="warning", ws_per_message_deflate=False)
        )
        async with serving(server, listening):
            host, port = listening.getsockname()[:2]
            ids = [driver.id for driver in drivers]
            yield Door(services, f"{host}:{port}", tenant, ids, gateway_token, device_token)


@contextlib.asynccontextmanager
async def address_of(app: FastAPI) -> AsyncIterator[str]:
    """Serve an application on a port of its own, and yield its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, ws="none", lifespan="off", log_level="error"))
    async with serving(server, listening):
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextlib.asynccontextmanager
async def serving(server: uvicorn.Server, listening: socket.socket) -> AsyncIterator[None]:
    """Run a server inside this event loop."""
    async with asyncio.TaskGroup() as group:
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]  # they are pytest's
        task = group.create_task(server.serve(sockets=[listening]), name="door")
        await eventually(lambda: server.started)
        try:
            yield
        finally:
            server.should_exit = True
            await task
