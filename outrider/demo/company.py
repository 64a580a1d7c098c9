"""The demo's company: its depots, vans, drivers and orders, and how it plans its morning."""

import asyncio
import contextlib
import datetime
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import httpx2
import numpy as np

from models.errors import OutriderError
from outrider.client import Delivery, Driver, OutriderClient, Place
from pipelines.fleet.rounds import draw_orders
from pipelines.fleet.simulate import City

__all__ = ["DEPOTS", "Crew", "Plan", "deliver_urgently", "hire", "order", "plan", "together"]

DEPOTS = (("Armazém Norte", 41.178, -8.630), ("Matosinhos", 41.184, -8.683), ("Gaia Sul", 41.121, -8.614))
"""Name, latitude and longitude."""

_STOPS_A_VAN = 14
_MOST_STOPS = 16  # so that a van has room for what comes in later
_OPEN_ORDERS = 24  # left for whoever looks at the planner's page
_SERVICE_S = 150
_WINDOW = datetime.timedelta(minutes=150)
_PRIORITIES = ("normal", "high", "urgent")
_FIRST = ("Ana", "Rui", "Marta", "João", "Inês", "Luís", "Sofia", "Hugo", "Carla", "Nuno", "Rita", "Bruno")
_LAST = ("Sousa", "Costa", "Lopes", "Reis", "Alves", "Melo", "Dias", "Pinto", "Rocha", "Neves", "Faria")
_TOGETHER = 8
_LOOK_S = 0.3

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Crew:
    """A driver with a van."""

    driver: str
    name: str
    vehicle: str
    key: str
    """Of the phone."""
    depot: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the optimiser made of the orders."""

    routes: int
    unserved: int


async def hire(client: OutriderClient, count: int) -> list[Crew]:
    """Set the company up: its depots and so many drivers, each with a van and a phone of its own."""
    await client.change_tenant(settings={"timeZone": "Europe/Lisbon"})
    depots = [
        (await client.create_depot(name=name, place={"latitude": lat, "longitude": lon}), (lat, lon))
        for name, lat, lon in DEPOTS
    ]
    names = {f"van-{n + 1:02}": f"{_FIRST[n % len(_FIRST)]} {_LAST[n % len(_LAST)]}" for n in range(count)}
    drivers = await client.create_drivers(names)

    async def equip(number: int, driver: Driver) -> Crew:
        depot, place = depots[number % len(depots)]
        van = await client.create_vehicle(
            name=f"Van {number + 1}",
            driverId=driver.id,
            startDepotId=depot["id"],
            endDepotId=depot["id"],
            capacity={"weightKg": 900},
            cost={"fixed": 40, "perKm": 0.35, "perHour": 14},
        )
        key = await client.create_key("device", f"phone of {driver.name}", driver=driver.id)
        return Crew(driver.id, driver.name, str(van["id"]), key, place)

    return await together([partial(equip, number, driver) for number, driver in enumerate(drivers)])


async def order(
    client: OutriderClient, rng: np.random.Generator, city: City, vans: int, begins: datetime.datetime
) -> list[Delivery]:
    """Take in the orders of a morning: as many as the vans can carry out, and some more."""
    count = vans * _STOPS_A_VAN + _OPEN_ORDERS
    drawn, doors = draw_orders(rng, city.doorsteps, count), city.doorsteps
    bodies: list[dict[str, Any]] = []
    for number, address in enumerate(drawn.address.tolist()):
        body = {
            "reference": f"{begins:%d%H}-{number + 1:04}",
            "dropoff": Place(latitude=float(doors.latitude[address]), longitude=float(doors.longitude[address])),
            "customer": {"name": f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"},
            "weightKg": float(drawn.weight_kg[number]),
            "priority": _PRIORITIES[drawn.priority[number]],
            "serviceTimeS": _SERVICE_S,
        }
        if drawn.has_window[number]:
            opens = begins + datetime.timedelta(minutes=5 * int(rng.integers(-6, 7)))
            body["timeWindow"] = {"start": opens.isoformat(), "end": (opens + _WINDOW).isoformat()}
        bodies.append(body)
    return await client.create_deliveries(bodies)


async def plan(client: OutriderClient, orders: Sequence[Delivery], begins: datetime.datetime, seconds: float) -> Plan:
    """Let the optimiser put all orders but the last ones on routes, and give these to their drivers.

    Raises
    ------
    OutriderError
        If the search failed.
    """
    job = await client.optimize(
        [one.id for one in orders[:-_OPEN_ORDERS]],
        start=begins.isoformat(),
        seconds=seconds,
        optimizationCriteria=["time"],
        constraints={"maxStops": _MOST_STOPS},
    )
    while job["state"] in ("queued", "running"):
        await asyncio.sleep(_LOOK_S)
        with contextlib.suppress(httpx2.TransportError):  # a busy machine: look again
            job = await client.job(job["id"])
    if not job["routes"]:
        raise OutriderError(f"the morning could not be planned: {job['error'] or job['state']}")
    await together([partial(client.dispatch, route) for route in job["routes"]])
    return Plan(len(job["routes"]), len(job["unserved"]))


async def deliver_urgently(client: OutriderClient, rng: np.random.Generator, city: City) -> None:
    """Take in an urgent order and ask what to do about it: a proposal that waits for somebody to say yes."""
    address = int(rng.choice(len(city.doorsteps.weight), p=city.doorsteps.weight))
    place = Place(latitude=float(city.doorsteps.latitude[address]), longitude=float(city.doorsteps.longitude[address]))
    urgent = await client.create_delivery(place, reference="urgent", priority="urgent", serviceTimeS=_SERVICE_S)
    await client.propose(insert=[urgent.id])


async def together(work: Sequence[Callable[[], Coroutine[Any, Any, _T]]]) -> list[_T]:
    """Do all of it, some at a time, and return the answers in order."""
    gate = asyncio.Semaphore(_TOGETHER)

    async def one(ask: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        async with gate:
            return await ask()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(ask), name="demo-company") for ask in work]
    return [task.result() for task in tasks]
