"""The state of a driver at an instant of the past, from what history holds, by the rules of the live path.

It is the state that fixes up to that instant make in order of fix time: what came late counts where it belongs, so a
dispute is settled by where a driver was, not by what was known then.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.motion.late import REPAIR_WINDOW_MS, derive, repair_start
from engine.motion.profiles import MotionProfile
from engine.registry import DriverRef
from engine.shards.drivers import live_records
from engine.shards.effects import visit_records
from models.documents.live import LiveDriver, live_driver
from models.errors import NotFound
from models.messages.live import LiveFlag
from models.store.motion import MotionRepository
from models.store.scope import Scope

__all__ = ["TrackReader", "live_at"]


class TrackReader(Protocol):
    """Reads a driver's `STORED` fixes of a range of fix time, each ping once."""

    async def __call__(self, ref: DriverRef, from_ms: int, to_ms: int) -> NDArray[np.void]:
        """Read."""


async def live_at(
    ref: DriverRef,
    at_ms: int,
    *,
    read_track: TrackReader,
    motion: MotionRepository,
    profiles: Mapping[str, MotionProfile],
    offline_after_ms: int,
) -> LiveDriver:
    """Return where a driver was at an instant and what it did.

    Raises
    ------
    NotFound
        If no good fix of the day before it is kept.
    """
    scope, oldest_ms = Scope(ref.tenant, "engine"), at_ms - REPAIR_WINDOW_MS
    documents: list[dict[str, Any]] = await motion.visits(scope, ref.id, oldest_ms, at_ms)
    start = repair_start(visit_records(documents), at_ms + 1)
    from_ms = start.declared_time if start is not None else oldest_ms
    stored = await read_track(ref, from_ms, at_ms)
    state = derive(stored, profiles.get(ref.profile, profiles["default"]), start).state
    if state["time"][0] == 0:
        raise NotFound("position at that time of driver", ref.id)
    record = live_records(state)
    is_online = at_ms - int(state["time"][0]) <= offline_after_ms
    record["flags"] = LiveFlag.ONLINE if is_online else 0
    return live_driver(record[0], ref.id, ref.name)
