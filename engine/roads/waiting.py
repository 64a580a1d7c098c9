"""Waiting for the file of a road network, which a first start is still making."""

import asyncio
from pathlib import Path

import structlog

from engine.roads.network import RoadNetwork
from models.errors import BadSettings

__all__ = ["RETRY_S", "awaited_network"]

log = structlog.get_logger(__name__)

RETRY_S = 5.0
"""After which a file that can't be read is worth another look, seconds."""


async def awaited_network(path: Path) -> RoadNetwork:
    """Return the network of a file as soon as it can be read; each reason why it can't is logged once."""
    refused = ""
    while True:
        try:
            return await asyncio.to_thread(RoadNetwork.load, path)
        except BadSettings as fault:
            if str(fault) != refused:
                refused = str(fault)
                log.warning("roads.missing", error=refused)
            await asyncio.sleep(RETRY_S)
