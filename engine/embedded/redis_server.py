"""The embedded Redis-compatible server: append-only file on, a unix socket, nothing on the network."""

import asyncio
from pathlib import Path
from typing import Literal

from redis.exceptions import RedisError

from engine.embedded.binaries import find_redis_server
from engine.embedded.folders import FolderLock, require_space, socket_path
from engine.embedded.process import ChildProcess, DiedEarly, end_orphan
from models.errors import BadSettings
from models.store.connections import connect_redis

__all__ = ["EmbeddedRedis"]

_SPACE_MIB = 256
_REWRITE_MIN = "512mb"  # the log is trimmed all the time: a rewrite copies little, but each one forks the server


class EmbeddedRedis:
    """A supervised Redis or Valkey with its data in a folder.

    Parameters
    ----------
    folder
        Data, log and pid file; made when missing.
    appendfsync
        `always` answers a write once it is on disk, `everysec` up to a second before.
    """

    def __init__(self, folder: Path, *, appendfsync: Literal["always", "everysec"] = "always") -> None:
        self._folder = folder.resolve()
        self._appendfsync = appendfsync
        self._lock = FolderLock(self._folder)
        self._child: ChildProcess | None = None
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
        """Start the server; return when it has loaded its data and answers.

        Raises
        ------
        BadSettings
            If it can't run here; the line says what to do.
        """
        program = find_redis_server()
        self._lock.take()
        try:
            require_space(self._folder, _SPACE_MIB)
            await asyncio.to_thread(end_orphan, self._folder / "pid", str(self._folder))
            socket = socket_path(self._folder, "redis.sock")
            self.url = f"unix://{socket}"
            self._child = ChildProcess(
                "redis",
                self._command(program, socket),
                log_file=self._folder / "redis.log",
                ready=self._answers,
                pid_file=self._folder / "pid",
                start_within_s=300.0,  # a large log is read back before the first answer
            )
            await self._child.start()
        except DiedEarly as error:
            self._lock.release()
            raise BadSettings(self._diagnosis(error)) from error
        except BaseException:
            self._lock.release()
            raise

    async def stop(self) -> None:
        """Stop the server; the append-only file is complete on return. May be called twice."""
        if self._child is not None:
            await self._child.stop()
        self._lock.release()

    def _command(self, program: Path, socket: Path) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "aof-load-truncated": "yes",
            "auto-aof-rewrite-min-size": _REWRITE_MIN,
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        return [str(program), *(part for name, value in options.items() for part in (f"--{name}", value))]

    async def _answers(self) -> None:
        client = connect_redis(self.url)
        try:
            while True:
                try:
                    await client.exists("outrider")
                except (RedisError, OSError):  # not there yet, or still loading
                    await asyncio.sleep(0.02)
                else:
                    return
        finally:
            await client.aclose()

    def _diagnosis(self, error: DiedEarly) -> str:
        log_file = self._folder / "redis.log"
        tail = error.tail.lower()
        if "bad file format" in tail or "appendonly" in tail or "aof" in tail:
            return (
                f"the embedded Redis can't read its data in {self._folder} (details: {log_file}); "
                f"run `redis-check-aof` on it, or move it aside with `mv {self._folder} {self._folder}.broken`"
            )
        last = error.tail.splitlines()[-1] if error.tail else "no message"
        return f"the embedded Redis did not start (exit code {error.code}): {last}; the whole log is {log_file}"
