"""A believable company for trials: its people, places and a week of deliveries around Porto.

Pure: the dice come with a seed and the clock with the caller, so the same seed and moment give the same company.
"""

import datetime
import random
from collections.abc import Sequence
from dataclasses import dataclass

from models.documents.delivery import Customer, Place, Position, Priority, TimeWindow
from models.documents.depot import DepotShape
from models.documents.geofence import FenceShape

__all__ = ["SampleCompany", "SampleDelivery", "SampleDriver", "SampleStep", "sample_company"]

DAYS_BACK, DAYS_AHEAD = 6, 1
CENTRE = (41.1496, -8.6110)  # Praça da Liberdade

_PT = ("Ana Sousa", "Rui Costa", "Marta Lopes", "João Reis", "Inês Alves", "Tiago Melo", "Sofia Dias", "Hugo Pinto")
_EN = ("Emma Clarke", "James Walker", "Olivia Hughes", "Daniel Moore", "Grace Bennett", "Thomas Reid")
_DE = ("Jürgen Weiß", "Sabine Krüger", "Anneliese Böhm", "Lukas Schäfer", "Mareike Groß", "Paul Jäger")
_ZH = ("王伟", "李娜", "张敏", "刘洋", "陈静", "黄磊")
_NAMES = (*_PT, *_PT, *_PT, *_EN, *_DE, *_ZH)
_FIRST = ("Ana", "Rui", "Marta", "João", "Inês", "Tiago", "Sofia", "Hugo", "Carla", "Nuno", "Rita", "Bruno", "Vera")
_LAST = ("Sousa", "Costa", "Lopes", "Reis", "Alves", "Melo", "Dias", "Pinto", "Rocha", "Neves", "Faria", "Leal")

# numbers that the regulators of Britain and of Germany keep free for films: nobody is ever called
_PHONES = ("+44 7700 900{:03d}", "+49 30 23125 {:03d}")

_STREETS = (
    ("Rua das Flores", 41.1432, -8.6130),
    ("Avenida da Boavista", 41.1606, -8.6500),
    ("Rua de Cedofeita", 41.1530, -8.6190),
    ("Rua de Santa Catarina", 41.1510, -8.6060),
    ("Rua do Almada", 41.1500, -8.6125),
    ("Avenida de Fernão de Magalhães", 41.1600, -8.5930),
    ("Rua da Constituição", 41.1630, -8.6080),
    ("Rua do Campo Alegre", 41.1520, -8.6370),
    ("Avenida da República, Vila Nova de Gaia", 41.1260, -8.6060),
    ("Rua de Costa Cabral", 41.1700, -8.5950),
    ("Rua Brito Capelo, Matosinhos", 41.1830, -8.6900),
    ("Rua de Serpa Pinto", 41.1640, -8.6190),
)
_DEPOTS = (("Armazém Central", 41.1640, -8.6300), ("Maia Norte", 41.2330, -8.6210), ("Gaia Sul", 41.1030, -8.6160))
_NOTES = (None, None, None, "Tocar à campainha, 2.º esq.", "Leave with the concierge", "Bitte klingeln", "请放在门口")
_PRIORITIES: tuple[Priority, ...] = ("normal", "normal", "normal", "normal", "high", "low", "urgent")

_LIVES = {
    "pending": (),
    "cancelled": ("cancelled",),
    "assigned": ("assigned",),
    "accepted": ("assigned", "accepted"),
    "picked_up": ("assigned", "accepted", "picked_up"),
    "in_transit": ("assigned", "accepted", "picked_up", "in_transit"),
    "arrived": ("assigned", "accepted", "picked_up", "in_transit", "arrived"),
    "delivered": ("assigned", "accepted", "picked_up", "in_transit", "arrived", "delivered"),
    "failed": ("assigned", "accepted", "picked_up", "in_transit", "arrived", "failed"),
    "returned": ("assigned", "accepted", "picked_up", "in_transit", "arrived", "failed", "returned"),
}
_PAST = ("delivered",) * 90 + ("returned",) * 4 + ("failed",) * 2 + ("cancelled",) * 4
_TODAY = (
    *("delivered",) * 38,
    *("arrived",) * 4,
    *("in_transit",) * 14,
    *("picked_up",) * 8,
    *("accepted",) * 10,
    *("assigned",) * 10,
    *("pending",) * 12,
    *("failed", "cancelled", "cancelled", "returned"),
)
_AHEAD = ("pending",) * 8 + ("assigned",) * 2


@dataclass(frozen=True, slots=True)
class SampleDriver:
    """One who drives, with what is driven."""

    name: str
    external_id: str
    phone: str
    plate: str
    is_bike: bool
    depot: int
    """Place in the list of depots."""


@dataclass(frozen=True, slots=True)
class SampleStep:
    """One step of a delivery's life; `assigned` gives it to its driver."""

    status: str
    at: datetime.datetime
    notes: str | None = None
    location: Position | None = None


@dataclass(frozen=True, slots=True)
class SampleDelivery:
    """A delivery, its driver and what became of it."""

    reference: str
    pickup: Place
    dropoff: Place
    customer: Customer
    weight_kg: float
    priority: Priority
    time_window: TimeWindow
    notes: str | None
    created_at: datetime.datetime
    driver: int
    """Place in the list of drivers."""
    steps: tuple[SampleStep, ...]


@dataclass(frozen=True, slots=True)
class SampleCompany:
    """All of it."""

    name: str
    depots: Sequence[DepotShape]
    fences: Sequence[FenceShape]
    planners: Sequence[str]
    drivers: Sequence[SampleDriver]
    deliveries: Sequence[SampleDelivery]


def sample_company(
    seed: int, now: datetime.datetime, *, deliveries: int = 2000, drivers: int = 60, planners: int = 4
) -> SampleCompany:
    """Return the company of a seed as it stands at a moment.

    Parameters
    ----------
    seed
        Of the dice.
    now
        Nothing has happened after it.
    deliveries, drivers, planners
        How many there are.
    """
    dice = random.Random(seed)  # noqa: S311  # no secrets come of it
    people = [f"{first} {last}" for first in _FIRST for last in _LAST]
    dice.shuffle(people)
    return SampleCompany(
        name=f"Correio do Douro {seed}",
        depots=[_depot(*depot) for depot in _DEPOTS],
        fences=[*(_yard(*depot) for depot in _DEPOTS), _old_town()],
        planners=people[drivers : drivers + planners],
        drivers=[_driver(dice, number, people[number]) for number in range(drivers)],
        deliveries=[_delivery(dice, number, now, drivers) for number in range(deliveries)],
    )


def _depot(name: str, latitude: float, longitude: float) -> DepotShape:
    return DepotShape.model_validate(
        {"name": name, "place": {"address": name, "latitude": latitude, "longitude": longitude}, "service_time_s": 900}
    )


def _yard(name: str, latitude: float, longitude: float) -> FenceShape:
    point = {"latitude": latitude, "longitude": longitude}
    return FenceShape.model_validate({"name": name, "kind": "circle", "points": [point], "radius_m": 150})


def _old_town() -> FenceShape:
    corners = ((41.1400, -8.6170), (41.1400, -8.6070), (41.1470, -8.6070), (41.1470, -8.6170))
    points = [{"latitude": latitude, "longitude": longitude} for latitude, longitude in corners]
    return FenceShape.model_validate({"name": "Ribeira", "kind": "polygon", "points": points})


def _driver(dice: random.Random, number: int, name: str) -> SampleDriver:
    letters = "".join(dice.choices("ABCDEFGHJLMNPRSTUVXZ", k=4))
    return SampleDriver(
        name=name,
        external_id=f"courier-{number + 1:02d}",
        phone=_phone(dice),
        plate=f"{letters[:2]}-{number:02d}-{letters[2:]}",
        is_bike=number % 6 == 0,
        depot=number % len(_DEPOTS),
    )


def _delivery(dice: random.Random, number: int, now: datetime.datetime, drivers: int) -> SampleDelivery:
    day = dice.randint(-DAYS_BACK, DAYS_AHEAD)
    status = dice.choice(_PAST if day < 0 else _TODAY if day == 0 else _AHEAD)
    depot, latitude, longitude = dice.choice(_DEPOTS)
    dropoff = _address(dice)
    window = _window(dice, now, day)
    created_at = min(window.start, now) - datetime.timedelta(hours=dice.uniform(12, 30))
    return SampleDelivery(
        reference=f"CD-{number + 1:05d}",
        pickup=Place(address=depot, latitude=latitude, longitude=longitude),
        dropoff=dropoff,
        customer=Customer(name=dice.choice(_NAMES), phone=_phone(dice)),
        weight_kg=round(dice.lognormvariate(0.8, 0.8), 1) + 0.1,
        priority=dice.choice(_PRIORITIES),
        time_window=window,
        notes=dice.choice(_NOTES),
        created_at=created_at,
        driver=dice.randrange(drivers),
        steps=_life(dice, status, dropoff, created_at, min(window.end, now)),
    )


def _life(
    dice: random.Random, status: str, dropoff: Place, begin: datetime.datetime, end: datetime.datetime
) -> tuple[SampleStep, ...]:
    """Return the steps to a status: assigned soon after the order, the rest within the hours before `end`."""
    walk = _LIVES[status]
    moments = sorted(end - datetime.timedelta(minutes=dice.uniform(1, 180)) for _ in walk)
    if walk and walk[0] == "assigned":
        moments[0] = begin + datetime.timedelta(minutes=dice.uniform(1, 60))
    there = Position.model_validate({"latitude": dropoff.latitude, "longitude": dropoff.longitude})
    return tuple(
        SampleStep(
            step,
            at,
            notes="Nobody at home" if step == "failed" else None,
            location=there if step in ("arrived", "delivered", "failed") else None,
        )
        for step, at in zip(walk, moments, strict=True)
    )


def _window(dice: random.Random, now: datetime.datetime, day: int) -> TimeWindow:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    start = midnight + datetime.timedelta(days=day, hours=dice.randint(8, 18))
    return TimeWindow(start=start, end=start + datetime.timedelta(hours=2))


def _address(dice: random.Random) -> Place:
    street, latitude, longitude = dice.choice(_STREETS)
    return Place(
        address=f"{street} {dice.randint(1, 400)}",
        latitude=round(latitude + dice.gauss(0, 0.0018), 6),
        longitude=round(longitude + dice.gauss(0, 0.0024), 6),
    )


def _phone(dice: random.Random) -> str:
    return dice.choice(_PHONES).format(dice.randrange(1000))
