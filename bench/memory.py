"""What live drivers cost in one shard, and how soon it is back after `kill -9`.

One shard process is measured empty and with N drivers that have each sent a few pings. Then its snapshot is weighed,
more pings go to the log so that there is something to replay, and the process is killed. It is back when every driver
of a sample answers with its very last ping, not stale.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psutil

from bench.report import console, heading
from bench.stack import Account, Stack, running_stack
from bench.traffic import Traffic, TrafficOptions
from models.store.connections import Database, connect_mongo
from models.store.snapshots import SnapshotRepository
from outrider.client import ApiProblem, LiveDriver, OutriderClient

__all__ = ["measure_memory"]

CONNECTIONS = 20
BATCH = 100
FIRST_ROUNDS, LAST_ROUNDS = 3, 1
SNAPSHOT_S = 5.0  # every partition is snapshotted this often, so that a run need not wait half a minute
SETTLE_S = 120.0
SAMPLE = 64
POLL_S = 0.05


async def measure_memory(*, drivers: int, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Measure and return the figures of `outrider bench memory`."""
    one_shard = {"OUTRIDER_SHARDS__COUNT": "1", "OUTRIDER_SHARDS__SNAPSHOT_INTERVAL_S": str(SNAPSHOT_S)}
    began = time.perf_counter()
    async with running_stack(one_shard | dict(variables or {})) as stack, contextlib.AsyncExitStack() as stores:
        database = connect_mongo(stack.store_urls()[0], "outrider")
        stores.callback(database.client.close)
        empty_mib = _shard_mib(stack)
        console.print(f"shard empty: {empty_mib:.0f} MiB; creating {drivers:,} drivers")
        account = await stack.open_account(drivers)
        traffic = Traffic(TrafficOptions(batch=BATCH, connections=CONNECTIONS), stack.address, account)
        await _send_rounds(stack, traffic, FIRST_ROUNDS)
        snapshot_mib = await _snapshot_mib(database)
        full_mib = _shard_mib(stack)
        console.print(f"with {drivers:,} drivers: {full_mib:.0f} MiB, snapshot {snapshot_mib:.1f} MiB")
        await _send_rounds(stack, traffic, LAST_ROUNDS)
        recover_s, intact = await _recover(stack, account)
        counts = await stack.counts(account.token)
    return heading("memory", seconds=round(time.perf_counter() - began, 1), repeats=1) | {
        "drivers": drivers,
        "mib_per_100k_drivers": round((full_mib - empty_mib) * 100_000 / drivers, 1),
        "shard_mib": round(full_mib, 1),
        "empty_shard_mib": round(empty_mib, 1),
        "snapshot_mib": round(snapshot_mib, 1),
        "recover_s": round(recover_s, 2),
        "stale_or_old": SAMPLE - intact if drivers >= SAMPLE else drivers - intact,
        "lost": max(0, traffic.sent - counts["received"]),
        "double_counted": max(0, counts["received"] - traffic.sent),
    }


def _shard_mib(stack: Stack) -> float:
    return float(sum(psutil.Process(pid).memory_info().rss for pid in stack.pids()["shards"])) / 2**20


async def _send_rounds(stack: Stack, traffic: Traffic, rounds: int) -> None:
    """Send a few pings of every driver, and wait until the shard has applied them."""
    frames = rounds * max(1, -(-len(traffic.account.drivers) // (CONNECTIONS * BATCH)))
    await traffic.send(SETTLE_S, frames=frames)
    if not await stack.received(traffic.account.token, traffic.sent, within_s=SETTLE_S):
        raise RuntimeError("the shard did not apply all pings in time")


async def _snapshot_mib(database: Database) -> float:
    """Return the size of the stored snapshots once another whole round of them has been written."""
    began = time.time()
    snapshots = SnapshotRepository(database)
    size = -1
    while time.time() < began + SETTLE_S:
        await asyncio.sleep(2 * SNAPSHOT_S)
        if (held := await snapshots.bytes_held()) == size:
            break
        size = held
    return size / 2**20


async def _recover(stack: Stack, account: Account) -> tuple[float, int]:
    """Kill the shard; return how long the sample took to answer as before, and how many did."""
    step = max(1, len(account.drivers) // SAMPLE)
    sample = account.drivers[::step][:SAMPLE]
    async with OutriderClient(stack.url, token=account.token) as client:
        before = [await client.live(driver) for driver in sample]
        for pid in stack.pids()["shards"]:
            os.kill(pid, signal.SIGKILL)
        killed = time.perf_counter()
        intact: Sequence[bool] = []
        while time.perf_counter() < killed + SETTLE_S:
            intact = [await _is_back(client, state) for state in before]
            if all(intact):
                break
            await asyncio.sleep(POLL_S)
        return time.perf_counter() - killed, sum(intact)


async def _is_back(client: OutriderClient, before: LiveDriver) -> bool:
    try:
        now = await client.live(before.id)
    except ApiProblem:
        return False
    return not now.stale and (now.time, now.latitude, now.longitude) == (before.time, before.latitude, before.longitude)
