"""What a shard remembers of its drivers' ways: a head a driver, and the plan of its open stops.

Pure. Heads are columns, so that one look tells whom to estimate anew; plans are short arrays of `AHEAD` records.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.eta.plan import AHEAD, RouteOrder

__all__ = ["HEAD", "NOWHERE", "EtaImage", "EtaTable"]

NOWHERE = -1
"""Slot of a driver without a plan."""

HEAD = np.dtype(
    [
        ("number", "<u4"),  # the driver's; 0 = free slot
        ("partition", "<u2"),
        ("moved", "u1"),  # since the last estimate
        ("stale", "u1"),  # the plan is another now
        ("profile", "u1"),  # place in engine.eta.bases.PROFILES
        ("leg_kind", "u1"),
        ("leg_base", "u1"),  # who says leg_base_s: place in models.eta.base_time.BASES
        ("pad", "u1", (5,)),  # no hidden padding: equal heads are equal bytes
        ("departs", "<i8"),  # no stop is made before, epoch ms; 0 = at any time
        ("at", "<i8"),  # moment of the last estimate, epoch ms of fix time
        ("legs_at", "<i8"),  # when the legs behind the first were last predicted; 0 = they are to be at once
        # What the next look needs: the next stop, and how far away it was.
        ("lat", "<f8"),
        ("lon", "<f8"),
        ("away_s", "<f8"),  # time by pace and great circle at the last estimate
        ("left_s", "<f8"),  # the middle of the first leg at the last estimate
        # The leg under way: from where and when, to which stop, and what was said at its beginning.
        ("leg_delivery", "<i8"),
        ("leg_ms", "<i8"),
        ("leg_lat", "<f8"),
        ("leg_lon", "<f8"),
        ("leg_base_s", "<f8"),
        ("leg_base_m", "<f8"),
        ("leg_stops_left", "<f8"),  # as the model was told then
        ("leg_service_s", "<f8"),  # planned service times from its stop on
        ("leg_traffic", "<f8"),  # time in traffic ÷ time on free roads, as the model was told; NaN = it was not
        ("leg_rain_mm_h", "<f8"),  # the weather, as the model was told; NaN = it was not
        ("leg_temperature_c", "<f8"),
        ("leg_wind_mps", "<f8"),
        ("leg_raw_s", "<f8", (3,)),  # by the model alone
        ("leg_shift", "<f8"),  # log ratio by which what just happened moved it
        ("leg_said_s", "<f8", (3,)),  # corrected by it
        ("leg_shadow_raw_s", "<f8", (3,)),  # the same by the candidate; NaN where there is none
        ("leg_shadow_shift", "<f8"),
        ("leg_shadow_s", "<f8", (3,)),
        ("leg_model", "<u8"),  # digest of the champion's version
        ("leg_candidate", "<u8"),
        # Where the driver was one to two minutes ago.
        ("mark_ms", "<i8"),
        ("mark_lat", "<f8"),
        ("mark_lon", "<f8"),
        ("past_ms", "<i8"),
        ("past_lat", "<f8"),
        ("past_lon", "<f8"),
    ],
    align=True,
)
"""One driver who has open stops."""

_LAYOUT = hashlib.blake2b(repr((HEAD.descr, AHEAD.descr)).encode(), digest_size=8).hexdigest()

_LEAST_SLOTS = 64
_MOST_ROUTES = 8  # of one driver; older ones are over


class EtaImage(msgspec.Struct, frozen=True):
    """What is remembered of a partition's drivers, as a snapshot keeps it."""

    passed_ms: int = 0
    """The last moment at which its drivers were looked at."""
    heads: bytes = b""
    plans: bytes = b""
    routes: dict[int, dict[str, tuple[int, int, str, tuple[tuple[str, str], ...]]]] = {}
    layout: str = ""
    """Digest of the records' fields."""
    breaks: dict[int, dict[str, tuple[tuple[str, str, int, int], ...]]] = {}


class EtaTable:
    """Heads and plans of one shard's drivers."""

    def __init__(self) -> None:
        self.heads: NDArray[np.void] = np.zeros(_LEAST_SLOTS, HEAD)
        """Structured array of capacity; slots with number 0 are free."""
        self.size = 0
        """Slots up to here have been used."""
        self.plans: dict[int, NDArray[np.void]] = {}
        """Driver number → `AHEAD` records in the order of making them."""
        self.routes: dict[int, dict[str, RouteOrder]] = {}
        """Driver number → route id → order."""
        self.passed: dict[int, int] = {}
        """Partition → the last moment at which its drivers were looked at, epoch ms of log time."""
        self._slots: dict[int, int] = {}
        self._free: list[int] = []

    def slots_of(self, numbers: Iterable[int]) -> NDArray[np.int64]:
        """Return the slot of each driver, `NOWHERE` where it has none."""
        return np.fromiter(map(self._slots.get, numbers, repeat(NOWHERE)), np.int64)

    def note_moved(self, numbers: Iterable[int]) -> None:
        """Remember that drivers moved."""
        if self._slots:
            slots = self.slots_of(numbers)
            self.heads["moved"][slots[slots != NOWHERE]] = 1

    def note_changed(self, number: int, partition: int) -> None:
        """Remember that a driver's stops or their order changed; makes it a head if it has none."""
        slot = self._slots.get(number)
        if slot is None:
            slot = self._take_slot()
            self._slots[number] = slot
            self.heads[slot] = np.zeros((), HEAD)
            self.heads["number"][slot], self.heads["partition"][slot] = number, partition
            self.heads["leg_shadow_s"][slot] = np.nan
        self.heads["stale"][slot] = 1

    def take_route(self, number: int, route: str, order: RouteOrder) -> bool:
        """Take a driver's order of stops; without visits the route is over. False if this is old news."""
        routes = self.routes.setdefault(number, {})
        known = routes.get(route)
        if known is not None and known.version >= order.version:
            return False
        routes[route] = order
        while len(routes) > _MOST_ROUTES:
            del routes[min(routes, key=lambda name: (routes[name].departs_ms, name))]
        return True

    def drop(self, numbers: Iterable[int]) -> None:
        """Forget drivers."""
        for number in numbers:
            self.plans.pop(number, None)
            self.routes.pop(number, None)
            self.rest(number)

    def rest(self, number: int) -> None:
        """Free the slot of a driver who has no stop ahead; its routes stay."""
        self.plans.pop(number, None)
        slot = self._slots.pop(number, None)
        if slot is not None:
            self.heads["number"][slot] = 0
            self._free.append(slot)

    def image(self, partition: int, numbers: Sequence[int]) -> EtaImage:
        """Return what is remembered of a partition's drivers, in the order of `numbers`."""
        slots = self.slots_of(numbers)
        heads = self.heads[slots[slots != NOWHERE]]
        held = [number for number in numbers if number in self.plans]
        plans = b"".join([self.plans[number].tobytes() for number in held])
        routes = {
            number: {name: (r.version, r.departs_ms, r.profile, r.visits) for name, r in self.routes[number].items()}
            for number in numbers
            if number in self.routes
        }
        breaks = {
            number: {name: r.breaks for name, r in self.routes[number].items()}
            for number in numbers
            if number in routes
        }
        return EtaImage(self.passed.get(partition, 0), heads.tobytes(), plans, routes, _LAYOUT, breaks)

    def restore(self, partition: int, image: EtaImage, keys: Mapping[int, int]) -> bool:
        """Take what `image` returned; `keys` says which delivery key here stands for one there.

        Records of another release are left out; returns whether they were not, or else these drivers are to be
        estimated anew.
        """
        self.passed[partition] = image.passed_ms
        for number, routes in image.routes.items():
            rests = image.breaks.get(number, {})
            self.routes[number] = {name: RouteOrder(*fields, rests.get(name, ())) for name, fields in routes.items()}
        if image.layout != _LAYOUT:
            return False
        heads, plans = np.frombuffer(image.heads, HEAD), np.frombuffer(image.plans, AHEAD).copy()
        plans["delivery"] = [keys.get(key, 0) for key in plans["delivery"].tolist()]
        for head in heads:
            number = int(head["number"])
            self.note_changed(number, partition)
            slot = self._slots[number]
            self.heads[slot] = head
            self.heads["leg_delivery"][slot] = keys.get(int(head["leg_delivery"]), 0)
        for number in np.unique(plans["driver"]).tolist():
            self.plans[number] = plans[plans["driver"] == number]
        return True

    def _take_slot(self) -> int:
        if self._free:
            return self._free.pop()
        if self.size == len(self.heads):
            bigger = np.zeros(self.size * 3 // 2, HEAD)
            bigger[: self.size] = self.heads
            self.heads = bigger
        self.size += 1
        return self.size - 1
