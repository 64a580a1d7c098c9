"""The real thing under measurement: `outrider up` in a folder of its own, with a tenant, drivers and a key."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec
import psutil

from models.errors import BadSettings
from outrider.client import OutriderClient

__all__ = ["Account", "Stack", "running_stack"]

READY_WITHIN_S = 240.0  # Ray takes its time on a busy machine
STOP_WITHIN_S = 90.0
PASSWORD = "a password of the benches"  # noqa: S105  # of a tenant that lives for one run
_BULK = 1000


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant of its own with its drivers."""

    tenant: str
    token: str
    """Access token of its admin."""
    key: str
    """Gateway key."""
    drivers: Sequence[str]
    """Ids, in the order of the simulated fleet."""
    numbers: Sequence[int]
    """What packed records call them."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running Outrider."""

    url: str
    var: Path
    pid: int

    @property
    def address(self) -> tuple[str, int]:
        """Return host and port of the front door."""
        parts = urlsplit(self.url)
        return parts.hostname or "127.0.0.1", parts.port or 80

    def pids(self) -> dict[str, list[int]]:
        """Return the ids of its processes by role: `host`, `mongod`, `redis`, `api`, `shards`."""
        found: dict[str, list[int]] = json.loads((self.var / "pids.json").read_text())
        return found

    def store_urls(self) -> tuple[str, str]:
        """Return the addresses of MongoDB and Redis, as the API processes have them."""
        environment = psutil.Process(self.pids()["api"][0]).environ()
        return environment["OUTRIDER_MONGO_URL"], environment["OUTRIDER_REDIS_URL"]

    async def open_account(self, drivers: int) -> Account:
        """Register a tenant with drivers and a gateway key."""
        async with OutriderClient(self.url) as client:
            session = await client.register(tenant="Bench", email=f"{uuid.uuid4().hex}@example.com", password=PASSWORD)
            key = await client.create_key("gateway", "load")
        headers = {"Authorization": f"Bearer {session.access_token}"}
        made: list[dict[str, Any]] = []
        async with httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=60.0, trust_env=False) as http:
            for first in range(0, drivers, _BULK):
                names = [{"name": f"Van {first + i}"} for i in range(min(_BULK, drivers - first))]
                answer = await http.post("/api/v1/drivers/bulk", json=names)
                answer.raise_for_status()
                made += msgspec.json.decode(answer.content)
        return Account(
            session.tenant_id,
            session.access_token,
            key,
            [driver["id"] for driver in made],
            [driver["number"] for driver in made],
        )

    async def shard_statuses(self, token: str) -> list[dict[str, Any]]:
        """Return what the shards say of themselves."""
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=10.0, trust_env=False) as http:
            answer = await http.get("/api/v1/health/detailed")
        shards = msgspec.json.decode(answer.content)["parts"]["shards"]
        return list(shards["shards"] or ())

    async def received(self, token: str, pings: int, *, within_s: float) -> bool:
        """Wait until the shards have applied this many pings, and tell whether they have."""
        deadline = time.monotonic() + within_s
        while (await self.counts(token)).get("received", 0) < pings:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.1)
        return True

    async def counts(self, token: str) -> dict[str, int]:
        """Return how many pings the shards have received, and what became of them."""
        sums: dict[str, int] = {}
        for status in await self.shard_statuses(token):
            for name, count in status["counts"].items():
                sums[name] = sums.get(name, 0) + count
        return sums


@contextlib.asynccontextmanager
async def running_stack(variables: Mapping[str, str] | None = None) -> AsyncIterator[Stack]:
    """Start `outrider up` on a free port with a new folder, as a user would; end it with SIGTERM.

    Parameters
    ----------
    variables
        Settings by environment, such as `OUTRIDER_SHARDS__COUNT`.
    """
    with tempfile.TemporaryDirectory(prefix="or-bench-", ignore_cleanup_errors=True) as folder:
        var = Path(folder)
        own = {"OUTRIDER_VAR": folder, "OUTRIDER_API__PORT": "0", "OUTRIDER_LOG_LEVEL": "info"}  # its log is read
        environment = {**os.environ, **own, **(variables or {})}
        log_file = var / "host.log"
        with log_file.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "outrider", "up"),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            stack = Stack(await _ready_url(process, log_file), var, process.pid)
            await _noted(stack)
            yield stack
        finally:
            await _end(process)


async def _ready_url(process: asyncio.subprocess.Process, log_file: Path) -> str:
    deadline = time.monotonic() + READY_WITHIN_S
    while process.returncode is None and time.monotonic() < deadline:
        if (url := _url_in(log_file)) is not None:
            return url
        await asyncio.sleep(0.1)
    raise BadSettings(f"`outrider up` did not become ready: {_last_line(log_file)}")


def _url_in(log_file: Path) -> str | None:
    for line in log_file.read_text(errors="replace").splitlines():
        if '"host.ready"' in line:
            url: str = json.loads(line)["url"]
            return url
    return None


def _last_line(log_file: Path) -> str:
    lines = log_file.read_text(errors="replace").splitlines()
    return lines[-1] if lines else "it said nothing"


async def _noted(stack: Stack) -> None:
    """Wait until the host has written down the ids of its processes."""
    async with asyncio.timeout(READY_WITHIN_S):
        while not (stack.var / "pids.json").exists() or not all(stack.pids().values()):  # noqa: ASYNC110  # a file
            await asyncio.sleep(0.1)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
