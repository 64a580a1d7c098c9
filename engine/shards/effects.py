"""What a step lets out into the world, as documents: events, trips, visits, and arrivals at planned stops.

Pure. Ids are made from the log position and the fix's place in the entry's order, so a replay after a crash makes the
same ids and every consumer can ignore what it has seen.
"""

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.eta.corrections import Finish
from engine.eta.telling import ToldEstimate
from engine.motion.trips import VISIT, record_id, trips_of, visits_of
from engine.registry import DriverRef
from engine.shards.events import EventKind
from engine.shards.memory import ShardMemory

__all__ = ["Effects", "StopMoment", "describe", "trip_document", "visit_document", "visit_records"]

_TYPES: Mapping[int, str] = {
    EventKind.STOPPED: "driver.stopped",
    EventKind.DEPARTED: "driver.departed",
    EventKind.TRIP_ENDED: "driver.trip_ended",
    EventKind.ENTER: "geofence.entered",
    EventKind.EXIT: "geofence.left",
    EventKind.CROSS: "geofence.crossed",
    EventKind.DWELL: "geofence.dwelled",
    EventKind.STOP_ARRIVED: "delivery.stop_arrived",
    EventKind.STOP_LEFT: "delivery.stop_left",
    EventKind.ONLINE: "driver.online",
    EventKind.OFFLINE: "driver.offline",
    EventKind.REANCHORED: "driver.reanchored",
}
_FENCE_KINDS = frozenset({EventKind.ENTER, EventKind.EXIT, EventKind.CROSS, EventKind.DWELL})
_STOP_KINDS = frozenset({EventKind.STOP_ARRIVED, EventKind.STOP_LEFT})
_MEASURES: Mapping[int, str] = {
    EventKind.DEPARTED: "stoodS",
    EventKind.TRIP_ENDED: "distanceM",
    EventKind.EXIT: "insideS",
    EventKind.STOP_ARRIVED: "awayM",
    EventKind.STOP_LEFT: "stayedS",
    EventKind.ONLINE: "silentS",
    EventKind.REANCHORED: "jumpM",
}
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class StopMoment:
    """A driver came to, or left, a planned stop of a delivery."""

    event: str
    tenant: str
    driver: str
    delivery: str
    kind: Literal["pickup", "dropoff"]
    moment: Literal["arrived", "left"]
    time_ms: int
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Effects:
    """Documents of one step."""

    events: list[dict[str, Any]] = field(default_factory=list)
    trips: list[dict[str, Any]] = field(default_factory=list)
    visits: list[dict[str, Any]] = field(default_factory=list)
    moments: list[StopMoment] = field(default_factory=list)
    points: list[dict[str, Any]] = field(default_factory=list)
    """Points of deliveries' histories of estimates, in blocks."""
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    """How estimates turned out."""
    finishes: list[Finish] = field(default_factory=list)
    """Legs that were driven to their end, for those who estimate."""
    legs: list[dict[str, Any]] = field(default_factory=list)
    """The same legs for those who train models."""
    estimates: list[ToldEstimate] = field(default_factory=list)
    """For watchers; not stored."""

    def __bool__(self) -> bool:
        return bool(self.events or self.points or self.outcomes or self.finishes or self.legs or self.estimates)

    @property
    def size(self) -> int:
        """Return how many documents these are."""
        points = sum(len(block["points"]) for block in self.points)
        return len(self.events) + points + len(self.outcomes) + len(self.legs)

    def extend(self, other: "Effects") -> None:
        """Add those of a later step."""
        for name in ("events", "trips", "visits", "moments", "points", "outcomes", "finishes", "legs", "estimates"):
            getattr(self, name).extend(getattr(other, name))


def describe(events: NDArray[np.void], fixes: NDArray[np.void], memory: ShardMemory) -> Effects:
    """Return the effects of a step's `EVENT` records; `fixes` are those that their `index` counts in."""
    effects = Effects()
    if not events.size:
        return effects
    seen: dict[tuple[int, int], int] = {}
    for event in events:
        place = (int(event["position"]), int(event["driver"]))
        seen[place] = seen.get(place, -1) + 1
        _describe_one(event, seen[place], memory, effects)
    for trip in trips_of(events):
        effects.trips.append(trip_document(trip, memory.refs[int(trip["driver"])].tenant, _driver(memory, trip)))
    for visit in visits_of(events, fixes):
        effects.visits.append(visit_document(visit, memory.refs[int(visit["driver"])].tenant, _driver(memory, visit)))
    return effects


def trip_document(trip: np.void, tenant: str, driver: str) -> dict[str, Any]:
    """Return a `TRIP` record as MongoDB keeps it."""
    return {
        "_id": record_id("trp", int(trip["driver"]), int(trip["start_time"])),
        "tenant": tenant,
        "driver": driver,
        "from": int(trip["start_time"]),
        "to": int(trip["end_time"]),
        "start": [float(trip["start_lat"]), float(trip["start_lon"])],
        "end": [float(trip["end_lat"]), float(trip["end_lon"])],
        "distanceM": float(trip["distance_m"]),
    }


def visit_document(visit: np.void, tenant: str, driver: str) -> dict[str, Any]:
    """Return a `VISIT` record as MongoDB keeps it, without what it does not know."""
    document: dict[str, Any] = {
        "_id": record_id("vst", int(visit["driver"]), int(visit["arrival"])),
        "tenant": tenant,
        "driver": driver,
        "from": int(visit["arrival"]),
        "place": [float(visit["lat"]), float(visit["lon"])],
    }
    if visit["departure"]:
        document["to"] = int(visit["departure"])
    if visit["declared_time"]:
        document["odometerM"] = float(visit["odometer_m"])
        document["declared"] = {
            "time": int(visit["declared_time"]),
            "place": [float(visit["declared_lat"]), float(visit["declared_lon"])],
            "accuracyM": float(visit["declared_accuracy"]),
        }
    return document


def visit_records(documents: Sequence[Mapping[str, Any]]) -> NDArray[np.void]:
    """Return the `VISIT` records of documents that `visit_document` made."""
    visits = np.zeros(len(documents), VISIT)
    for visit, document in zip(visits, documents, strict=True):
        visit["arrival"] = document["from"]
        visit["departure"] = document.get("to", 0)
        visit["lat"], visit["lon"] = document["place"]
        visit["odometer_m"] = document.get("odometerM", 0.0)
        if declared := document.get("declared"):
            visit["declared_time"] = declared["time"]
            visit["declared_lat"], visit["declared_lon"] = declared["place"]
            visit["declared_accuracy"] = declared["accuracyM"]
    return visits


def _describe_one(event: np.void, nth: int, memory: ShardMemory, effects: Effects) -> None:
    kind, number = EventKind(int(event["kind"])), int(event["driver"])
    ref = memory.refs[number]
    identifier = _event_id(kind, number, int(event["position"]), int(event["time"]), nth)
    data: dict[str, Any] = {"driver": ref.id, "latitude": float(event["lat"]), "longitude": float(event["lon"])}
    if event["start_time"]:
        data["since"] = int(event["start_time"])
    if kind in _MEASURES:
        data[_MEASURES[kind]] = round(float(event["value"]), 1)
    aggregate = ref.id
    if kind in _FENCE_KINDS:
        data["geofence"] = memory.fences.get(int(event["subject"]), ("", ""))[1]
    if kind in _STOP_KINDS:
        moment = _moment(event, identifier, ref, memory)
        if moment is None:
            return  # the delivery was closed by a message of the same turn
        effects.moments.append(moment)
        data["delivery"], data["stop"] = moment.delivery, moment.kind
        aggregate = moment.delivery
    effects.events.append(
        {
            "_id": identifier,
            "tenant": ref.tenant,
            "type": _TYPES[kind],
            "aggregate": aggregate,
            "sequence": int(event["position"]),
            "schema": _SCHEMA,
            "time": datetime.datetime.fromtimestamp(int(event["time"]) / 1000, tz=UTC),
            "data": data,
        }
    )


def _moment(event: np.void, identifier: str, ref: DriverRef, memory: ShardMemory) -> StopMoment | None:
    delivery = memory.deliveries.get(int(event["value2"]))
    if delivery is None:
        return None
    stops = memory.state.stops.of(int(event["row"]))
    kinds = stops["kind"][stops["key"] == event["subject"]].tolist()
    if not kinds:
        return None
    return StopMoment(
        event=identifier,
        tenant=ref.tenant,
        driver=ref.id,
        delivery=delivery.id,
        kind="pickup" if kinds[0] == 1 else "dropoff",
        moment="arrived" if event["kind"] == EventKind.STOP_ARRIVED else "left",
        time_ms=int(event["time"]),
        latitude=float(event["lat"]),
        longitude=float(event["lon"]),
    )


def _event_id(kind: EventKind, number: int, position: int, time: int, nth: int) -> str:
    """Return the id of an event: the same in every replay. Silence has no place in the log, so its time stands in."""
    silent = kind is EventKind.OFFLINE
    parts = (int(kind), number, time) if silent else (int(kind), number, time, position, nth)
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=10).hexdigest()
    return f"evt_{time:012x}{digest}"


def _driver(memory: ShardMemory, record: np.void) -> str:
    return memory.refs[int(record["driver"])].id
