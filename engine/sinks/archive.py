"""The archive: finished days of history as Parquet files, a file a tenant and day.

A day is written some hours after its end, and again whenever a later fix of it has come. What is written is read back
from history and from the file that is there, because history forgets after its days; so the file holds each ping once,
and loses none.
"""

import asyncio
import datetime
from datetime import UTC
from pathlib import Path

import pyarrow as pa
import structlog
from numpy import void
from numpy.typing import NDArray

from engine.motion.late import dedupe
from engine.registry import DriverRegistry
from engine.settings import Settings
from engine.sinks.archive_files import DAY_MS, day_file, day_name, read_day, write_day
from engine.sinks.history import read_track
from models.ids import new_id
from models.messages.fixes import STORED
from models.messages.records import join_records
from models.store.archive import ArchiveRepository
from models.store.connections import Database
from models.store.leases import Lease

__all__ = ["ArchiveLoop", "archive_lease", "archive_root"]

log = structlog.get_logger(__name__)

_LEASE_S = 600.0  # longer than a day takes to write
_SETTLE = datetime.timedelta(seconds=60)  # younger chunks may come with an `at` from before this look


def archive_root(settings: Settings) -> Path:
    """Return the folder of the archive."""
    return settings.var / "archive"


def archive_lease(database: Database, tenant: str) -> Lease:
    """Return the right to change a tenant's files: whoever takes a driver out must not meet one who writes it again."""
    return Lease(database, f"archive:{tenant}", new_id("hld"), _LEASE_S)


class ArchiveLoop:
    """Looks for finished days and writes them."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._days = ArchiveRepository(database)
        self._registry = DriverRegistry(database, settings.log.partitions)

    async def run(self) -> None:
        """Look and write for ever."""
        while True:
            await self.write_due(datetime.datetime.now(tz=UTC))
            await asyncio.sleep(self._settings.archive.interval_s)

    async def write_due(self, now: datetime.datetime) -> list[Path]:
        """Write every finished day that changed, and return the files."""
        await self._days.note_changed_days(now - _SETTLE)
        settled = now - datetime.timedelta(hours=self._settings.archive.settle_h)
        written = []
        for tenant, day in await self._days.due(int(settled.timestamp() * 1000) // DAY_MS):
            lease = archive_lease(self._database, tenant)
            if not await lease.acquire():
                continue  # the next look writes it
            try:
                written.append(await self._write(tenant, day))
                await self._days.done(tenant, day)
            finally:
                await lease.release()
        return written

    async def _write(self, tenant: str, day: int) -> Path:
        path = day_file(archive_root(self._settings), tenant, day)
        archived = await asyncio.to_thread(_archived, path)
        numbers = sorted({*await self._days.drivers(tenant, day), *archived})
        names = await self._registry.by_number(numbers)
        tracks: list[tuple[str, NDArray[void]]] = []
        for number in numbers:
            track = await read_track(self._database, number, day * DAY_MS, (day + 1) * DAY_MS - 1)
            driver = str(number)
            if number in archived:
                driver, before = archived[number]
                track = dedupe(join_records([before, track], STORED))
            tracks.append((names[number].id if number in names else driver, track))
        rows = await asyncio.to_thread(write_day, path, tracks)
        log.info("day.archived", tenant=tenant, day=day_name(day), drivers=len(numbers), fixes=rows)
        return path


def _archived(path: Path) -> dict[int, tuple[str, NDArray[void]]]:
    """Return what is archived of a day; a file that is damaged is put aside, so that it holds up no other day."""
    try:
        return read_day(path)
    except pa.ArrowInvalid as fault:
        aside = path.with_suffix(".damaged")
        path.replace(aside)
        log.error("archive.damaged", file=str(aside), error=str(fault))  # noqa: TRY400  # the line says it
        return {}
