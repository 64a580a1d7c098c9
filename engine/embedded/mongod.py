"""The embedded `mongod`: a replica set of one on loopback, because transactions need a replica set."""

import asyncio
from pathlib import Path
from typing import Any

import structlog
from pymongo.errors import OperationFailure, PyMongoError

from engine.embedded.binaries import find_mongod
from engine.embedded.folders import FolderLock, free_port, port_is_free, require_space
from engine.embedded.process import ChildProcess, DiedEarly, end_orphan
from models.errors import BadSettings
from models.store.connections import Database, connect_mongo

__all__ = ["EmbeddedMongo"]

log = structlog.get_logger()

_REPLICA_SET = "rs0"
_SPACE_MIB = 512  # a fresh data folder takes 300 MiB
_FILE_MANAGER = "file_manager=(close_handle_minimum=500,close_idle_time=10,close_scan_interval=2)"
"""With a database for each company every one has 95 files, which WiredTiger keeps open for ten minutes by itself: a
server with 20,000 open files ended at the 207th company."""
_OPLOG_MIB = 990  # the server's own default is a twentieth of the disk
_NOT_YET_INITIALISED = 94
_EXIT_PORT_TAKEN = 48
_PORT_TRIES = 3


class EmbeddedMongo:
    """A supervised `mongod` with its data in a folder.

    Parameters
    ----------
    folder
        Data, log, port and pid file; made when missing.
    cache_gib
        WiredTiger's cache, GiB; the server takes half of the memory otherwise.
    """

    def __init__(self, folder: Path, *, cache_gib: float = 0.25) -> None:
        self._folder = folder.resolve()
        self._cache_gib = cache_gib
        self._lock = FolderLock(self._folder)
        self._child: ChildProcess | None = None
        self._port = 0
        self.url = ""
        """Address for clients, valid from `start` on and across restarts."""

    @property
    def pid(self) -> int | None:
        """Return the server's process id while it runs."""
        return self._child.pid if self._child is not None else None

    @property
    def restarts(self) -> int:
        """Return how often the server died and was started again."""
        return self._child.restarts if self._child is not None else 0

    async def start(self) -> None:
        """Start the server; return when it is primary and takes writes.

        Raises
        ------
        BadSettings
            If it can't run here; the line says what to do.
        """
        program = find_mongod()
        self._lock.take()
        try:
            require_space(self._folder, _SPACE_MIB)
            await asyncio.to_thread(end_orphan, self._folder / "pid", str(self._folder))
            (self._folder / "data").mkdir(exist_ok=True)
            await self._start_on_some_port(program)
        except DiedEarly as error:
            self._lock.release()
            raise BadSettings(self._diagnosis(error)) from error
        except TimeoutError as error:
            self._lock.release()
            raise BadSettings(
                f"the embedded mongod was not ready in time; its log is {self._folder / 'mongod.log'}"
            ) from error
        except BaseException:
            self._lock.release()
            raise

    async def stop(self) -> None:
        """Stop the server; its data is in order on return. May be called twice."""
        if self._child is not None:
            await self._child.stop()
        self._lock.release()

    async def _start_on_some_port(self, program: Path) -> None:
        for attempt in range(1, _PORT_TRIES + 1):
            self._port = self._choose_port()
            self.url = f"mongodb://127.0.0.1:{self._port}/?replicaSet={_REPLICA_SET}"
            self._child = ChildProcess(
                "mongod",
                self._command(program),
                log_file=self._folder / "mongod.log",
                ready=self._is_primary,
                pid_file=self._folder / "pid",
            )
            try:
                await self._child.start()
            except DiedEarly as error:  # somebody took the port between our look and the server's bind
                if error.code != _EXIT_PORT_TAKEN or attempt == _PORT_TRIES:
                    raise
            else:
                (self._folder / "port").write_text(str(self._port))
                return

    def _choose_port(self) -> int:
        """Return the port of the last run when it is free, so that addresses people noted stay good."""
        try:
            kept = int((self._folder / "port").read_text())
        except (OSError, ValueError):
            return free_port()
        return kept if port_is_free(kept) else free_port()

    def _command(self, program: Path) -> list[str]:
        return [
            str(program),
            *("--replSet", _REPLICA_SET),
            *("--dbpath", str(self._folder / "data")),
            *("--bind_ip", "127.0.0.1"),
            *("--port", str(self._port)),
            "--nounixsocket",  # nobody uses it, and it would lie in the shared temp folder
            *("--networkMessageCompressors", "snappy,zstd"),  # no zlib: CVE-2025-14847 in servers before 6.0.27
            *("--wiredTigerCacheSizeGB", str(self._cache_gib)),
            *("--oplogSize", str(_OPLOG_MIB)),
            *("--wiredTigerEngineConfigString", _FILE_MANAGER),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        ]

    async def _is_primary(self) -> None:
        await self._listens()
        # The set may not exist yet, or may still carry the port of an earlier run: ask this server alone.
        database = connect_mongo(f"mongodb://127.0.0.1:{self._port}/?directConnection=true", "admin")
        try:
            await self._configure(database)
            while True:
                try:
                    if (await database.command("hello"))["isWritablePrimary"]:
                        return
                except PyMongoError as error:
                    log.debug("mongod.waited_for", error=str(error))
                await asyncio.sleep(0.02)
        finally:
            database.client.close()

    async def _listens(self) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                await writer.wait_closed()
                return

    async def _configure(self, database: Database) -> None:
        """Make the replica set at the first start; move it to the present port where that changed."""
        host = f"127.0.0.1:{self._port}"
        try:
            config: dict[str, Any] = (await database.command("replSetGetConfig"))["config"]
        except OperationFailure as error:
            if error.code != _NOT_YET_INITIALISED:
                raise
            await database.command("replSetInitiate", {"_id": _REPLICA_SET, "members": [{"_id": 0, "host": host}]})
            return
        if config["members"][0]["host"] != host:
            config["members"][0]["host"] = host
            config["version"] += 1
            await database.command("replSetReconfig", config, force=True)

    def _diagnosis(self, error: DiedEarly) -> str:
        log_file, data = self._folder / "mongod.log", self._folder / "data"
        last = error.tail.splitlines()[-1] if error.tail else "a library is missing"
        reasons = {
            14: f"can't read its data in {data}; move it aside with `mv {data} {data}.broken` or put a backup there",
            62: f"finds data of another release in {data}; use that release, or move it aside: `mv {data} {data}.old`",
            100: f"can't use {data}: another mongod may run on it, or the disk is full",
            127: f"can't be run on this system ({last})",
        }
        crashed = f"stopped by signal {-error.code} while it opened {data}; if that repeats, move it aside"
        reason = reasons.get(error.code) or (crashed if error.code < 0 else f"did not start (exit code {error.code})")
        return f"the embedded mongod {reason}; its log is {log_file}"
