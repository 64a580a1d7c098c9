"""All that one shard holds in memory, and what its log does to it. No I/O: the actor reads and writes, this applies."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.deliveries.reports import reported_arrivals
from engine.eta.live import LiveEtas
from engine.eta.plan import OpenStop, RouteOrder, ranks_of
from engine.fleet.closures import barriers
from engine.geofences.index import FenceIndex
from engine.geofences.shapes import Fence
from engine.log.read import FixBatch
from engine.motion.profiles import PROFILES, MotionProfile, pack_profiles
from engine.registry import DriverRef
from engine.shards.advance import ShardState, Step, advance
from engine.shards.drivers import ABSENT, DRIVER, NO_STOP, fresh_records
from engine.shards.events import EVENT
from engine.shards.image import PartitionImage
from engine.shards.stops import STOP, STOP_NAMES, PlannedStop, StopKind, StopState
from engine.sinks.history import HistoryBuffer, to_stored
from models.documents.closure import Closure
from models.documents.delivery import CLOSED
from models.documents.geofence import Geofence
from models.messages.commands import DeliveryAssigned, DeliveryChanged, RoutePlanned, StopPlan
from models.messages.fixes import STORED, Outcome
from models.messages.log import PartitionId
from models.messages.records import layout_of, relaid, take_records

__all__ = ["DeliveryState", "ShardMemory"]

_PROFILE_NAMES = tuple(PROFILES)
_STOP_KINDS, _STOP_STATES = {int(one): one for one in StopKind}, tuple(StopState)
_PICKED_UP = frozenset({"picked_up", "in_transit", "arrived"})
_KEPT_WHEN_ERASED = ("number", "tenant", "partition", "profile", "stop_head", "open_stops", "version")


@dataclass(slots=True)
class DeliveryState:
    """What a shard knows of a delivery that its driver carries."""

    id: str
    tenant: str
    driver: int
    version: int
    status: str
    stops: tuple[StopPlan, ...]
    weight_kg: float = 0.0
    priority: str = "normal"


@dataclass(slots=True)
class ShardMemory:
    """Drivers, their names and deliveries, geofences, and fixes on their way to history."""

    profiles: Mapping[str, MotionProfile] = field(default_factory=lambda: PROFILES)
    """Motion profiles by name, in the order of `PROFILES`."""
    state: ShardState = field(default_factory=ShardState)
    refs: dict[int, DriverRef] = field(default_factory=dict)
    """Who a driver number is, for every driver in the table."""
    history: HistoryBuffer = field(default_factory=lambda: HistoryBuffer(3000))
    deliveries: dict[int, DeliveryState] = field(default_factory=dict)
    """Deliveries by the shard's key."""
    fences: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Fence number → (tenant, id)."""
    _tenants: list[str] = field(default_factory=list)
    _tenant_index: dict[str, int] = field(default_factory=dict)
    _keys: dict[str, int] = field(default_factory=dict)
    _next_key: int = 1
    etas: LiveEtas = field(init=False)
    """When the drivers' open stops will be reached."""

    def __post_init__(self) -> None:
        self.state.profiles = pack_profiles(tuple(self.profiles.values()))
        self.etas = LiveEtas(self.state.drivers, self._stops_ahead)

    def tenant_index(self, tenant: str) -> int:
        """Return the shard's index of a tenant; a new tenant gets the next."""
        found = self._tenant_index.get(tenant)
        if found is None:
            found = self._tenant_index[tenant] = len(self._tenants)
            self._tenants.append(tenant)
        return found

    @property
    def tenants(self) -> Sequence[str]:
        """Return the tenants that have been met, in the order of their indices."""
        return self._tenants

    def tenant_of(self, index: int) -> str:
        """Return the tenant of an index."""
        return self._tenants[index]

    def driver_of(self, number: int) -> str:
        """Return the id of a driver; empty if it is not in memory. May be called from another thread."""
        ref = self.refs.get(number)
        return "" if ref is None else ref.id

    def tenant_of_driver(self, number: int) -> str | None:
        """Return whose a driver is, None if it is not in memory. May be called from another thread."""
        ref = self.refs.get(number)
        return None if ref is None else ref.tenant

    def unknown(self, numbers: NDArray[np.uint32]) -> list[int]:
        """Return those driver numbers that the table does not hold, each once."""
        absent = self.state.drivers.rows(numbers) == ABSENT
        return np.unique(numbers[absent]).tolist() if absent.any() else []

    def activate(self, refs: Sequence[DriverRef], states: Mapping[int, bytes]) -> None:
        """Take drivers into memory, all at once: one by one a hundred thousand would take seconds.

        `states` are what `idle` once returned, of those that have any.
        """
        records = fresh_records(len(refs))
        for place, ref in enumerate(refs):
            if (state := states.get(ref.number)) is not None:
                records[place] = np.frombuffer(state, DRIVER)[0]
        records["number"] = [ref.number for ref in refs]
        records["partition"] = [ref.partition for ref in refs]
        records["tenant"] = [self.tenant_index(ref.tenant) for ref in refs]
        records["profile"] = [_profile_index(ref) for ref in refs]
        records["stop_head"], records["open_stops"] = NO_STOP, 0
        self.state.drivers.insert(records.tobytes())
        self.refs.update((ref.number, ref) for ref in refs)

    def apply(self, batch: FixBatch) -> tuple[Step, FixBatch]:
        """Advance by one batch and keep its fixes for history.

        Fixes of drivers that are not in the table (they were deleted) are left out; the returned batch is what was
        applied.
        """
        rows = self.state.drivers.rows(batch.fixes["driver"])
        present = rows != ABSENT
        if not present.all():
            batch, rows = batch.where(present), rows[present]
        step = advance(self.state, batch.fixes, rows, batch.received, batch.positions)
        stored = to_stored(batch.fixes, batch.received, batch.positions, step.outcomes, step.reasons)
        repeats = step.outcomes == Outcome.DUPLICATE
        kept = batch
        if repeats.any():
            kept, stored = batch.where(~repeats), take_records(stored, ~repeats)
        for block in kept.blocks:
            self.history.add(block.partition, stored[block.start : block.stop])
        self.etas.table.note_moved(self.state.drivers.records["number"][step.changed].tolist())
        return step, batch

    def assign(self, message: DeliveryAssigned) -> bool:
        """Open the stops of a delivery at its driver; False if this is old news."""
        key = self._keys.get(message.delivery)
        if key is not None and self.deliveries[key].version >= message.version:
            return False
        row = self._row(message.driver)
        if row == ABSENT:
            return False
        if key is not None:
            self.state.stops.close(key)
        else:
            key = self._new_key(message.delivery)
        self.deliveries[key] = DeliveryState(
            message.delivery,
            message.tenant,
            message.driver,
            message.version,
            message.status,
            message.stops,
            message.weight_kg,
            message.priority,
        )
        planned = [PlannedStop(stop.kind, stop.latitude, stop.longitude, stop.radius_m) for stop in message.stops]
        self.state.stops.open(row, key, planned)
        self._close_done(key)
        self.note_plan(message.driver)
        return True

    def reported(self, message: DeliveryChanged, position: int) -> NDArray[np.void]:
        """Return arrivals that a delivery's new status tells of, `EVENT` records; to be asked before it is followed.

        `position` is that of the message's log entry.
        """
        key = self._keys.get(message.delivery)
        if key is None or self.deliveries[key].version >= message.version:
            return np.zeros(0, EVENT)
        return reported_arrivals(self.state.drivers, key, message.status, position)

    def change(self, message: DeliveryChanged) -> bool:
        """Follow a delivery's new status; False if this is old news."""
        key = self._keys.get(message.delivery)
        if key is None or self.deliveries[key].version >= message.version:
            return False
        delivery = self.deliveries[key]
        delivery.version, delivery.status = message.version, message.status
        if not message.assigned or message.status in CLOSED:
            self._forget_delivery(key)
        elif not self._close_done(key):
            return True  # its driver has the same stops ahead
        self.note_plan(delivery.driver)
        return True

    def take_route(self, message: RoutePlanned) -> None:
        """Follow the order in which a driver makes the stops of a route."""
        order = RouteOrder(message.version, message.departs_ms, message.profile, message.visits, message.breaks)
        if self._row(message.driver) != ABSENT and self.etas.table.take_route(message.driver, message.route, order):
            self.note_plan(message.driver)

    def note_plan(self, number: int) -> None:
        """Remember that what a driver has ahead is another now."""
        row = self._row(number)
        if row != ABSENT:
            self.etas.table.note_changed(number, int(self.state.drivers.records["partition"][row]))
            if routes := self.etas.table.routes.get(number):  # without any, no stop has a turn
                ranks = ranks_of(routes)
                known = {visit: self._keys[visit[0]] for visit in ranks if visit[0] in self._keys}
                self.state.stops.order(
                    row, {(key, StopKind[visit[1].upper()]): ranks[visit] for visit, key in known.items()}
                )

    def take_fences(self, by_tenant: Mapping[str, Iterable[Geofence]]) -> None:
        """Take the geofences of the shard's tenants in place of those before."""
        listed = list(itertools.chain.from_iterable(by_tenant.values()))
        self.fences = {fence.number: (fence.tenant, fence.id) for fence in listed}
        self.state.fences = FenceIndex.compile([self._fence(fence) for fence in listed])

    def take_closures(self, by_tenant: Mapping[str, Iterable[Closure]]) -> None:
        """Let estimates go around the closures of the shard's tenants, and no longer around those before."""
        found = {self.tenant_index(tenant): barriers(closures) for tenant, closures in by_tenant.items()}
        self.etas.closures = {tenant: mine for tenant, mine in found.items() if mine}

    def rename(self, ref: DriverRef) -> None:
        """Take over a driver's changed document, if the driver is in memory."""
        row = self._row(ref.number)
        if row != ABSENT:
            self.refs[ref.number] = ref
            self.state.drivers.records["profile"][row] = _profile_index(ref)

    def forget(self, number: int) -> None:
        """Take a driver out that no longer exists."""
        row = self._row(number)
        if row != ABSENT:
            self._forget_drivers(np.array([row], np.int32), [number])

    def erase(self, number: int) -> None:
        """Forget where a driver has been, if the driver is in memory: what is left is who it is and its open stops."""
        row = self._row(number)
        if row != ABSENT:
            record = fresh_records(1)
            for name in _KEPT_WHEN_ERASED:
                record[name] = self.state.drivers.records[name][row]
            self.state.drivers.records[row : row + 1] = record

    def image(self, partition: int) -> PartitionImage:
        """Return the state of a partition, with its fixes that history does not hold yet."""
        drivers = self.state.drivers
        rows = drivers.of_partition(partition)
        numbers = drivers.records["number"][rows]
        held = set(numbers.tolist())
        tenants = {int(index): self._tenants[index] for index in np.unique(drivers.records["tenant"][rows])}
        mine = {key: delivery for key, delivery in self.deliveries.items() if delivery.driver in held}
        return PartitionImage(
            drivers=drivers.extract(partition),
            stops=self.state.stops.extract(partition),
            tenants=tenants,
            names={
                number: (self.refs[number].id, self.refs[number].name, self.refs[number].profile) for number in held
            },
            deliveries={key: (d.id, d.tenant, d.driver, d.version, d.status) for key, d in mine.items()},
            plans={key: delivery.stops for key, delivery in mine.items()},
            pending=self.history.of_partition(partition).tobytes(),
            cargo={key: (delivery.weight_kg, delivery.priority) for key, delivery in mine.items()},
            etas=self.etas.table.image(partition, numbers.tolist()),
            layouts=(layout_of(DRIVER), layout_of(STOP)),
        )

    def begin(self, partition: int) -> None:
        """Take a partition that nobody has ever held."""
        self.history.open(partition, 0, np.empty(0, STORED))

    def restore(self, partition: int, offset: int, image: PartitionImage) -> None:
        """Take what `image` returned at a log position, here or in another process."""
        tenants = {index: self.tenant_index(tenant) for index, tenant in image.tenants.items()}
        of_drivers, of_stops = image.layouts
        rows = self.state.drivers.insert(relaid(image.drivers, of_drivers, DRIVER), tenants)
        for number, tenant in zip(
            self.state.drivers.records["number"][rows].tolist(),
            self.state.drivers.records["tenant"][rows].tolist(),
            strict=True,
        ):
            identifier, name, profile = image.names[number]
            owner = self._tenants[tenant]
            self.refs[number] = DriverRef(number, PartitionId(partition), identifier, owner, name, profile)
        keys = {key: self._new_key(fields[0]) for key, fields in image.deliveries.items()}
        for old, fields in image.deliveries.items():
            identifier, owner, driver, version, status = fields
            self.deliveries[keys[old]] = DeliveryState(
                identifier, owner, driver, version, status, image.plans[old], *image.cargo.get(old, (0.0, "normal"))
            )
        self.state.stops.insert(relaid(image.stops, of_stops, STOP), keys)
        if not self.etas.table.restore(partition, image.etas, keys):
            drivers = self.state.drivers.records[rows]
            for number in drivers["number"][drivers["open_stops"] > 0].tolist():
                self.note_plan(number)
        self.history.open(partition, offset, np.frombuffer(image.pending, STORED))

    def drop(self, partition: int) -> None:
        """Forget a partition: another shard owns it now."""
        rows = self.state.drivers.of_partition(partition)
        numbers = self.state.drivers.records["number"][rows]
        self.history.drop(partition)
        self.etas.table.passed.pop(partition, None)
        self._forget_drivers(rows, numbers.tolist())

    def idle(self, before_ms: int) -> dict[int, bytes]:
        """Return the states of drivers that were last heard before `before_ms` and have no open stop, by number."""
        drivers = self.state.drivers
        records = drivers.records[: drivers.size]
        rows = np.flatnonzero((records["heard"] < before_ms) & (records["open_stops"] == 0) & (records["heard"] > 0))
        return {int(records["number"][row]): drivers.state(int(row)) for row in rows}

    def passivate(self, states: Mapping[int, bytes]) -> int:
        """Take out those drivers that are still as `idle` found them, and return how many."""
        rows = self.state.drivers.rows(np.array(list(states), np.uint32))
        unchanged = [
            int(row)
            for row, state in zip(rows.tolist(), states.values(), strict=True)
            if row != ABSENT and self.state.drivers.state(row) == state
        ]
        numbers = self.state.drivers.records["number"][unchanged].tolist()
        self._forget_drivers(np.array(unchanged, np.int32), numbers)
        return len(numbers)

    def rows_of_tenant(self, tenant: str) -> NDArray[np.int32]:
        """Return the rows of a tenant's drivers that have a live fix."""
        index = self._tenant_index.get(tenant)
        if index is None:
            return np.empty(0, np.int32)
        records = self.state.drivers.records[: self.state.drivers.size]
        return np.flatnonzero((records["tenant"] == index) & (records["time"] > 0)).astype(np.int32)

    def open_stops(self, number: int) -> list[dict[str, Any]]:
        """Return a driver's open stops, in the order in which they were assigned."""
        row = self._row(number)
        if row == ABSENT:
            return []
        return [
            {
                "delivery": self.deliveries[int(stop["delivery"])].id,
                "kind": "pickup" if stop["kind"] == 1 else "dropoff",
                "latitude": float(stop["lat"]),
                "longitude": float(stop["lon"]),
                "state": int(stop["state"]),
                "since": int(stop["since"]),
            }
            for stop in self.state.stops.of(row)
        ]

    def counts(self) -> Mapping[str, int]:
        """Return what became of the pings of all drivers in memory."""
        records = self.state.drivers.records[: self.state.drivers.size]
        names = ("received", "live", "late", "filtered", "duplicate")
        return {name: int(records[f"{name}_n"].sum(dtype=np.int64)) for name in names}

    def _row(self, number: int) -> int:
        return int(self.state.drivers.rows(np.array([number], np.uint32))[0])

    def _fence(self, fence: Geofence) -> Fence:
        return Fence(
            number=fence.number,
            tenant_index=self.tenant_index(fence.tenant),
            kind=fence.kind,
            points=tuple((point.latitude, point.longitude) for point in fence.points),
            radius_m=fence.radius_m or 0.0,
            half_width_m=fence.half_width_m or 0.0,
            margin_m=fence.margin_m,
            dwell_s=fence.dwell_s,
        )

    def _new_key(self, delivery: str) -> int:
        key = self._keys[delivery] = self._next_key
        self._next_key += 1
        return key

    def _close_done(self, key: int) -> int:
        """Close the stops of a delivery that its status says are made, and return how many those were."""
        return self.state.stops.close(key, "pickup") if self.deliveries[key].status in _PICKED_UP else 0

    def _forget_delivery(self, key: int) -> None:
        self.state.stops.close(key)
        self._keys.pop(self.deliveries.pop(key).id, None)

    def _forget_drivers(self, rows: NDArray[np.int32], numbers: Sequence[int]) -> None:
        gone = set(numbers)
        for key in [key for key, delivery in self.deliveries.items() if delivery.driver in gone]:
            self._forget_delivery(key)
        self.state.drivers.remove(rows)
        self.etas.table.drop(numbers)
        for number in numbers:
            del self.refs[number]

    def _stops_ahead(self, row: int) -> list[OpenStop]:
        """Return the open stops of the driver in `row` with what is known of their deliveries."""
        stops = self.state.stops.of(row)
        columns = (stops[name].tolist() for name in ("delivery", "kind", "state", "lat", "lon", "since"))
        return [self._stop_ahead(*fields) for fields in zip(*columns, strict=True)]

    def _stop_ahead(self, key: int, kind: int, state: int, lat: float, lon: float, since_ms: int) -> OpenStop:
        delivery, chosen = self.deliveries[key], _STOP_KINDS[kind]
        plan = next(one for one in delivery.stops if one.kind == STOP_NAMES[kind])
        return OpenStop(
            delivery=key,
            name=delivery.id,
            kind=chosen,
            state=_STOP_STATES[state],
            latitude=lat,
            longitude=lon,
            since_ms=since_ms,
            version=delivery.version,
            opens_ms=plan.opens_ms,
            closes_ms=plan.closes_ms,
            service_s=plan.service_s,
            weight_kg=delivery.weight_kg,
            priority=delivery.priority,
        )


def _profile_index(ref: DriverRef) -> int:
    return _PROFILE_NAMES.index(ref.profile) if ref.profile in PROFILES else 0
