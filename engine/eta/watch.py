"""Watches whether promised ranges hold: a company is told when a day's arrivals lie in them too seldom or too often."""

import asyncio
import datetime
import hashlib
from collections.abc import Mapping
from typing import Any

import structlog
from pymongo.errors import PyMongoError

from engine.leased import Leased
from engine.settings import EtaSettings
from models.documents.document import now
from models.store.connections import Database
from models.store.etas import EtaRepository
from models.store.motion import MotionRepository

__all__ = ["CoverageWatch", "coverage_event"]

log = structlog.get_logger(__name__)

_LOOK_S = 300.0
_LEAST = 50  # arrivals of a day below which a share says little
_SCHEMA = 1


class CoverageWatch(Leased):
    """Looks every few minutes at the arrivals of the day, in one process of all hosts."""

    def __init__(self, database: Database, settings: EtaSettings) -> None:
        self._etas, self._motion = EtaRepository(database), MotionRepository(database)
        self._settings = settings
        super().__init__(database, "eta-coverage", {"eta-coverage": self._look_for_ever})

    async def look(self, at: datetime.datetime) -> list[dict[str, Any]]:
        """Tell every company whose share is off on the day of an instant, once a day; return the events."""
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        found = await self._etas.coverage(day, _LEAST)
        made = (coverage_event(one, day, at, self._settings) for one in found)
        events = [event for event in made if event is not None]
        await self._motion.add_events(events)
        return events

    async def _look_for_ever(self) -> None:
        while True:
            try:
                await self.look(now())
            except PyMongoError as error:
                log.warning("coverage.unknown", error=str(error))
            await asyncio.sleep(_LOOK_S)


def coverage_event(
    found: Mapping[str, Any], day: datetime.datetime, at: datetime.datetime, settings: EtaSettings
) -> dict[str, Any] | None:
    """Return the event that says that a company's ranges are too narrow or too wide; None while they are right.

    Parameters
    ----------
    found
        `_id` (the tenant), `promises` and `inside` of the day.
    """
    coverage = found["inside"] / found["promises"]
    if settings.coverage_low <= coverage <= settings.coverage_high:
        return None
    tenant = found["_id"]
    digest = hashlib.blake2b(f"coverage/{tenant}/{day.date()}".encode(), digest_size=13).hexdigest()
    measures = {"coverage": round(coverage, 3), "arrivals": found["promises"], "day": day.date().isoformat()}
    return {
        "_id": f"evt_{digest}",
        "tenant": tenant,
        "type": "eta.coverage_off",
        "aggregate": tenant,
        "sequence": 0,
        "schema": _SCHEMA,
        "time": at,
        "data": measures,
    }
