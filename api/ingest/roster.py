"""Which drivers a caller may speak for, as numbers and partitions: its own small cache beside the registry's."""

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from api.auth.principal import Principal
from api.ingest.validate import Fault
from engine.log.append import PARTITION
from engine.registry import DriverRegistry

__all__ = ["Place", "Roster"]

_KEEP_S = 60.0  # a driver that was deleted or got another id is noticed within this
_KEEP_UNKNOWN_S = 2.0
_MAX_PLACES = 50_000


class Place(NamedTuple):
    """Where the pings of a driver go."""

    number: int
    """The driver's number; negative: minus the `Fault` that its pings have."""
    partition: bytes
    """One `PARTITION` record."""


class Roster:
    """Drivers by the id that the caller uses for them.

    Parameters
    ----------
    registry
        Knows all drivers.
    principal
        The caller.
    """

    def __init__(self, registry: DriverRegistry, principal: Principal) -> None:
        self._registry = registry
        self._principal = principal
        self._own = principal.role in ("device", "driver")
        self._places: dict[str | None, Place] = {}
        # the same once more as bytes, because joining those is twice as fast as making arrays of attributes
        self._number_of: dict[str | None, bytes] = {}
        self._partition_of: dict[str | None, bytes] = {}
        self._until = 0.0
        self._generation = registry.generation
        self._list: Sequence[str] = []
        self._columns: tuple[NDArray[np.int64], NDArray[np.uint16]] | None = None

    def refresh(self) -> None:
        """Forget what is old. To be called once a message."""
        if time.monotonic() > self._until or self._generation != self._registry.generation:
            self._forget()
            self._until = time.monotonic() + _KEEP_S
            self._generation = self._registry.generation

    def find(self, driver: str | None) -> Place | None:
        """Return the place of a driver, or None if `learn` has to be asked first."""
        return self._places.get(driver)

    def unknown(self, drivers: Sequence[str | None]) -> set[str | None]:
        """Return those that `learn` has to be asked about."""
        if all(map(self._places.__contains__, drivers)):
            return set()
        return {driver for driver in drivers if driver not in self._places}

    def columns(self, drivers: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
        """Return numbers (negative: minus a `Fault`) and partitions of drivers that have all been learnt.

        A sender's list rarely changes, so the last one is kept.
        """
        if self._columns is None or drivers != self._list:
            numbers = b"".join(map(self._number_of.__getitem__, drivers))
            partitions = b"".join(map(self._partition_of.__getitem__, drivers))
            self._columns = np.frombuffer(numbers, np.int64), np.frombuffer(partitions, PARTITION)
            self._list = drivers
        return self._columns

    async def learn(self, drivers: Iterable[str | None]) -> None:
        """Look drivers up; None is the caller's own.

        Raises
        ------
        StoreUnavailable
            If MongoDB does not answer.
        """
        if len(self._places) > _MAX_PLACES:
            self._forget()
        own = self._principal.driver
        wanted = {driver: driver if driver is not None else own for driver in drivers}
        asked = {identifier for identifier in wanted.values() if identifier is not None}
        found = await self._registry.resolve(self._principal.tenant, asked)
        for driver, identifier in wanted.items():
            ref = found.get(identifier) if identifier is not None else None
            if ref is not None and self._principal.speaks_for(ref.id):
                self._keep(driver, Place(ref.number, ref.partition.to_bytes(PARTITION.itemsize, "little")))
                continue
            fault = Fault.NO_DRIVER if identifier is None else self._fault(known=ref is not None)
            self._keep(driver, Place(-fault, bytes(PARTITION.itemsize)))
            self._until = min(self._until, time.monotonic() + _KEEP_UNKNOWN_S)

    def _keep(self, driver: str | None, place: Place) -> None:
        self._places[driver] = place
        self._number_of[driver] = place.number.to_bytes(8, "little", signed=True)
        self._partition_of[driver] = place.partition

    def _forget(self) -> None:
        self._places.clear()
        self._number_of.clear()
        self._partition_of.clear()
        self._columns = None

    def _fault(self, *, known: bool) -> Fault:
        # one who speaks for a single driver is not told which others exist
        return Fault.FOREIGN_DRIVER if known or self._own else Fault.UNKNOWN_DRIVER
