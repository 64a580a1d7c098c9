"""Requests of the mix as bytes, and what their answers teach: the generator's side without sockets."""

import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from bench.rest_load import MIX, Kind, Known, RestSpec

__all__ = ["PAGE", "Requests", "Sent", "delivery_body"]

PAGE = 20
"""Deliveries on a page of a list."""

_NEXT = {
    "assigned": "accepted",
    "accepted": "picked_up",
    "picked_up": "in_transit",
    "in_transit": "arrived",
    "arrived": "delivered",
}
_PRIORITIES = ("low", "normal", "normal", "normal", "high", "urgent")
_NAMES = ("Ana Sousa", "Rui Costa", "Marta Lopes", "João Reis", "Inês Alves", "Tiago Melo", "Sofia Dias", "Hugo Pinto")
_STREETS = ("Rua das Flores", "Avenida da Boavista", "Rua de Cedofeita", "Rua do Almada", "Rua de Santa Catarina")
_LISTS = (
    "status=pending",
    "driverId={driver}",
    "",
    "status=assigned&status=accepted&priority=urgent",
    "driverId={driver}&status=delivered",
)


class _Answer(msgspec.Struct):
    id: str
    status: str
    version: int


_answer = msgspec.json.Decoder(_Answer)


@dataclass(slots=True)
class Sent:
    """A request that has no answer yet."""

    kind: Kind
    data: bytes
    expected: int
    """Status of a good answer."""
    delivery: Known | None = None
    """The delivery that it changes; nobody else touches it meanwhile."""


def delivery_body(dice: random.Random, number: int) -> dict[str, object]:
    """Return what an order system says of a delivery."""
    start = f"2026-03-{1 + number % 28:02d}T{8 + number % 8:02d}:00:00Z"
    return {
        "reference": f"ORD-{number:07d}",
        "pickup": _place(dice, number),
        "dropoff": _place(dice, number + 1),
        "customer": {"name": dice.choice(_NAMES), "phone": f"+351 91{dice.randrange(10**7):07d}"},
        "weightKg": round(dice.uniform(0.2, 30.0), 1),
        "priority": dice.choice(_PRIORITIES),
        "timeWindow": {"start": start, "end": start.replace(":00:00", ":59:00")},
        "serviceTimeS": 180,
        "notes": "Ring twice, second door on the left",
    }


def _place(dice: random.Random, number: int) -> dict[str, object]:
    return {
        "address": f"{dice.choice(_STREETS)} {number % 300 + 1}, 4000-{number % 900 + 100} Porto",
        "latitude": round(dice.uniform(41.13, 41.18), 6),
        "longitude": round(dice.uniform(-8.68, -8.57), 6),
    }


class Requests:
    """What all connections of a generator ask, in the shares of the mix, and what they know.

    A delivery that is being changed is out of its queue until the answer is there, so no two requests race.
    """

    def __init__(self, spec: RestSpec) -> None:
        self._dice = random.Random(spec.seed)
        self._host = f"{spec.host}:{spec.port}".encode()
        self._drivers, self._key = spec.drivers, spec.key
        self._read: list[str] = [*spec.closed, *(one.id for one in (*spec.waiting, *spec.running))]
        self._tracked: list[str] = [one.id for one in spec.running]
        self._waiting, self._running = deque(spec.waiting), deque(spec.running)
        self._lists = itertools.cycle(_LISTS)
        self._numbers = itertools.count(1_000_000 + spec.seed % 1000)
        self._kinds = list(itertools.chain.from_iterable([kind] * share for kind, share in MIX.items()))
        self._turns: list[Kind] = []
        self.created = 0
        self.versions: dict[str, int] = {}
        self._make: dict[Kind, Callable[[], tuple[str, str, bytes, int, Known | None]]] = {
            "get": lambda: ("GET", f"deliveries/{self._dice.choice(self._read)}", b"", 200, None),
            "list": self._list,
            "track": lambda: ("GET", f"tracking/{self._dice.choice(self._tracked)}", b"", 200, None),
            "locate": self._locate,
            "move": self._move,
            "create": self._create,
            "assign": self._assign,
            "edit": self._edit,
        }

    def next(self, token: str) -> Sent:
        """Return the next request of the mix."""
        if not self._turns:
            self._turns = [*self._kinds]
            self._dice.shuffle(self._turns)
        kind = self._turns.pop()
        method, path, body, expected, delivery = self._make[kind]()
        head = b"%b /api/v1/%b HTTP/1.1\r\nHost: %b\r\n" % (method.encode(), path.encode(), self._host)
        if token:
            head += b"Authorization: Bearer %b\r\n" % (self._key if kind == "locate" else token).encode()
        if body:
            head += b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        return Sent(kind, head + b"\r\n" + body, expected, delivery)

    def take(self, sent: Sent, body: bytes) -> None:
        """Learn from a good answer."""
        if sent.kind == "create":
            made = _answer.decode(body)
            self.created += 1
            self.versions[made.id] = made.version
            self._read.append(made.id)
            self._put(Known(made.id, made.status, made.version))
        elif sent.delivery is not None:
            now = _answer.decode(body)
            self.versions[now.id] = now.version
            self._put(Known(now.id, now.status, now.version))

    def give_back(self, sent: Sent) -> None:
        """Leave a delivery alone whose change was refused: what it is now is not known."""
        sent.delivery = None

    def _put(self, delivery: Known) -> None:
        if delivery.status == "pending":
            self._waiting.append(delivery)
        elif delivery.status in _NEXT:
            self._running.append(delivery)

    def _list(self) -> tuple[str, str, bytes, int, None]:
        query = next(self._lists).format(driver=self._dice.choice(self._drivers))
        return "GET", f"deliveries?limit={PAGE}&{query}", b"", 200, None

    def _locate(self) -> tuple[str, str, bytes, int, None]:
        spot = {"latitude": self._dice.uniform(41.13, 41.18), "longitude": self._dice.uniform(-8.68, -8.57)}
        body = msgspec.json.encode({**spot, "speed": 8.5, "heading": 120.0, "accuracy": 6.0})
        return "POST", f"tracking/{self._dice.choice(self._tracked)}", body, 200, None

    def _move(self) -> tuple[str, str, bytes, int, Known]:
        delivery = self._running.popleft()
        spot = {"latitude": 41.15, "longitude": -8.61}
        said = {"status": _NEXT[delivery.status], "version": delivery.version, "location": spot}
        return "PATCH", f"deliveries/{delivery.id}/status", msgspec.json.encode(said), 200, delivery

    def _create(self) -> tuple[str, str, bytes, int, None]:
        number = next(self._numbers)
        body = delivery_body(self._dice, number)
        if number % 2:
            body["driverId"] = self._dice.choice(self._drivers)
        return "POST", "deliveries", msgspec.json.encode(body), 201, None

    def _assign(self) -> tuple[str, str, bytes, int, Known]:
        delivery = self._waiting.popleft()
        said = {"driverId": self._dice.choice(self._drivers), "version": delivery.version}
        return "PUT", f"deliveries/{delivery.id}/assignment", msgspec.json.encode(said), 200, delivery

    def _edit(self) -> tuple[str, str, bytes, int, Known]:
        delivery = self._waiting.popleft()
        body = delivery_body(self._dice, next(self._numbers)) | {"version": delivery.version}
        return "PUT", f"deliveries/{delivery.id}", msgspec.json.encode(body), 200, delivery
