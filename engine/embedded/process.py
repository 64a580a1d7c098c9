"""One child process under supervision: started, waited for until ready, started again when it dies, stopped."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import psutil
import structlog

from engine.telemetry.metrics import PROCESS_RESTARTS

__all__ = ["ChildProcess", "DiedEarly", "end_orphan"]

log = structlog.get_logger()

_TETHER = Path(__file__).with_name("tether.py")
_FIRST_DELAY_S = 0.05  # a first death is answered at once
_LONGEST_DELAY_S = 5.0
_WELL_AFTER_S = 30.0  # a process that lived this long has not crash-looped: its next death is a first one again


class DiedEarly(Exception):
    """Raised when a process ends before it is ready."""

    def __init__(self, name: str, code: int, tail: str) -> None:
        super().__init__(name, code, tail)
        self.name, self.code, self.tail = name, code, tail
        """Exit code, negative for a signal; last lines of its log."""

    def __str__(self) -> str:
        return f"{self.name} ended with code {self.code}: {self.tail}"


class ChildProcess:
    """A supervised child. The thread that starts it has to outlive it: Linux ends it with that thread.

    Parameters
    ----------
    name
        For logs and metrics.
    command
        Program by absolute path, and arguments; the same for every start, so addresses stay valid.
    log_file
        Takes its output, appended.
    ready
        Returns when the process serves; it is cancelled when the process dies first.
    pid_file
        Names the process for the next host, should this one be killed; None writes none.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log_file: Path,
        ready: Callable[[], Awaitable[None]],
        pid_file: Path | None = None,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        start_within_s: float = 60.0,
        stop_within_s: float = 20.0,
    ) -> None:
        self.name = name
        self.restarts = 0
        """How often it died and was started again."""
        self._command, self._env, self._pass_fds = list(command), env, tuple(pass_fds)
        self._log_file, self._pid_file, self._ready = log_file, pid_file, ready
        self._start_within_s, self._stop_within_s = start_within_s, stop_within_s
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Return the process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the process and return when it is ready.

        Raises
        ------
        DiedEarly
            If it ends before that.
        TimeoutError
            If it is not ready in time; it is ended.
        """
        try:
            await self._launch()
        except BaseException:
            await self._end()
            raise
        self._watch = asyncio.create_task(self._keep_alive(), name=f"watch-{self.name}")

    async def stop(self) -> None:
        """End the process: SIGTERM, then SIGKILL when it takes too long. May be called twice."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        await self._end()

    async def _launch(self) -> None:
        offset = self._log_file.stat().st_size if self._log_file.exists() else 0
        with self._log_file.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_TETHER), str(os.getpid()), *self._command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(self._env) if self._env is not None else None,
                pass_fds=self._pass_fds,
                start_new_session=True,  # Ctrl-C goes to the host alone, which stops its children in order
            )
        if self._pid_file is not None:
            self._pid_file.write_text(str(self._process.pid))
        died = asyncio.create_task(self._process.wait(), name=f"wait-{self.name}")
        ready = asyncio.ensure_future(self._ready())
        try:
            async with asyncio.timeout(self._start_within_s):
                await asyncio.wait((died, ready), return_when=asyncio.FIRST_COMPLETED)
            if died.done():
                raise DiedEarly(self.name, died.result(), _tail(self._log_file, offset))
            ready.result()
        finally:
            died.cancel()
            ready.cancel()
            await asyncio.gather(died, ready, return_exceptions=True)

    async def _keep_alive(self) -> None:
        delay_s = _FIRST_DELAY_S
        while self._process is not None:
            began = time.monotonic()
            code = await self._process.wait()
            if time.monotonic() - began > _WELL_AFTER_S:
                delay_s = _FIRST_DELAY_S
            log.warning("process.died", process=self.name, code=code, log=str(self._log_file), delay_s=delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(_LONGEST_DELAY_S, delay_s * 2)
            self.restarts += 1
            PROCESS_RESTARTS.labels(self.name).inc()
            try:
                await self._launch()
            except Exception as error:  # noqa: BLE001  # a supervisor: log, and try again after the delay
                log.error("process.restart_failed", process=self.name, error=repr(error))  # noqa: TRY400  # a line says it
                await self._end()
            else:
                log.info("process.restarted", process=self.name, pid=self.pid, restarts=self.restarts)

    async def _end(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(self._stop_within_s):
                    await process.wait()
            except TimeoutError:
                log.warning("process.killed", process=self.name, pid=process.pid)
                process.kill()
                await process.wait()
        if self._pid_file is not None:
            self._pid_file.unlink(missing_ok=True)


def end_orphan(pid_file: Path, marker: str, within_s: float = 20.0) -> bool:
    """End what a killed host left behind, and tell whether there was anything.

    Parameters
    ----------
    pid_file
        Names the process; a missing or broken file means that there is none.
    marker
        Part of the orphan's command line, because the number may belong to another program by now.
    """
    try:
        orphan = psutil.Process(int(pid_file.read_text()))
        if not any(marker in part for part in orphan.cmdline()):
            return False
        log.warning("orphan.found", pid=orphan.pid, pid_file=str(pid_file))
        orphan.terminate()
        try:
            orphan.wait(within_s)
        except psutil.TimeoutExpired:
            orphan.kill()
            orphan.wait(within_s)
    except (OSError, ValueError, psutil.NoSuchProcess):
        return False
    finally:
        pid_file.unlink(missing_ok=True)
    return True


def _tail(path: Path, offset: int, length: int = 600) -> str:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read()[-length:].decode(errors="replace").strip()
