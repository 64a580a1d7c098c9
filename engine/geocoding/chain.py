"""Who is asked for an address, in this order: what was said lately, the provider, what it said before, the gazetteer.

The gazetteer answers at once and without the internet; a provider, where one is set, knows more and may be asked
rarely.
"""

import asyncio
import datetime
import functools
from dataclasses import dataclass
from typing import Literal

from engine.gazetteer import PORTO
from engine.gazetteer.look_up import Gazetteer
from engine.gazetteer.words import fold
from engine.providers.circuits import SharedCircuits
from engine.providers.geocoding import Geocoder, Located, NominatimGeocoder
from engine.settings import GeocodingSettings
from models.documents.document import now
from models.errors import BadSettings, ProviderDown
from models.store.connections import Database
from models.store.geocodes import Geocode, GeocodeRepository
from models.store.scope import Scope

__all__ = ["Answer", "Geocoding", "Source"]

Source = Literal["provider", "cache", "gazetteer"]
"""Who knew."""

_FRESH = datetime.timedelta(days=30)
_SURE_ENOUGH = 0.5  # below this a provider's answer gives way to a better one of the gazetteer


@dataclass(frozen=True, slots=True)
class Answer:
    """Where an address is, and who said so."""

    located: Located
    source: Source


class Geocoding:
    """Finds addresses for tenants.

    Parameters
    ----------
    settings
        Whether there is a provider, and which gazetteer is read.
    database
        Keeps what the provider said, by tenant and under a key that shows no address.

    Raises
    ------
    BadSettings
        If there is no such gazetteer.
    """

    def __init__(self, settings: GeocodingSettings, database: Database, circuits: SharedCircuits | None = None) -> None:
        self._provider: Geocoder | None = None
        if settings.url:
            self._provider = NominatimGeocoder(settings.url, settings, circuits)
        self._kept = GeocodeRepository(database)
        path = settings.gazetteer or PORTO
        if not path.is_file():
            raise BadSettings(f"there is no gazetteer {path}; make one with `outrider gazetteer build`")
        self._gazetteer = functools.cache(functools.partial(Gazetteer, path))  # opened when it is first wanted

    async def find(self, scope: Scope, address: str, near: tuple[float, float] | None = None) -> Answer | None:
        """Return where an address is, or None if nobody knows.

        Parameters
        ----------
        near
            Where to look first when the address names no town, (latitude, longitude).
        """
        if self._provider is not None:
            told = await self._by_provider(self._provider, scope, address)
            if told is not None and told.located.confidence >= _SURE_ENOUGH:
                return told
        else:
            told = None
        found = await asyncio.to_thread(self._in_gazetteer, address, near)
        if told is not None and (found is None or found.located.confidence <= told.located.confidence):
            return told
        return found

    async def close(self) -> None:
        """Let go of connections. May be called twice."""
        if self._provider is not None:
            await self._provider.close()

    async def _by_provider(self, provider: Geocoder, scope: Scope, address: str) -> Answer | None:
        question = fold(address)
        kept = await self._kept.get(scope, question)
        if kept is not None and now() - kept.at < _FRESH:
            return _remembered(kept)
        try:
            located = await provider.geocode(address)
        except ProviderDown:
            return _remembered(kept) if kept is not None else None
        if located is None:
            return None  # it may be a new house: asked again next time
        await self._kept.put(
            scope, question, Geocode(located.latitude, located.longitude, located.kind, located.confidence, now())
        )
        return Answer(located, "provider")

    def _in_gazetteer(self, address: str, near: tuple[float, float] | None) -> Answer | None:
        found = self._gazetteer().find(address, near)
        if found is None:
            return None
        located = Located(found.latitude, found.longitude, found.kind, found.confidence, found.name)
        return Answer(located, "gazetteer")


def _remembered(kept: Geocode) -> Answer:
    return Answer(Located(kept.latitude, kept.longitude, kept.kind, kept.confidence, None), "cache")
