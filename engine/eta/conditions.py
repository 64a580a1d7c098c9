"""Weather and traffic of other servers for a shard's estimates: asked beside the pings, and put in place at once."""

import asyncio

import numpy as np

from engine.conditions.chain import Conditions
from engine.eta.live import LiveEtas

__all__ = ["ConditionWatch"]

_LOOK_S = 60.0
_MOST_CELLS = 60  # of a kind; those with most stops
_MOST_PLACES = 2_000  # of the stops that are looked at; one in so many of more


class ConditionWatch:
    """Gives live estimates what the weather and the traffic are like around the stops ahead.

    Parameters
    ----------
    conditions
        Who is asked.
    etas
        Whose estimates they are.
    """

    def __init__(self, conditions: Conditions, etas: LiveEtas) -> None:
        self._conditions, self._etas = conditions, etas

    async def run(self) -> None:
        """Look once a minute; what nobody knows any more is forgotten."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(_LOOK_S)
        finally:
            await self._conditions.close()

    async def look(self) -> None:
        """Ask for the stops that are ahead now."""
        plans = list(self._etas.table.plans.values())
        if not plans:
            return
        stops = np.concatenate([np.stack([plan["lat"], plan["lon"]], axis=1) for plan in plans])
        some = stops[:: -(-len(stops) // _MOST_PLACES)]
        met = await self._conditions.met([(lat, lon) for lat, lon in some.tolist()], _MOST_CELLS)
        self._etas.conditions = met.board
