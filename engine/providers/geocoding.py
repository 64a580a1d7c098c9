"""Geocoding by a provider over HTTP that speaks as Nominatim does, at the pace that it allows."""

import asyncio
import math
import time
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import httpx2

from engine.providers.asking import json_of
from engine.providers.breaker import Breaker
from engine.providers.circuits import SharedCircuits
from engine.settings import GeocodingSettings
from models.errors import ProviderDown

__all__ = ["Geocoder", "Located", "LocatedKind", "NominatimGeocoder"]

LocatedKind = Literal["house", "street", "place"]
"""How exact a position is: the house, somewhere in the street, or a place of this name."""

_MAX_ANSWER_BYTES: Final = 262_144
_HOUSE_RANK, _STREET_RANK = 28, 26  # Nominatim's `place_rank`: 30 is a house, 26 and 27 are streets
_CONFIDENCE: Final = {"house": 0.95, "street": 0.8, "place": 0.5}
"""Nominatim says how important a thing is, not how sure it is; what it found says that."""
_LONGEST_WAIT_S: Final = 5.0  # for one's turn, before the caller goes elsewhere
_LONGEST_PAUSE_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Located:
    """Where an address is."""

    latitude: float
    longitude: float
    kind: LocatedKind
    confidence: float
    """0 to 1."""
    name: str | None
    """What was found, written out; None where it is not kept."""


class Geocoder(Protocol):
    """Finds addresses."""

    async def geocode(self, address: str) -> Located | None:
        """Return where an address is, or None if there is no such address.

        Raises
        ------
        ProviderDown
            If nobody can say at the moment.
        """

    async def close(self) -> None:
        """Let go of connections. May be called twice."""


class NominatimGeocoder:
    """Asks a server that speaks as Nominatim does (`/search?format=jsonv2`).

    Parameters
    ----------
    settings
        Where it is, who we are, and how often it may be asked by this process.
    """

    def __init__(self, url: str, settings: GeocodingSettings, circuits: SharedCircuits | None = None) -> None:
        self._breaker = Breaker(
            "geocoding", settings.failures, settings.recovery_s, settings.timeout_s, circuits=circuits
        )
        self._interval_s = 1.0 / settings.rate_per_s
        self._next_turn = 0.0
        timeout = httpx2.Timeout(settings.timeout_s, connect=settings.timeout_s / 2)
        headers = {"User-Agent": settings.user_agent, "Accept": "application/json"}
        self._url = url.rstrip("/") + "/search"
        self._http = httpx2.AsyncClient(headers=headers, timeout=timeout, follow_redirects=False)

    async def geocode(self, address: str) -> Located | None:
        """Return where an address is, as `Geocoder.geocode` does."""
        await self._wait_for_turn()
        async with self._breaker:
            try:
                return _located(await self._asked(address))
            except httpx2.HTTPError as fault:
                raise ProviderDown(f"geocoding can't be reached: {type(fault).__name__}") from fault

    async def close(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def _wait_for_turn(self) -> None:
        moment = time.monotonic()
        turn = max(moment, self._next_turn)
        if turn - moment > _LONGEST_WAIT_S:
            raise ProviderDown("geocoding is asked as often as it may be", turn - moment)
        self._next_turn = turn + self._interval_s
        await asyncio.sleep(turn - moment)

    async def _asked(self, address: str) -> Any:
        parameters = {"q": address, "format": "jsonv2", "limit": "1", "addressdetails": "0"}
        async with self._http.stream("GET", self._url, params=parameters) as response:
            if response.status_code != 200:
                wait = response.headers.get("Retry-After", "")
                pause_s = min(float(wait), _LONGEST_PAUSE_S) if wait.isdecimal() else 1.0
                raise ProviderDown(f"geocoding answered {response.status_code}", pause_s)
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > _MAX_ANSWER_BYTES:
                    raise ProviderDown("geocoding answered far too much")
        return json_of("geocoding", body)


def _located(answer: Any) -> Located | None:
    if answer == []:
        return None
    try:
        first = answer[0]
        latitude, longitude = float(first["lat"]), float(first["lon"])
        rank = int(first.get("place_rank") or 0)
        name = str(first.get("display_name") or "")[:500]
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError) as fault:
        raise ProviderDown("geocoding answered something else than places") from fault
    if not (math.isfinite(latitude) and abs(latitude) <= 90 and math.isfinite(longitude) and abs(longitude) <= 180):
        raise ProviderDown("geocoding answered a point that is nowhere")
    kind: LocatedKind = "house" if rank >= _HOUSE_RANK else "street" if rank >= _STREET_RANK else "place"
    return Located(latitude, longitude, kind, _CONFIDENCE[kind], name or None)
