"""The real stores, Ray and a whole Outrider, each started once a session and only when a test asks for it.

Tests keep apart by tenant and by key prefix; nothing is flushed between them.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from pydantic import SecretStr

from engine.embedded import EmbeddedMongo, EmbeddedRedis
from engine.settings import Settings
from models.store.connections import Database, connect_mongo

MASTER_KEYS = (SecretStr("the master key of the tests' personal data"),)


def connected(mongo_url: str, database: str) -> Database:
    """Return a connection for tests; with `OUTRIDER_TENANCY=database` tenants are apart here too."""
    return connect_mongo(mongo_url, database, MASTER_KEYS, apart=Settings().tenants_apart)


READY_WITHIN_S = 180.0  # other work may share the machine


@dataclass(frozen=True)
class Stores:
    """Addresses of the session's stores."""

    mongo_url: str
    redis_url: str
    mongo: EmbeddedMongo
    redis: EmbeddedRedis


@dataclass(frozen=True)
class RunningOutrider:
    """An Outrider in processes of its own."""

    url: str
    var: Path
    process: "subprocess.Popen[bytes]"

    def pids(self) -> dict[str, list[int]]:
        """Return the ids of its processes: `host`, `mongod`, `redis`, `api`, `shards`."""
        found: dict[str, list[int]] = json.loads((self.var / "pids.json").read_text())
        return found

    def log_lines(self) -> list[dict[str, Any]]:
        """Return what it has logged so far."""
        return list(_json_lines(self.var / "host.log"))


async def eventually(condition: Callable[[], Any | Awaitable[Any]], within_s: float = 5.0) -> Any:
    """Return the first true result of `condition`, asked every 20 ms; fail when none came in time."""
    deadline = time.monotonic() + within_s
    while True:
        result = condition()
        if asyncio.iscoroutine(result) or isinstance(result, asyncio.Future):
            result = await result
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{getattr(condition, '__name__', condition)} stayed false for {within_s} s")
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running_stores() -> AsyncIterator[Stores]:
    """Start both stores in a temp folder; stop them at the end."""
    with tempfile.TemporaryDirectory(prefix="outrider-stores-") as root:
        mongo, redis = EmbeddedMongo(Path(root) / "mongo"), EmbeddedRedis(Path(root) / "redis")
        try:
            await asyncio.gather(mongo.start(), redis.start())
            yield Stores(mongo.url, redis.url, mongo, redis)
        finally:
            await asyncio.gather(mongo.stop(), redis.stop())


@contextlib.contextmanager
def running_ray(namespace: str) -> Iterator[None]:
    """Start a Ray of this process's own; shut it down at the end."""
    import ray  # here, because importing it takes a second that most test runs do not need

    with tempfile.TemporaryDirectory(prefix="or-ray-", ignore_cleanup_errors=True) as folder:
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            namespace=namespace,
            object_store_memory=100 * 2**20,
            log_to_driver=False,
            _temp_dir=folder,
        )
        try:
            yield
        finally:
            ray.shutdown()


@contextlib.contextmanager
def running_outrider(*, var: Path | None = None, **variables: str) -> Iterator[RunningOutrider]:
    """Start `outrider up` on a free port with a folder of its own, as a user would; end it with SIGTERM.

    It is to end in order, with nothing left.

    Parameters
    ----------
    var
        Its folder, which stays; a temp folder by default.
    variables
        Settings by environment, such as `OUTRIDER_SHARDS__COUNT="2"`.
    """
    with tempfile.TemporaryDirectory(prefix="or-", ignore_cleanup_errors=True) as folder:
        var = var or Path(folder)
        env = {**os.environ, "OUTRIDER_VAR": str(var), "OUTRIDER_API__PORT": "0", **variables}
        with (var / "host.log").open("wb") as output:
            process = subprocess.Popen(  # the whole product, as a child
                [sys.executable, "-m", "outrider", "up"],
                env=env,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a group of its own, which a test can signal as a whole
            )
        try:
            yield RunningOutrider(_ready_url(process, var / "host.log"), var, process)
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return  # the test has ended it
    everything = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(60) == 0
        assert [child for child in everything if lives(child)] == []
    finally:
        process.kill()
        process.wait()


def lives(process: psutil.Process) -> bool:
    """Tell whether a process has not ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _ready_url(process: "subprocess.Popen[bytes]", log_file: Path) -> str:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        for line in _json_lines(log_file):
            if line.get("event") == "host.ready":
                url: str = line["url"]
                return url
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(0.1)
            raise AssertionError(f"outrider up ended with code {code}:\n{log_file.read_text()[-4000:]}")
    raise AssertionError(f"outrider up was not ready in {READY_WITHIN_S} s:\n{log_file.read_text()[-4000:]}")


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            if isinstance(parsed := json.loads(line), dict):
                yield parsed
