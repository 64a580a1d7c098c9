"""The deliveries that the REST benchmark begins with: made through the public API, and copied for the plain service."""

import asyncio
import datetime
import random
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import httpx2
import msgspec
from rich.progress import Progress

from bench.plain_rest import DATABASE as PLAIN_DATABASE
from bench.plain_rest import TENANT as PLAIN_TENANT
from bench.report import console
from bench.rest_load import Known
from bench.rest_requests import delivery_body
from bench.stack import Account, Stack
from models.store.connections import Database
from models.store.events import EventRepository
from models.store.indexes import INDEXES

__all__ = ["Population", "populate"]

SEED = 11
CLOSED_SHARE = 0.75  # of a company's deliveries lie behind it
WAITING_SHARE = 0.10
_BULK = 1000
_AT_ONCE = 2
_RELAYED_WITHIN_S = 600.0
_SHOWN_ONLY = frozenset({"id", "driverId", "stops", "located", "history"})


class Population(msgspec.Struct):
    """What there is at the start."""

    closed: list[str]
    waiting: list[Known]
    running: list[Known]


async def populate(stack: Stack, account: Account, database: Database, deliveries: int) -> Population:
    """Create deliveries by `POST /deliveries/bulk`, let most be delivered, and copy all for the plain service.

    Those delivered go there by one update of the store, because a hundred thousand lives would take their time.
    """
    made = await _create(stack, account, deliveries)
    closed = [one for one in made if one["status"] == "pending"][: round(deliveries * CLOSED_SHARE)]
    await _copy(database, account, made)
    for store, tenant in ((database, account.tenant), (database.client[PLAIN_DATABASE], PLAIN_TENANT)):
        await _close(store, tenant, account, [one["id"] for one in closed])
    await _relayed(database)
    done = {one["id"] for one in closed}
    rest = [Known(one["id"], one["status"], one["version"]) for one in made if one["id"] not in done]
    return Population(
        [one["id"] for one in closed],
        [one for one in rest if one.status == "pending"],
        [one for one in rest if one.status != "pending"],
    )


async def _create(stack: Stack, account: Account, deliveries: int) -> list[dict[str, Any]]:
    dice = random.Random(SEED)
    pending = round(deliveries * (CLOSED_SHARE + WAITING_SHARE))
    bodies = [delivery_body(dice, number) for number in range(deliveries)]
    for number in range(pending, deliveries):
        bodies[number]["driverId"] = account.drivers[number % len(account.drivers)]
    headers = {"Authorization": f"Bearer {account.token}", "Content-Type": "application/json"}
    gate = asyncio.Semaphore(_AT_ONCE)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("deliveries", total=deliveries)
        async with httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=120.0, trust_env=False) as http:

            async def create(part: Sequence[dict[str, object]]) -> list[dict[str, Any]]:
                async with gate:
                    answer = await http.post("/api/v1/deliveries/bulk", content=msgspec.json.encode(part))
                answer.raise_for_status()
                progress.advance(bar, len(part))
                found: list[dict[str, Any]] = msgspec.json.decode(answer.content)
                return found

            parts = await asyncio.gather(*(create(bodies[at : at + _BULK]) for at in range(0, deliveries, _BULK)))
    return [one for part in parts for one in part]


async def _close(store: Any, tenant: str, account: Account, identifiers: Sequence[str]) -> None:
    """Let deliveries have been delivered, each by one of the drivers, with a step for each status."""
    moment = datetime.datetime.now(tz=UTC)
    groups = len(account.drivers)
    for place, driver in enumerate(account.drivers):
        steps = [
            {"status": status, "at": moment, "by": driver, "driver": driver}
            for status in ("assigned", "accepted", "picked_up", "in_transit", "arrived", "delivered")
        ]
        fields = {"status": "delivered", "driver": driver, "history": steps, "version": 1 + len(steps)}
        wanted = {"tenant": tenant, "_id": {"$in": list(identifiers[place::groups])}}
        await store.deliveries.update_many(wanted, {"$set": fields})


async def _relayed(database: Database) -> None:
    """Wait until shards and followers have heard of everything, so that it does not weigh on the measurement."""
    async with asyncio.timeout(_RELAYED_WITHIN_S):
        while await _is_behind(database):  # noqa: ASYNC110 - a store
            await asyncio.sleep(0.5)


async def _is_behind(database: Database) -> bool:
    """Tell whether an event has no number yet, or a follower has not come to the newest."""
    if await database.events.find_one({"queued": {"$type": "date"}}, {"_id": 1}) is not None:
        return True
    newest = await EventRepository(database).newest()
    return await database.cursors.find_one({"number": {"$lt": newest}}, {"_id": 1}) is not None


async def _copy(database: Database, account: Account, made: Sequence[dict[str, Any]]) -> None:
    """Give the plain service the same documents, in clear, as the API shows them."""
    plain: Any = database.client[PLAIN_DATABASE]["deliveries"]
    await plain.create_indexes(list(INDEXES["deliveries"]))
    for at in range(0, len(made), _BULK):
        await plain.insert_many([_plain(one) for one in made[at : at + _BULK]])
    positions: Any = database.client[PLAIN_DATABASE]["positions"]
    spot = {"latitude": 41.15, "longitude": -8.61, "speed": 8.5}
    await positions.insert_many([{"_id": driver, **spot} for driver in account.drivers])


def _plain(shown: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in shown.items() if name not in _SHOWN_ONLY and value is not None}
    window = {name: datetime.datetime.fromisoformat(moment) for name, moment in shown["timeWindow"].items()}
    moments = {name: datetime.datetime.fromisoformat(shown[name]) for name in ("createdAt", "updatedAt")}
    owner = {"driver": shown["driverId"]} if shown["driverId"] else {}
    return {"_id": shown["id"], "tenant": PLAIN_TENANT, **kept, "timeWindow": window, **moments, **owner}
