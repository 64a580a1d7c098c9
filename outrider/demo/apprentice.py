"""A model of travel times that learns from the company's past while the demo runs, in a process of its own.

The shards follow the registry by themselves: nobody has to be told when it serves.
"""

import asyncio
import contextlib
import datetime
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec
import structlog

__all__ = ["Apprentice", "Company", "Lesson", "When"]

log = structlog.get_logger(__name__)


class When(msgspec.Struct, frozen=True):
    """Of which town the past is."""

    vans: int
    now: datetime.datetime


class Company(msgspec.Struct, frozen=True):
    """Whose past it is, and where it is kept."""

    tenant: str
    drivers: Sequence[str]
    """Ids, van by van."""
    zone: str
    legs: str
    """Folder of the data set."""
    models: str
    """Folder of the registry."""


class Lesson(msgspec.Struct, frozen=True):
    """What was learned."""

    model: str
    """It serves."""
    reasons: tuple[str, ...]
    """What the gates say."""
    legs: int
    took_s: float
    """Of the training, with reading and judging."""


class Apprentice:
    """The process that learns.

    Parameters
    ----------
    vans, now
        Which town it is (`outrider.demo.town.Town.of`).
    log_file
        Where it writes what goes wrong.
    """

    def __init__(self, vans: int, now: datetime.datetime, log_file: Path) -> None:
        self._when, self._log_file = When(vans, now), log_file
        self._process: asyncio.subprocess.Process | None = None
        self.lesson: Lesson | None = None
        """What was learned, once it was."""
        self.has_failed = False

    async def __aenter__(self) -> Self:
        with self._log_file.open("a") as lines:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "outrider.demo.lessons",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=lines,
                start_new_session=True,  # Ctrl-C is for the demo, which ends this process
            )
        await self._say(self._when)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def teach(self, company: Company) -> None:
        """Say whose past it is, and wait for the lesson."""
        assert self._process is not None and self._process.stdout is not None  # noqa: S101, PT018 - it is entered
        await self._say(company)
        try:
            self.lesson = msgspec.json.decode(await self._process.stdout.readline(), type=Lesson)
        except msgspec.MsgspecError as fault:  # it has ended without a word
            self.has_failed = True
            log.error("demo.untrained", error=str(fault))  # noqa: TRY400  # the line says it

    async def _say(self, line: msgspec.Struct) -> None:
        assert self._process is not None and self._process.stdin is not None  # noqa: S101, PT018 - it is entered
        self._process.stdin.write(msgspec.json.encode(line) + b"\n")
        with contextlib.suppress(ConnectionError):  # it is gone: whoever waits for its word learns so
            await self._process.stdin.drain()
