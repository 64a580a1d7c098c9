"""How soon questions for figures are answered over many deliveries, beside plain aggregations over the same ones.

The stack is `outrider up` on an empty folder with one company. A year of deliveries and trips goes into its store
directly, because a million lives would take their time, and the figures are made by a rebuild. Each question is asked
over HTTP, one after the other; between the rounds the plain alternative aggregates the deliveries with an index for it.
"""

import contextlib
import datetime
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import httpx2
import msgspec
import numpy as np
from rich.progress import Progress

from bench.report import console, heading
from bench.stack import Account, running_stack
from engine.analytics.keeper import FigureKeeper
from engine.analytics.rebuild import FigureRebuild
from models.ids import new_id
from models.store.connections import Database, connect_mongo
from models.store.scope import Scope
from models.store.transactions import Session, in_transaction

__all__ = ["AnalyticsOptions", "measure_analytics"]

SEED = 11
DAYS = 365
CACHE_GIB = "2"  # room for all deliveries: the plain alternative reads them all
TRIPS_A_DAY = 3
_BATCH = 5000
_REFRESHED, _AT_ONCE = 5000, 500  # deliveries that change again, and how many events a follower takes at once
_PLAIN_ROUNDS = 3
_WAY = ("assigned", "accepted", "picked_up", "in_transit", "arrived", "delivered")


@dataclass(frozen=True, slots=True)
class AnalyticsOptions:
    """What the measurement is like."""

    deliveries: int = 1_000_000
    drivers: int = 200
    requests: int = 100
    """Times that each question is asked."""


async def measure_analytics(options: AnalyticsOptions) -> dict[str, Any]:
    """Measure and return the figures of `outrider bench analytics`."""
    began = time.monotonic()
    async with running_stack({"OUTRIDER_EMBEDDED__MONGO_CACHE_GIB": CACHE_GIB}) as stack:
        account = await stack.open_account(options.drivers)
        database = connect_mongo(stack.store_urls()[0], "outrider")
        with contextlib.closing(database.client):
            console.print(f"stack at {stack.url}; storing {options.deliveries:,} deliveries")
            await _fill(database, account, options.deliveries)
            rebuild_s = await _rebuild(database, account)
            kept_per_s = await _refresh(database, account)
            waits, plain_waits, wrong = await _ask(stack.url, database, account, options)
    told = {
        "deliveries": options.deliveries,
        "drivers": options.drivers,
        "rebuild_s": round(rebuild_s, 1),
        "kept_per_s": round(kept_per_s),
        "p50_ms": {name: _percentile(found, 50) for name, found in waits.items()},
        "p95_ms": {name: _percentile(found, 95) for name, found in waits.items()},
        "worst_p95_ms": max(_percentile(found, 95) for found in waits.values()),
        "plain_ms": {name: round(median(found), 1) for name, found in plain_waits.items()},
        "ratio_plain": {name: round(median(found) / median(waits[name]), 1) for name, found in plain_waits.items()},
        "wrong": wrong,
    }
    return heading("analytics", seconds=round(time.monotonic() - began, 1), repeats=options.requests) | told


async def _fill(database: Database, account: Account, deliveries: int) -> None:
    today = datetime.datetime.now(tz=datetime.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("deliveries", total=deliveries)
        for part in _parts(_deliveries(account, deliveries, today)):
            await database.deliveries.insert_many(part, ordered=False)
            progress.advance(bar, len(part))
        for part in _parts(_trips(account, today)):
            await database.trips.insert_many(part, ordered=False)
    await database.shared["deliveries"].create_index([("tenant", 1), ("updatedAt", 1)])  # for the plain alternative


def _parts(documents: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    for document in documents:
        part.append(document)
        if len(part) == _BATCH:
            yield part
            part = []
    if part:
        yield part


def _deliveries(account: Account, count: int, today: datetime.datetime) -> Iterator[dict[str, Any]]:
    """Yield a year of deliveries by age: a tour a driver and day; one in twenty fails, and half of those come again."""
    dice = random.Random(SEED)
    for number in range(count):
        day, place = divmod(number * DAYS / count, 1)
        made = today - datetime.timedelta(days=DAYS - 1 - day, hours=-6 - 2 * place)
        driver = dice.randrange(len(account.drivers))
        steps = _steps(dice, made, account.drivers[driver])
        window_start = made + datetime.timedelta(hours=dice.randrange(1, 8))
        yield {
            "_id": new_id("dlv"),
            "tenant": account.tenant,
            "version": 1 + len(steps),
            "status": steps[-1]["status"],
            "driver": account.drivers[driver],
            "route": f"rte_{round(day):04}{driver:04}",
            "pickup": {"latitude": 41.15, "longitude": -8.61},
            "dropoff": {"latitude": 41.15 + dice.uniform(-0.1, 0.1), "longitude": -8.61 + dice.uniform(-0.1, 0.1)},
            "customer": {},
            "priority": "normal",
            "timeWindow": {"start": window_start, "end": window_start + datetime.timedelta(hours=2)},
            "serviceTimeS": 120,
            "history": steps,
            "createdAt": made,
            "updatedAt": steps[-1]["at"],
        }


def _steps(dice: random.Random, made: datetime.datetime, driver: str) -> list[dict[str, Any]]:
    fails = dice.random() < 0.05
    way = [*_WAY[:-1], "failed", *(_WAY if dice.random() < 0.5 else ())] if fails else _WAY
    moment, steps = made, []
    for status in way:
        moment += datetime.timedelta(seconds=dice.randrange(30, 5400))
        steps.append({"status": status, "at": moment, "by": driver, "driver": driver})
    return steps


def _trips(account: Account, today: datetime.datetime) -> Iterator[dict[str, Any]]:
    dice = random.Random(SEED)
    for day in range(DAYS):
        for driver in account.drivers:
            for trip in range(TRIPS_A_DAY):
                start = today - datetime.timedelta(days=day, hours=-8 - 2 * trip)
                start_ms = int(start.timestamp() * 1000)
                yield {
                    "_id": f"trp_{driver}{start_ms}",
                    "tenant": account.tenant,
                    "driver": driver,
                    "from": start_ms,
                    "to": start_ms + dice.randrange(300_000, 5_000_000),
                    "distanceM": dice.uniform(500, 40_000),
                }


async def _rebuild(database: Database, account: Account) -> float:
    began = time.monotonic()
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("rebuild")
        await FigureRebuild(database, Scope(account.tenant, "engine")).run(
            lambda rebuilt: progress.update(bar, completed=rebuilt.deliveries, total=rebuilt.of)
        )
    return time.monotonic() - began


async def _refresh(database: Database, account: Account) -> float:
    """Let the newest deliveries go to another route, and return how many a second the figures follow."""
    newest = database.deliveries.find({"tenant": account.tenant}, {"_id": 1}).sort("_id", -1).limit(_REFRESHED)
    changed = random.Random(SEED).sample(found := [one["_id"] async for one in newest], len(found))
    query = {"tenant": account.tenant, "_id": {"$in": changed}}
    await database.deliveries.update_many(query, {"$set": {"route": "rte_late"}})
    keeper, scope = FigureKeeper(database), Scope(account.tenant, "engine")
    began = time.monotonic()
    for at in range(0, len(changed), _AT_ONCE):
        some = frozenset(changed[at : at + _AT_ONCE])

        async def refresh(session: Session, some: frozenset[str] = some) -> None:
            await keeper.refresh(scope, some, (), session)

        await in_transaction(database, refresh)
    return len(changed) / (time.monotonic() - began)


def _questions(account: Account) -> Mapping[str, str]:
    year = (datetime.datetime.now(tz=datetime.UTC) - datetime.timedelta(days=DAYS - 1)).date().isoformat()
    return {
        "days_of_month": "deliveries",
        "days_of_year": f"deliveries?from={year}",
        "status_of_year": f"deliveries?groupBy=status&from={year}",
        "months_of_driver": f"drivers/{account.drivers[0]}?groupBy=month&from={year}",
        "fleet_of_year": f"fleet?from={year}",
        "drivers_of_month": "drivers?limit=50",
        "drivers_of_year": f"drivers?limit=50&from={year}",
        "routes_of_month": "routes?limit=50",
    }


async def _ask(
    url: str, database: Database, account: Account, options: AnalyticsOptions
) -> tuple[dict[str, list[float]], dict[str, list[float]], list[str]]:
    """Ask all questions in turn, the plain alternative between the rounds; return the waits, and what was wrong."""
    waits: dict[str, list[float]] = {}
    plain_waits: dict[str, list[float]] = {}
    answers: dict[str, Any] = {}
    headers = {"Authorization": f"Bearer {account.token}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=30.0, trust_env=False) as http:
        for turn in range(options.requests + 1):
            for name, path in _questions(account).items():
                began = time.perf_counter()
                answer = await http.get(f"/api/v1/analytics/{path}")
                took_ms = (time.perf_counter() - began) * 1000
                answer.raise_for_status()
                answers[name] = answer.content
                if turn:  # the first warms up
                    waits.setdefault(name, []).append(took_ms)
            if turn < _PLAIN_ROUNDS:
                for name, (took_ms, found) in (await _plain(database, account)).items():
                    plain_waits.setdefault(name, []).append(took_ms)
                    answers[f"plain {name}"] = found
    return waits, plain_waits, _wrong(answers, options)


async def _plain(database: Database, account: Account) -> dict[str, tuple[float, list[dict[str, Any]]]]:
    """Aggregate deliveries as one writes it first: match, group, done."""
    today = datetime.datetime.now(tz=datetime.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    month, year = (today - datetime.timedelta(days=days - 1) for days in (30, DAYS))
    day = {"$dateToString": {"date": "$updatedAt", "format": "%Y-%m-%d"}}
    found = {}
    for name, since, key in (
        ("days_of_month", month, day),
        ("days_of_year", year, day),
        ("status_of_year", year, "$status"),
        ("drivers_of_month", month, "$driver"),
    ):
        took_s = {"$dateDiff": {"startDate": "$createdAt", "endDate": "$updatedAt", "unit": "second"}}
        late = {"$cond": [{"$gt": ["$updatedAt", "$timeWindow.end"]}, 1, 0]}
        group = {"_id": key, "count": {"$sum": 1}, "tookS": {"$sum": took_s}, "late": {"$sum": late}}
        steps = [{"$match": {"tenant": account.tenant, "updatedAt": {"$gte": since}}}, {"$group": group}]
        began = time.perf_counter()
        rows = [row async for row in database.deliveries.aggregate(steps)]
        found[name] = ((time.perf_counter() - began) * 1000, rows)
    return found


def _wrong(answers: Mapping[str, Any], options: AnalyticsOptions) -> list[str]:
    """Return what does not fit: ours against the number of deliveries, and against the plain counts."""
    wrong = []
    days = msgspec.json.decode(answers["days_of_year"])["items"]
    ours = {row["period"]: sum(one["count"] for one in row["byStatus"].values()) for row in days}
    plain = {row["_id"]: row["count"] for row in answers["plain days_of_year"]}
    if any(ours[day] != count for day, count in plain.items() if day in ours):
        wrong.append("days_of_year differs from the plain counts")
    statuses = msgspec.json.decode(answers["status_of_year"])["items"]
    counted, expected = sum(row["count"] for row in statuses), sum(count for day, count in plain.items() if day in ours)
    if counted != expected or not 0.95 * options.deliveries <= counted <= options.deliveries:
        wrong.append(f"status_of_year counts {counted} of {expected}")
    return wrong


def _percentile(waits: Sequence[float], share: float) -> float:
    return round(float(np.percentile(waits, share)), 1)
