"""Driver ids to driver numbers and back: an in-process cache over the `drivers` collection.

The log, the shards and the live frames speak of drivers by number; devices and people by id. Every process keeps the
pairs that it has met, so that the hot path never asks MongoDB twice about one driver.
"""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.errors import PyMongoError

from models.errors import StoreUnavailable
from models.messages.log import PartitionId, partition_of
from models.store.connections import Database
from models.store.indexes import any_text

__all__ = ["DriverRef", "DriverRegistry"]

KEEP_S = 300.0  # another process may rename or delete a driver; after this long we look again
KEEP_ABSENT_S = 2.0  # a driver made just now is let in soon, yet a flood of wrong ids costs one query each 2 s
MAX_ENTRIES = 1_000_000  # about 500 B each; past it the cache starts anew instead of growing
_DEFAULT_PROFILE = "default"
_FIELDS = {"number": 1, "tenant": 1, "name": 1, "externalId": 1, "profile": 1}


@dataclass(frozen=True, slots=True)
class DriverRef:
    """Who a driver number is."""

    number: int
    partition: PartitionId
    id: str
    tenant: str
    name: str
    profile: str
    """Motion profile: its own, else its tenant's."""


class DriverRegistry:
    """Cache of driver documents by (tenant, id), (tenant, external id) and number.

    Parameters
    ----------
    database
        Holds the `drivers` collection.
    partitions
        Number of partitions of the log.
    clock
        Monotonic seconds; given by tests.
    """

    def __init__(self, database: Database, partitions: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._drivers = database["drivers"]
        self._tenants = database["tenants"]
        self._partitions = partitions
        self._clock = clock
        self._by_id: dict[tuple[str, str], tuple[DriverRef, float]] = {}
        self._by_number: dict[int, tuple[DriverRef, float]] = {}
        self._absent: dict[tuple[str, str], float] = {}
        self._profiles: dict[str, tuple[str, float]] = {}
        self.generation = 0
        """Rises whenever something is forgotten: whoever copied references looks again."""

    def known(self, tenant: str, driver: str) -> DriverRef | None:
        """Return the cached driver of this id or external id; None says nothing about whether it exists."""
        entry = self._by_id.get((tenant, driver))
        if entry is None or entry[1] < self._clock():
            return None
        return entry[0]

    async def resolve(self, tenant: str, drivers: Iterable[str]) -> dict[str, DriverRef]:
        """Return the drivers of `tenant` that exist, by the id or external id they were asked with.

        Raises
        ------
        StoreUnavailable
            If MongoDB does not answer.
        """
        now = self._clock()
        found: dict[str, DriverRef] = {}
        missing = []
        for driver in set(drivers):
            if (ref := self.known(tenant, driver)) is not None:
                found[driver] = ref
            elif self._absent.get((tenant, driver), now) <= now:
                missing.append(driver)
        if missing:
            found |= await self._look_up(tenant, missing)
        return found

    async def by_number(self, numbers: Iterable[int]) -> dict[int, DriverRef]:
        """Return the drivers that have these numbers.

        Raises
        ------
        StoreUnavailable
            If MongoDB does not answer.
        """
        now = self._clock()
        found: dict[int, DriverRef] = {}
        missing = []
        for number in set(numbers):
            entry = self._by_number.get(number)
            if entry is None or entry[1] < now:
                missing.append(number)
            else:
                found[number] = entry[0]
        if missing:
            for document in await self._find({"number": {"$in": missing}}):
                ref = self._remember(document)
                found[ref.number] = ref
        return found

    async def read(self, numbers: Iterable[int]) -> dict[int, DriverRef]:
        """Return the drivers that have these numbers as they are stored now, and remember none: shards keep their own.

        Raises
        ------
        StoreUnavailable
            If MongoDB does not answer.
        """
        found = [self._ref(document) for document in await self._find({"number": {"$in": list(numbers)}})]
        return {ref.number: ref for ref in found}

    def forget(self, tenant: str, driver: str) -> None:
        """Drop what is cached about a driver, by id or external id, so that the next use reads it again."""
        self.generation += 1
        self._absent.pop((tenant, driver), None)
        entry = self._by_id.pop((tenant, driver), None)
        if entry is None:
            return
        number = entry[0].number
        self._by_number.pop(number, None)
        for key in [key for key, (ref, _) in self._by_id.items() if ref.number == number]:
            del self._by_id[key]

    def forget_tenant(self, tenant: str) -> None:
        """Drop what is cached about a tenant's drivers: its settings have changed."""
        self.generation += 1
        self._profiles.pop(tenant, None)
        for key in [key for key in self._by_id if key[0] == tenant]:
            ref, _ = self._by_id.pop(key)
            self._by_number.pop(ref.number, None)

    async def _look_up(self, tenant: str, drivers: list[str]) -> dict[str, DriverRef]:
        wanted = set(drivers)
        found: dict[str, DriverRef] = {}
        # the tenant in each branch, so that each has its index and nobody goes through all of a tenant's drivers
        ways: list[dict[str, Any]] = [{"_id": {"$in": drivers}}, {"externalId": any_text(drivers)}]
        query = {"$or": [{"tenant": tenant, **way} for way in ways]}
        for document in await self._find(query):
            ref = self._remember(document)
            # an id goes before another driver's external id of the same text
            if document.get("externalId") in wanted:
                found.setdefault(document["externalId"], ref)
            if ref.id in wanted:
                found[ref.id] = ref
        self._note_absent(tenant, wanted - found.keys())
        return found

    def _note_absent(self, tenant: str, drivers: Iterable[str]) -> None:
        now = self._clock()
        if len(self._absent) > MAX_ENTRIES // 10:
            self._absent.clear()
        for driver in drivers:
            self._absent[tenant, driver] = now + KEEP_ABSENT_S

    async def _find(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        try:
            found: list[dict[str, Any]] = await self._drivers.find(query, _FIELDS).to_list(None)
            await self._learn_profiles({fields["tenant"] for fields in found if not fields.get("profile")})
        except PyMongoError as error:
            raise StoreUnavailable("the store of drivers does not answer", 2.0) from error
        return found

    async def _learn_profiles(self, tenants: set[str]) -> None:
        """Read which profile drivers of these tenants have that name none."""
        now = self._clock()
        unknown = [tenant for tenant in tenants if self._profiles.get(tenant, ("", 0.0))[1] < now]
        if unknown:
            found = await self._tenants.find({"_id": {"$in": unknown}}, {"settings.motionProfile": 1}).to_list(None)
            chosen = {fields["_id"]: fields.get("settings", {}).get("motionProfile") for fields in found}
            self._profiles |= {tenant: (chosen.get(tenant) or _DEFAULT_PROFILE, now + KEEP_S) for tenant in unknown}

    def _ref(self, document: Mapping[str, Any]) -> DriverRef:
        tenant, driver = document["tenant"], document["_id"]
        return DriverRef(
            number=document["number"],
            partition=partition_of(tenant, driver, self._partitions),
            id=driver,
            tenant=sys.intern(tenant),
            name=document.get("name") or driver,
            profile=sys.intern(document.get("profile") or self._profiles[tenant][0]),
        )

    def _remember(self, document: Mapping[str, Any]) -> DriverRef:
        ref = self._ref(document)
        tenant, driver = ref.tenant, ref.id
        if len(self._by_id) >= MAX_ENTRIES:
            self._by_id.clear()
            self._by_number.clear()
        entry = (ref, self._clock() + KEEP_S)
        if external := document.get("externalId"):
            self._by_id.setdefault((tenant, external), entry)
            if self._by_id[tenant, external][0].number == ref.number:
                self._by_id[tenant, external] = entry
        self._by_id[tenant, driver] = entry
        self._by_number[ref.number] = entry
        return ref
