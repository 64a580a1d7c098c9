"""How many requests a second the REST API answers on a mix of reads and writes, and how soon, beside a plain service.

The stack is `outrider up` on an empty folder with a company of 1,000 drivers, 20 planners and N deliveries. The load
comes from a process of its own over kept-alive connections, each with one request at a time. Runs alternate with the
plain alternative on the same `mongod`. At the end every acknowledged write is looked for in the store.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import httpx2
import numpy as np

from bench import footprint, plain_rest
from bench.plain import running_plain
from bench.report import console, heading
from bench.rest_load import MIX, RestLoad, RestReport, RestSpec
from bench.rest_population import Population, populate
from bench.stack import PASSWORD, Account, Stack, running_stack
from bench.traffic import Traffic, TrafficOptions
from models.store.connections import Database, connect_mongo

__all__ = ["RestOptions", "measure_rest"]

DRIVERS = 1000
PLANNERS = 20
WARM_UP_S = 3.0
_PING_CONNECTIONS = 50


@dataclass(frozen=True, slots=True)
class RestOptions:
    """What the measurement is like."""

    deliveries: int = 100_000
    connections: int = 32
    seconds: float = 15.0
    repeats: int = 3
    pings: float = 0.0
    """Pings a second that flow in meanwhile."""
    workers: int = 1
    """API processes."""
    plain: bool = True
    """Whether runs alternate with the plain alternative."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One run: what was answered, and what it cost."""

    report: RestReport
    cpu_ms: Mapping[str, float]
    """Processor time a request, by role; what the stack does anyway is in it."""

    @property
    def per_s(self) -> float:
        return self.report.done / self.report.seconds


async def measure_rest(options: RestOptions) -> dict[str, Any]:
    """Measure and return the figures of `outrider bench api`."""
    variables = {"OUTRIDER_API__WORKERS": str(options.workers)}
    async with running_stack(variables) as stack, contextlib.AsyncExitStack() as opened:
        account = await stack.open_account(DRIVERS)
        mongo_url, _ = stack.store_urls()
        database = connect_mongo(mongo_url, "outrider")
        opened.callback(database.client.close)
        console.print(f"stack at {stack.url}; creating {options.deliveries:,} deliveries")
        await _follow_by_hand(stack, account)
        await _place_drivers(stack, account)
        population = await populate(stack, account, database, options.deliveries)
        tokens = await _planners(stack, account)
        plain_host, plain_port, plain_pid = await opened.enter_async_context(
            running_plain(mongo_url, plain_rest.MODULE)
        )
        ours = await opened.enter_async_context(_load(stack.address, tokens, account, population, options))
        beside = await opened.enter_async_context(_load((plain_host, plain_port), [], account, population, options))
        pings = Traffic(
            TrafficOptions(rate=options.pings, connections=_PING_CONNECTIONS, window=10_000), stack.address, account
        )
        console.print(f"warming up for {WARM_UP_S:g} s")
        runs: list[_Run] = []
        plain_runs: list[_Run] = []
        for load in (ours, beside) if options.plain else (ours,):
            await load.run(WARM_UP_S)
        for repeat in range(options.repeats):
            runs.append(await _run([stack.pid], ours, pings, options))
            console.print(f"run {repeat + 1}: {_line(runs[-1])}")
            if options.plain:
                plain_runs.append(await _run([stack.pid, plain_pid], beside, pings, options))
                console.print(f"run {repeat + 1}: {_line(plain_runs[-1])} with the plain service")
        lost = await _lost(database, account, runs[-1].report, options.deliveries)
    return heading("api", seconds=options.seconds, repeats=options.repeats) | _result(options, runs, plain_runs, lost)


async def _follow_by_hand(stack: Stack, account: Account) -> None:
    """Keep arrivals from moving deliveries, which the load moves itself."""
    headers = {"Authorization": f"Bearer {account.token}"}
    async with httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=30.0, trust_env=False) as http:
        (await http.patch("/api/v1/tenant", json={"settings": {"autoStatus": False}})).raise_for_status()


async def _place_drivers(stack: Stack, account: Account) -> None:
    """Give every driver a live position."""
    now_ms = time.time_ns() // 1_000_000
    headers = {"Authorization": f"Bearer {account.key}"}
    rows = [{"driverId": driver, "latitude": 41.15, "longitude": -8.61, "time": now_ms} for driver in account.drivers]
    async with httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=30.0, trust_env=False) as http:
        (await http.post("/api/v1/pings", json={"pings": rows})).raise_for_status()


async def _planners(stack: Stack, account: Account) -> list[str]:
    """Return the tokens of planners of the company."""
    headers = {"Authorization": f"Bearer {account.token}"}
    async with httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=30.0, trust_env=False) as http:

        async def planner() -> str:
            person = {"email": f"{uuid.uuid4().hex}@example.com", "password": PASSWORD}
            (await http.post("/api/v1/users", json={**person, "role": "planner"})).raise_for_status()
            answer = await http.post("/api/v1/auth/login", json=person)
            answer.raise_for_status()
            token: str = answer.json()["accessToken"]
            return token

        return list(await asyncio.gather(*(planner() for _ in range(PLANNERS))))


@contextlib.asynccontextmanager
async def _load(
    address: tuple[str, int], tokens: list[str], account: Account, population: Population, options: RestOptions
) -> AsyncIterator[RestLoad]:
    spec = RestSpec(
        host=address[0],
        port=address[1],
        tokens=tokens,
        key=account.key,
        connections=options.connections,
        seed=7,
        drivers=list(account.drivers),
        closed=population.closed,
        waiting=population.waiting,
        running=population.running,
    )
    load = RestLoad(spec)
    try:
        await load.start()
        yield load
    finally:
        await load.stop()


async def _run(pids: Sequence[int], load: RestLoad, pings: Traffic, options: RestOptions) -> _Run:
    before = footprint.cpu_seconds_by_role(*pids)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(load.run(options.seconds), name="requests")
        if options.pings:
            group.create_task(pings.send(options.seconds), name="pings")
    after, report = footprint.cpu_seconds_by_role(*pids), asking.result()
    used = {role: spent - before.get(role, 0.0) for role, spent in after.items()}
    return _Run(report, {role: round(spent / max(1, report.done) * 1000, 2) for role, spent in used.items()})


async def _lost(database: Database, account: Account, report: RestReport, before: int) -> int:
    """Return how many acknowledged writes the store lacks: deliveries too few, and versions too low."""
    kept: int = await database.deliveries.count_documents({"tenant": account.tenant})
    query = {"tenant": account.tenant, "_id": {"$in": list(report.versions)}}
    stored = {one["_id"]: one["version"] async for one in database.deliveries.find(query, {"version": 1})}
    behind = [one for one, version in report.versions.items() if stored.get(one, 0) < version]
    return max(0, before + report.created - kept) + len(behind)


def _waits(runs: Sequence[_Run], kinds: Sequence[str]) -> list[list[float]]:
    return [[wait for kind in kinds for wait in run.report.waits_ms.get(kind, ())] or [0.0] for run in runs]


def _percentile(runs: Sequence[_Run], share: float, kinds: Sequence[str] = tuple(MIX)) -> float:
    """Return the median over runs of a percentile of the answers' times, milliseconds."""
    return round(median(float(np.percentile(waits, share)) for waits in _waits(runs, kinds)), 1)


def _errors(runs: Sequence[_Run]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for run in runs:
        for kind, count in run.report.errors.items():
            found[kind] = found.get(kind, 0) + count
    return found


def _line(run: _Run) -> str:
    p50, p95, p99 = (_percentile([run], share) for share in (50, 95, 99))
    wrong = sum(run.report.errors.values())
    return f"{run.per_s:,.0f} requests/s, p50 {p50:g} p95 {p95:g} p99 {p99:g} ms, {wrong} errors"


def _result(options: RestOptions, runs: Sequence[_Run], plain_runs: Sequence[_Run], lost: int) -> dict[str, Any]:
    per_s = median(run.per_s for run in runs)
    plain_per_s = median(run.per_s for run in plain_runs) if plain_runs else None
    errors, plain_errors = _errors(runs), _errors(plain_runs)
    return {
        "deliveries": options.deliveries,
        "connections": options.connections,
        "workers": options.workers,
        "pings": options.pings or None,
        "mix": dict(MIX),
        "requests_per_s": round(per_s),
        "p50_ms": _percentile(runs, 50),
        "p95_ms": _percentile(runs, 95),
        "p99_ms": _percentile(runs, 99),
        "p95_ms_by_kind": {kind: _percentile(runs, 95, [kind]) for kind in MIX},
        "errors": sum(errors.values()),
        "errors_by_kind": dict(errors),
        "lost": lost,
        "cpu_ms_per_request": dict(runs[-1].cpu_ms),
        "plain_requests_per_s": None if plain_per_s is None else round(plain_per_s),
        "plain_p95_ms": _percentile(plain_runs, 95) if plain_runs else None,
        "plain_cpu_ms_per_request": dict(plain_runs[-1].cpu_ms) if plain_runs else None,
        "plain_errors": sum(plain_errors.values()),
        "plain_errors_by_kind": dict(plain_errors),
        "ratio_plain": round(per_s / plain_per_s, 2) if plain_per_s else None,
        "generator_cpu": round(max(run.report.cpu_share for run in [*runs, *plain_runs]), 2),
        "generator_saturated": any(run.report.saturated for run in [*runs, *plain_runs]),
    }
