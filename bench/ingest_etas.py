"""What arrival estimates cost: the same pings with estimates and without.

Two companies' vans drive the same ways to a stop on one stack, their runs alternate, and those of one company have a
delivery there. They drive on the roads at a steady pace (`bench.drives`), so an estimate is news where a real one
would be: vans that circle come no nearer, and whatever is said of them is news.
"""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx2
import msgspec

from bench import footprint
from bench.drives import Drives
from bench.report import console, heading
from bench.stack import Account, Stack, running_stack
from bench.traffic import Traffic, TrafficOptions
from bench.verify import count_history
from engine.roads.network import RoadNetwork
from engine.roads.warm_up import BUILT
from models.store.connections import Database, connect_mongo

__all__ = ["RATE", "measure_etas"]

RATE = 20_000.0
"""Pings a second, unless another rate is wanted."""
_SEED = 7
_BULK = 1000
_SETTLE_S = 15.0  # both companies' vans report, and the promises of all deliveries are made
_FIRST_WITHIN_S = 120.0
_SIDES = ("off", "on")


@dataclass(frozen=True, slots=True)
class _Run:
    """What one run cost."""

    acked: int
    cpu_s: Mapping[str, float]
    """Processor seconds by role."""

    @property
    def per_million(self) -> float:
        return sum(self.cpu_s.values()) / max(1, self.acked) * 1e6


async def measure_etas(options: TrafficOptions, *, drivers: int, seconds: float, repeats: int) -> dict[str, Any]:
    """Measure and return the figures of `outrider bench ingest --etas`.

    Parameters
    ----------
    options
        The load, of one company at a time; as many pings a second as `RATE` says unless it has a rate.
    drivers
        Vans of each company.
    seconds, repeats
        Length of a run, and how many pairs of runs there are; figures are medians.
    """
    rate = options.rate or RATE
    runs: dict[str, list[_Run]] = {side: [] for side in _SIDES}
    async with running_stack() as stack, contextlib.AsyncExitStack() as opened:
        mongo_url, _ = stack.store_urls()
        database = connect_mongo(mongo_url, "outrider")
        opened.callback(database.client.close)
        console.print(f"stack at {stack.url}; creating two companies of {drivers:,} vans, and looking for their ways")
        accounts = {side: await stack.open_account(drivers) for side in _SIDES}
        file = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="outrider-drives-"))) / "drives.npz"
        drives = await asyncio.to_thread(_drives, file, drivers)
        options = msgspec.structs.replace(options, rate=rate, drives=str(file), window=10_000)
        traffic = {side: Traffic(options, stack.address, account) for side, account in accounts.items()}
        await _follow_by_hand(stack, accounts.values())
        for side in _SIDES:
            await traffic[side].send(_SETTLE_S)
        console.print(f"giving {drivers:,} vans a delivery each")
        await _assign(stack, accounts["on"], drives)
        await _promised(database, accounts["on"])
        await traffic["on"].send(_SETTLE_S)
        for repeat in range(repeats):
            for side in _SIDES:
                runs[side].append(await _run(stack, traffic[side], seconds))
                console.print(f"run {repeat + 1}, estimates {side}: {runs[side][-1].per_million:.1f} CPU s a million")
        verdict = await _verdict(stack, database, traffic)
    return heading("ingest", seconds=seconds, repeats=repeats) | _result(options, drivers, runs) | verdict


def _drives(file: Path, drivers: int) -> Drives:
    return Drives.make(file, RoadNetwork.load(BUILT), drivers, seed=_SEED, start_ms=time.time() * 1000)


async def _follow_by_hand(stack: Stack, accounts: Iterable[Account]) -> None:
    """Keep arrivals from moving deliveries: that is no part of what estimates cost."""
    for account in accounts:
        async with _http(stack, account) as http:
            answer = await http.patch("/api/v1/tenant", json={"settings": {"autoStatus": False}})
            answer.raise_for_status()


async def _assign(stack: Stack, account: Account, drives: Drives) -> None:
    """Give every van a delivery where its way ends."""
    bodies = [
        {"dropoff": {"latitude": latitude, "longitude": longitude}, "driverId": driver, "serviceTimeS": 120}
        for driver, (latitude, longitude) in zip(account.drivers, drives.stops, strict=True)
    ]
    async with _http(stack, account) as http:
        for first in range(0, len(bodies), _BULK):
            (await http.post("/api/v1/deliveries/bulk", json=bodies[first : first + _BULK])).raise_for_status()


async def _promised(database: Database, account: Account) -> None:
    """Wait until every delivery has its first estimate."""
    promises: list[dict[str, Any]] = [
        {"$match": {"tenant": account.tenant}},
        {"$unwind": "$points"},
        {"$match": {"points.promise": True}},
        {"$count": "promises"},
    ]
    async with asyncio.timeout(_FIRST_WITHIN_S):
        while True:
            found = await database["eta_history"].aggregate(promises).to_list(1)
            if found and found[0]["promises"] >= len(account.drivers):
                return
            await asyncio.sleep(0.5)


async def _run(stack: Stack, traffic: Traffic, seconds: float) -> _Run:
    before, acked = footprint.cpu_seconds_by_role(stack.pid), traffic.acked
    await traffic.send(seconds)
    after = footprint.cpu_seconds_by_role(stack.pid)
    return _Run(traffic.acked - acked, {role: spent - before.get(role, 0.0) for role, spent in after.items()})


async def _verdict(stack: Stack, database: Database, traffic: Mapping[str, Traffic]) -> dict[str, Any]:
    lost = repeats = 0
    for side in traffic.values():
        found = await count_history(database, side.account.numbers)
        lost += side.lost(found)
        repeats += found.repeats
    counts = await stack.counts(traffic["on"].account.token)
    sent = sum(side.sent for side in traffic.values())
    return {
        "acked": sum(side.acked for side in traffic.values()),
        "lost": lost,
        "double_counted": repeats + max(0, counts["received"] - counts["duplicate"] - sent),
    }


def _result(options: TrafficOptions, drivers: int, runs: Mapping[str, Sequence[_Run]]) -> dict[str, Any]:
    per_million = {side: median(run.per_million for run in runs[side]) for side in _SIDES}
    pairs = zip(runs["off"], runs["on"], strict=True)
    roles = {role for side in _SIDES for run in runs[side] for role in run.cpu_s}
    return {
        "drivers": drivers,
        "connections": options.connections,
        "batch": options.batch,
        "rate": options.rate,
        "cpu_s_per_million": {side: round(found, 1) for side, found in per_million.items()},
        "cpu_s_per_million_by_role": {side: _by_role(runs[side], sorted(roles)) for side in _SIDES},
        "ratio_etas": round(median(off.per_million / on.per_million for off, on in pairs), 2),
    }


def _by_role(runs: Sequence[_Run], roles: Sequence[str]) -> dict[str, float]:
    return {
        role: round(median(run.cpu_s.get(role, 0.0) / max(1, run.acked) for run in runs) * 1e6, 1) for role in roles
    }


def _http(stack: Stack, account: Account) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {account.token}"}
    return httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=120.0, trust_env=False)
