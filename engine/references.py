"""Typed references of virtual actors: what a caller holds instead of a driver or a delivery.

Making one asks nothing. Each call goes to the shard that owns the driver at that moment; a delivery lives where its
driver lives, so its calls go there too.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.deliveries.custody import spans_of
from models.documents.delivery import Delivery
from models.documents.live import LiveDriver, live_driver
from models.errors import NotFound
from models.messages.fixes import STORED
from models.messages.records import join_records
from models.store.scope import Scope

if TYPE_CHECKING:
    from engine.client import Engine

__all__ = ["DeliveryActor", "DeliverySnapshot", "DriverActor"]

_ACTOR = "engine"  # who reads, in the scope of a read


@dataclass(frozen=True, slots=True)
class DriverActor:
    """One driver, as if it were an actor of its own."""

    engine: "Engine"
    tenant: str
    driver: str

    async def live(self) -> LiveDriver:
        """Return where the driver is.

        Raises
        ------
        NotFound
            If the tenant has no such driver, or it has sent no good fix yet.
        """
        ref = await self.engine.find(self.tenant, self.driver)
        records = await self.engine.live_records([ref])
        if not records.size:
            raise NotFound("live position of driver", self.driver)
        return live_driver(records[0], ref.id, ref.name)

    async def live_at(self, at_ms: int) -> LiveDriver:
        """Return where the driver was at an instant, and what it did.

        Raises
        ------
        NotFound
            If the tenant has no such driver, or no good fix of the day before the instant is kept.
        """
        ref = await self.engine.find(self.tenant, self.driver)
        return await self.engine.live_at(ref, at_ms)

    async def track(self, from_ms: int, to_ms: int) -> NDArray[np.void]:
        """Return the driver's `STORED` fixes of `[from_ms, to_ms]` by fix time, each ping once, the newest included."""
        ref = await self.engine.find(self.tenant, self.driver)
        return await self.engine.read_track(ref, from_ms, to_ms)

    async def trips(self, from_ms: int, to_ms: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the driver's trips and visits that began in `[from_ms, to_ms]`, as stored."""
        ref = await self.engine.find(self.tenant, self.driver)
        scope = Scope(self.tenant, _ACTOR)
        motion = self.engine.motion
        return await motion.trips(scope, ref.id, from_ms, to_ms), await motion.visits(scope, ref.id, from_ms, to_ms)

    async def stops(self) -> list[dict[str, Any]]:
        """Return the driver's open planned stops; none while its shard is away."""
        ref = await self.engine.find(self.tenant, self.driver)
        stops: list[dict[str, Any]] | None = await self.engine.shards.ask_owner(ref.partition, "stops", ref.number)
        return stops or []


@dataclass(frozen=True, slots=True)
class DeliverySnapshot:
    """How far a delivery is, with the live state of its driver."""

    fields: Mapping[str, Any]
    """What MongoDB keeps of the delivery; what is personal is sealed."""
    driver: LiveDriver | None
    """None while nobody has the delivery or its driver has sent nothing."""


@dataclass(frozen=True, slots=True)
class DeliveryActor:
    """One delivery, as if it were an actor of its own."""

    engine: "Engine"
    tenant: str
    delivery: str

    async def document(self) -> Delivery:
        """Return the delivery as MongoDB keeps it.

        Raises
        ------
        NotFound
            If the tenant has no such delivery.
        """
        return await self.engine.deliveries.get(Scope(self.tenant, _ACTOR), self.delivery)

    async def snapshot(self) -> DeliverySnapshot:
        """Return how far the delivery is, and where its driver is.

        Raises
        ------
        NotFound
            If the tenant has no such delivery.
        """
        fields = await self.engine.deliveries.course_of(Scope(self.tenant, _ACTOR), self.delivery)
        if (driver := fields.get("driver")) is None:
            return DeliverySnapshot(fields, None)
        try:
            return DeliverySnapshot(fields, await self.engine.driver(self.tenant, driver).live())
        except NotFound:
            return DeliverySnapshot(fields, None)

    async def track(self, from_ms: int, to_ms: int) -> NDArray[np.void]:
        """Return the `STORED` fixes of whoever had the delivery, while they had it, in `[from_ms, to_ms]`.

        Raises
        ------
        NotFound
            If the tenant has no such delivery.
        """
        spans = spans_of(await self.document(), from_ms, to_ms)
        tracks = await asyncio.gather(
            *(self.engine.driver(self.tenant, span.driver).track(span.from_ms, span.to_ms) for span in spans)
        )
        return join_records(tracks, STORED)
