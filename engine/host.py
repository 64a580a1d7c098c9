"""One whole Outrider on this machine: stores, Ray, shards, relay, feed, tasks, archive and API workers, in order."""

import asyncio
import contextlib
import itertools
import os
import socket
import sys
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import msgspec
import ray
import structlog
from pydantic import SecretStr
from redis.asyncio import Redis

from engine.caching import DocumentCache, Generations
from engine.client import Engine
from engine.collecting import collect_seldom
from engine.embedded import EmbeddedMongo, EmbeddedRedis
from engine.embedded.folders import FolderLock
from engine.embedded.process import ChildProcess, DiedEarly
from engine.embedded.secrets import read_secrets, secrets_file
from engine.environment import environment_of
from engine.eta.watch import CoverageWatch
from engine.feed.feed import Feed
from engine.feed.followers import followers_of
from engine.keys.lists import wrapping_keys
from engine.outbox.relay import OutboxRelay
from engine.partitions.supervisor import ShardSupervisor
from engine.registry import DriverRegistry
from engine.routing.reoptimize import warm_up
from engine.settings import Settings
from engine.sinks.archive import ArchiveLoop
from engine.supervisor import Supervisor
from engine.tasks.kinds import task_kinds_of
from engine.tasks.worker import TaskWorker
from engine.telemetry import metrics
from engine.telemetry.logging import quiet_ray
from engine.traffic.watch import TrafficWatch
from models.errors import BadSettings
from models.replacing import replacing
from models.store.connections import Database, connect_mongo, connect_redis
from models.store.indexes import ensure_indexes
from models.store.migrating import Migrations

__all__ = ["Host", "namespace"]

log = structlog.get_logger(__name__)

_BACKLOG = 2048
_OBJECT_STORE_BYTES = 80 * 2**20  # Ray's least: nothing of ours travels through it
_WORKER_START_S = 60.0
_RAY_TRIES = 2  # it gives its own processes 30 s, which a busy machine can exceed
_PIDS_EVERY_S = 1.0
_SOCKET_ROOT_MAX = 40  # Ray puts sockets far below its temp folder, and 107 characters are all there is


def namespace(settings: Settings) -> str:
    """Return the Ray namespace of this installation's actors."""
    return f"outrider-{settings.prefix}"


class Host:
    """Starts everything and keeps it running.

    Parameters
    ----------
    settings
        Where addresses are missing, the host starts what they would point to.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.url = ""
        """Address of the front door, valid from `start` on."""
        self._var = settings.var.resolve()
        self._lock = FolderLock(self._var)
        self._mongo: EmbeddedMongo | None = None
        self._redis_server: EmbeddedRedis | None = None
        self._stack = contextlib.AsyncExitStack()
        self._supervisor = Supervisor("host")
        self._shards: ShardSupervisor | None = None
        self._workers: list[ChildProcess] = []
        self._owns_cluster = settings.ray_address is None

    async def start(self) -> None:
        """Start everything; return when the front door answers.

        Raises
        ------
        BadSettings
            If something can't work here; the line says what to do. What was started is stopped again.
        """
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def stop(self) -> None:
        """Stop everything in the order that loses nothing. May be called twice."""
        await self._stack.aclose()

    def pids(self) -> dict[str, list[int]]:
        """Return the process ids by role."""
        stores = {"mongod": self._mongo, "redis": self._redis_server}
        found = {role: [store.pid] for role, store in stores.items() if store is not None and store.pid is not None}
        found["api"] = [worker.pid for worker in self._workers if worker.pid is not None]
        statuses = self._shards.status.values() if self._shards is not None else ()
        found["shards"] = [status["pid"] for status in statuses]
        return found | {"host": [os.getpid()]}

    async def _start(self) -> None:
        self._lock.take()
        self._stack.callback(self._lock.release)
        listener = self._listen()
        self._stack.callback(listener.close)
        await _timed("stores.started", self._start_stores())
        database, redis = self._connect()
        await self._migrate(database)
        await ensure_indexes(database, keep_days=self.settings.history.keep_days)
        await database.vault.check()
        await _timed("ray.started", asyncio.to_thread(self._start_ray))
        self._stack.push_async_callback(asyncio.to_thread, ray.shutdown)
        await self._start_processes(ShardSupervisor(self.settings, redis), listener)
        await self._start_tasks(database, redis)
        await asyncio.to_thread(_replace, self._var / "pids.json", msgspec.json.encode(self.pids()))
        collect_seldom()
        log.info("host.ready", url=self.url, var=str(self._var))

    async def _migrate(self, database: Database) -> None:
        """Bring the database to what this release expects, or say that somebody has to."""
        migrations = Migrations(database)
        if self.settings.migrate_at_start:
            for name in await migrations.up():
                log.info("migration.applied", migration=name)
        elif missing := [one.name for one in await migrations.status() if one.applied is None]:
            raise BadSettings(f"the database lacks {', '.join(missing)}; run `outrider migrate up`")

    async def _start_processes(self, shards: ShardSupervisor, listener: socket.socket) -> None:
        """Start shards and API workers side by side: both spend seconds on imports."""
        self._shards = shards
        self._stack.push_async_callback(shards.stop, cluster_stays=not self._owns_cluster)
        self._stack.push_async_callback(self._stop_workers)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_timed("shards.started", shards.start()), name="start-shards")
                group.create_task(_timed("workers.started", self._start_workers(listener)), name="start-workers")
        except ExceptionGroup as faults:
            first = faults.exceptions[0]
            if isinstance(first, TimeoutError):
                raise BadSettings(
                    "the shards did not come up in time; if the machine is not merely busy, "
                    f"see {self._ray_folder() or 'the temp folder'}/session_latest/logs"
                ) from faults
            raise first from faults

    async def _start_tasks(self, database: Database, redis: "Redis") -> None:
        if self._shards is not None:
            self._supervisor.run("shards", self._shards.run)
        relay = OutboxRelay(database, redis, self.settings)
        self._supervisor.run("feed", Feed(database, followers_of(database, self.settings), relay).run)
        if self.settings.archive.enabled:
            self._supervisor.run("archive", ArchiveLoop(database, self.settings).run)
        self._supervisor.run("eta-coverage", CoverageWatch(database, self.settings.eta).run)
        if self.settings.travel.traffic:
            self._supervisor.run("traffic", TrafficWatch(database, self.settings).run)
        self._supervisor.run("pids", self._note_pids)
        self._supervisor.run("warm-up", lambda: asyncio.to_thread(warm_up))
        self._stack.push_async_callback(self._supervisor.stop)
        await self._supervisor.start()
        engine = Engine(self.settings, database, redis, DriverRegistry(database, self.settings.log.partitions))
        await engine.shards.start()
        self._stack.push_async_callback(engine.shards.stop)  # the cluster itself is the host's own to leave
        worker = TaskWorker(database, task_kinds_of(database, redis, self.settings, engine))
        await worker.start()
        self._stack.push_async_callback(worker.stop)

    async def _start_stores(self) -> None:
        resolved: dict[str, Any] = {"var": self._var}  # shards may run in another folder
        if not (self.settings.signing_secrets or self.settings.jwt_secrets_file):
            read_secrets(self._var, "jwt")
            resolved["jwt_secrets_file"] = secrets_file(self._var, "jwt")
        if not (self.settings.master_keys or self.settings.master_keys_file):
            # beside the file, for shards on machines that don't have it
            resolved["master_keys"] = tuple(map(SecretStr, read_secrets(self._var, "master")))
            resolved["master_keys_file"] = secrets_file(self._var, "master")
        if self.settings.redis_url is None:
            self._redis_server = EmbeddedRedis(self._var / "redis", appendfsync=self.settings.log.appendfsync)
            await self._redis_server.start()
            self._stack.push_async_callback(self._redis_server.stop)
            resolved["redis_url"] = SecretStr(self._redis_server.url)
        if self.settings.mongo_url is None:
            self._mongo = EmbeddedMongo(self._var / "mongo", cache_gib=self.settings.embedded.mongo_cache_gib)
            await self._mongo.start()
            self._stack.push_async_callback(self._mongo.stop)
            resolved["mongo_url"] = SecretStr(self._mongo.url)
        self.settings = self.settings.model_copy(update=resolved)

    def _connect(self) -> tuple[Database, "Redis"]:
        mongo, address = self.settings.mongo_url, self.settings.redis_url
        if mongo is None or address is None:
            raise BadSettings("the addresses of the stores are missing")
        settings = self.settings
        database = connect_mongo(
            mongo.get_secret_value(), settings.database, wrapping_keys(settings), apart=settings.tenants_apart
        )
        redis = connect_redis(address.get_secret_value())
        database.kept = DocumentCache(Generations(redis, settings.prefix), redis, settings.prefix)
        self._stack.callback(database.client.close)
        self._stack.push_async_callback(redis.aclose)
        return database, redis

    def _listen(self) -> socket.socket:
        api = self.settings.api
        listener = socket.socket(socket.AF_INET6 if ":" in api.host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((api.host, api.port))
        except OSError as error:
            listener.close()
            raise BadSettings(
                f"can't listen on {api.host}:{api.port} ({error.strerror}); "
                "stop what listens there, or set OUTRIDER_API__PORT to another port (0 takes a free one)"
            ) from error
        listener.listen(_BACKLOG)
        host = f"[{api.host}]" if ":" in api.host else api.host
        self.url = f"http://{host}:{listener.getsockname()[1]}"
        return listener

    def _start_ray(self) -> None:
        quiet_ray()
        if self.settings.ray_address is not None:
            ray.init(self.settings.ray_address, namespace=namespace(self.settings), log_to_driver=False)
            return
        # Whoever reaches a Ray port can run code: a token of this folder's own, handed to children by the environment.
        os.environ.setdefault("RAY_AUTH_TOKEN", read_secrets(self._var, "ray")[0])
        context = self._init_local_ray()
        self.settings = self.settings.model_copy(update={"ray_address": context.address_info["gcs_address"]})

    def _init_local_ray(self) -> Any:
        folder, said = self._ray_folder(), ""
        for attempt in range(1, _RAY_TRIES + 1):
            try:
                return ray.init(
                    namespace=namespace(self.settings),
                    include_dashboard=False,
                    object_store_memory=_OBJECT_STORE_BYTES,
                    log_to_driver=False,
                    configure_logging=False,
                    _node_ip_address="127.0.0.1",
                    _temp_dir=folder,
                )
            except Exception as error:  # noqa: BLE001  # Ray raises it bare
                ray.shutdown()
                log.warning("ray.start_failed", attempt=attempt, error=str(error))
                said = str(error)
        raise BadSettings(f"Ray did not start ({said}); its logs are in {folder or 'the temp folder'}")

    def _ray_folder(self) -> str | None:
        folder = self._var / "ray"
        return str(folder) if len(str(folder)) <= _SOCKET_ROOT_MAX else None

    async def _start_workers(self, listener: socket.socket) -> None:
        self._workers = [
            ChildProcess(
                f"api-{index}",
                [sys.executable, "-m", "api.worker", "--fd", str(listener.fileno())],
                log_file=self._var / f"api-{index}.log",
                ready=self._worker_answers,
                env={**os.environ, **environment_of(self.settings)},
                pass_fds=[listener.fileno()],
                start_within_s=_WORKER_START_S,
            )
            for index in range(self.settings.api.workers)
        ]
        try:
            await asyncio.gather(*(worker.start() for worker in self._workers))
        except DiedEarly as error:
            last = error.tail.splitlines()[-1] if error.tail else "no message"
            raise BadSettings(
                f"an API worker did not start: {last}; its log is {self._var / error.name}.log"
            ) from error
        except TimeoutError as error:
            raise BadSettings(
                f"no API worker answered within {_WORKER_START_S:.0f} s; see {self._var}/api-*.log"
            ) from error

    async def _stop_workers(self) -> None:
        await asyncio.gather(*(worker.stop() for worker in self._workers))

    async def _worker_answers(self) -> None:
        """Wait for an answer: the host holds the listening socket, so that a connection alone says nothing."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        request = b"GET /api/v1/health HTTP/1.1\r\nHost: outrider\r\nConnection: close\r\n\r\n"
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
                try:
                    writer.write(request)
                    if (await reader.readline()).startswith(b"HTTP/1.1 200"):
                        return
                finally:
                    writer.close()
            await asyncio.sleep(0.05)

    async def _note_pids(self) -> None:
        """Keep `var/pids.json` current, for `outrider doctor` and for whoever wants to look at a process."""
        path = self._var / "pids.json"
        noted: dict[str, list[int]] = {}
        while True:
            if (pids := self.pids()) != noted:
                for gone in set(itertools.chain(*noted.values())) - set(itertools.chain(*pids.values())):
                    metrics.forget_process(gone)
                noted = pids
                await asyncio.to_thread(_replace, path, msgspec.json.encode(pids))
            await asyncio.sleep(_PIDS_EVERY_S)


async def _timed(event: str, work: Awaitable[None]) -> None:
    began = time.monotonic()
    await work
    log.info(event, duration_ms=round((time.monotonic() - began) * 1000))


def _replace(path: Path, data: bytes) -> None:
    with replacing(path) as partial:
        partial.write_bytes(data)
