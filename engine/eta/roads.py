"""Roads for a shard's base times: loaded beside the pings, and put in place at once when they are there."""

import asyncio
import time
from pathlib import Path

import numpy as np
import structlog

from engine.eta.bases import PROFILES, RoadBases
from engine.eta.live import LiveEtas
from engine.roads.network import RoadNetwork
from models.errors import BadSettings

__all__ = ["RoadWatch"]

log = structlog.get_logger(__name__)

_RETRY_S = 5.0  # of a network that is still being made
_USUAL = PROFILES.index("van")


class RoadWatch:
    """Gives live estimates the roads of a file.

    Parameters
    ----------
    path
        File of `outrider roads build`.
    etas
        Whose base times become those of the roads.
    """

    def __init__(self, path: Path, etas: LiveEtas) -> None:
        self._path, self._etas = path, etas

    async def run(self) -> None:
        """Wait until the file can be read; until then base times are those of the great circle."""
        refused = ""
        while True:
            began = time.monotonic()
            try:
                base = await asyncio.to_thread(_loaded, self._path)
            except BadSettings as fault:
                if str(fault) != refused:
                    refused = str(fault)
                    log.warning("roads.missing", error=refused)
                await asyncio.sleep(_RETRY_S)
                continue
            self._etas.base = base
            log.info("roads.taken", path=str(self._path), duration_ms=round((time.monotonic() - began) * 1000))
            return


def _loaded(path: Path) -> RoadBases:
    """Return the base times of a file, asked once: what the first question would wait for is behind it then."""
    network = RoadNetwork.load(path)
    base = RoadBases(network)
    south, west, north, east = network.box
    ends = (np.array([south]), np.array([west]), np.array([north]), np.array([east]))
    base.between(*ends, np.array([_USUAL], np.uint8))
    return base
