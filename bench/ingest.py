"""How many pings a second the whole stack takes, processes and makes durable, and whether it keeps every one.

The stack is `outrider up` on an empty folder; the load comes from a process of its own over the public WebSocket or
HTTP interface with a gateway key, as fast as frames are answered. Measurements alternate with the plain alternative
on the same `mongod`. At the end every acknowledged ping is looked for in history, by its identity.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from bench import footprint
from bench.lag import LagWatch
from bench.load import LoadReport, Sample
from bench.plain import BULK_PATH, EACH_PATH, running_plain
from bench.report import console, heading
from bench.stack import Stack, running_stack
from bench.track_watch import TrackWatch
from bench.traffic import Traffic, TrafficOptions
from bench.verify import count_history
from models.store.connections import connect_mongo, connect_redis

__all__ = ["measure_ingest"]

WARM_UP_S = 2.0
POLL_S = 0.5
PLAIN_CONNECTIONS = 100  # more only queue there


@dataclass(frozen=True, slots=True)
class _Run:
    """Figures of one repeat."""

    acked_per_s: float
    processed_per_s: float
    durable_per_s: float
    lags_ms: tuple[float, float, float, float]
    """To processed: p50, p99; to durable: p50, p99."""
    tracks_ms: tuple[float, float]
    """Answers to the question for a driver's track: p50, p95."""
    cpu_s_per_million: float
    rss_mib: dict[str, float]
    reports: list[LoadReport]


async def measure_ingest(
    options: TrafficOptions,
    *,
    drivers: int,
    seconds: float,
    repeats: int,
    plain: bool = True,
    variables: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Measure and return the figures of `outrider bench ingest`.

    Parameters
    ----------
    options
        The load.
    drivers
        Size of the simulated fleet.
    seconds, repeats
        Length of a run, and how many there are; figures are medians of runs.
    plain
        Whether runs alternate with the plain alternative.
    variables
        Settings of the stack, by environment.
    """
    runs: list[_Run] = []
    plain_runs: dict[str, list[float]] = {EACH_PATH: [], BULK_PATH: []}
    async with running_stack(variables) as stack, contextlib.AsyncExitStack() as stores:
        console.print(f"stack at {stack.url}; creating {drivers:,} drivers")
        account = await stack.open_account(drivers)
        mongo_url, redis_url = stack.store_urls()
        redis = connect_redis(redis_url)
        stores.push_async_callback(redis.aclose)
        database = connect_mongo(mongo_url, "outrider")
        stores.callback(database.client.close)
        traffic = Traffic(options, stack.address, account)
        lag = LagWatch(redis, "outrider")
        await stores.enter_async_context(lag.listening())
        tracks = TrackWatch(stack.url, account.token, account.drivers)
        host, port, _ = await stores.enter_async_context(running_plain(mongo_url))
        beside = {path: Traffic(_plain_options(options, path), (host, port), account) for path in plain_runs}
        console.print(f"warming up for {WARM_UP_S:g} s")
        await traffic.send(WARM_UP_S)
        for repeat in range(repeats):
            runs.append(await _run(stack, traffic, lag, tracks, seconds))
            console.print(f"run {repeat + 1}: {_line(runs[-1])}")
            for path in plain_runs if plain else ():
                plain_runs[path].append(_acked_per_s(await beside[path].send(seconds), seconds))
                console.print(f"run {repeat + 1}: {plain_runs[path][-1]:,.0f}/s with the plain {path}")
        console.print(f"looking for {traffic.acked:,} pings in history")
        found = await count_history(database, account.numbers)
        counts = await stack.counts(account.token)
    verdict = {
        "acked": traffic.acked,
        "durable": found.distinct,
        "lost": traffic.lost(found),
        "double_counted": found.repeats + max(0, counts["received"] - counts["duplicate"] - traffic.sent),
        "processed": counts["received"],
        "filtered": counts["filtered"],
    }
    return heading("ingest", seconds=seconds, repeats=repeats) | _result(options, drivers, runs, plain_runs) | verdict


async def _run(stack: Stack, traffic: Traffic, lag: LagWatch, tracks: TrackWatch, seconds: float) -> _Run:
    load = traffic.load(seconds)
    before = traffic.acked
    try:
        await load.start()
        lag.take()
        cpu = footprint.cpu_seconds(stack.pid)
        running = asyncio.create_task(load.run(), name="load")
        began = time.perf_counter()
        async with tracks.asking():
            received = await _watch_counts(stack, traffic.account.token, began + seconds)
        processed_lag, durable_lag = lag.take()
        rss = footprint.rss_mib(stack.pid)
        reports = await running
    finally:
        await load.stop()
    traffic.note(reports)
    pings = traffic.acked - before
    return _Run(
        acked_per_s=_acked_per_s(reports, seconds),
        processed_per_s=_slope(received),
        durable_per_s=_durable_per_s(reports),
        lags_ms=(*np.nanpercentile(processed_lag, (50, 99)), *np.nanpercentile(durable_lag, (50, 99))),
        tracks_ms=tuple(np.nanpercentile(tracks.take(), (50, 95)).tolist()),
        cpu_s_per_million=(footprint.cpu_seconds(stack.pid) - cpu) / max(1, pings) * 1e6,
        rss_mib=rss,
        reports=reports,
    )


async def _watch_counts(stack: Stack, token: str, until: float) -> list[tuple[float, int]]:
    """Ask the shards how many pings they have received, until the load ends."""
    samples = []
    while True:
        counts = await stack.counts(token)
        now = time.perf_counter()
        samples.append((now, counts.get("received", 0)))
        if now >= until:
            return samples
        await asyncio.sleep(min(POLL_S, until - now))


def _plain_options(options: TrafficOptions, path: str) -> TrafficOptions:
    connections = min(options.connections, PLAIN_CONNECTIONS)
    return TrafficOptions(transport="http", encoding="json", batch=options.batch, connections=connections, path=path)


def _slope(samples: Sequence[tuple[float, int]]) -> float:
    (start, first), (end, last) = samples[0], samples[-1]
    return (last - first) / (end - start)


def _acked_per_s(reports: Sequence[LoadReport], seconds: float) -> float:
    return sum(_at(report.samples, seconds).acked for report in reports) / seconds


def _at(samples: Sequence[Sample], seconds: float) -> Sample:
    """Return where a generator stood when sending ended."""
    return max((sample for sample in samples if sample.at <= seconds + 0.05), key=lambda sample: sample.at)


def _durable_per_s(reports: Sequence[LoadReport]) -> float:
    """Return the rate from the first rise of the watermark to its last: it rises once a slot."""
    total = 0.0
    for report in reports:
        rising = [b for a, b in zip(report.samples, report.samples[1:], strict=False) if b.durable > a.durable]
        if len(rising) > 1:
            total += (rising[-1].durable - rising[0].durable) / (rising[-1].at - rising[0].at)
    return total


def _line(run: _Run) -> str:
    return (
        f"{run.acked_per_s:,.0f}/s accepted, {run.processed_per_s:,.0f} processed, {run.durable_per_s:,.0f} durable, "
        f"lag p50 {run.lags_ms[0]:,.0f} p99 {run.lags_ms[1]:,.0f} ms, "
        f"track p95 {run.tracks_ms[1]:,.0f} ms, {run.cpu_s_per_million:.2f} CPU s a million"
    )


def _result(
    options: TrafficOptions, drivers: int, runs: Sequence[_Run], plain_runs: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
    reports = [report for run in runs for report in run.reports]
    acked_per_s = median(run.acked_per_s for run in runs)
    plain_per_s, bulk_per_s = (median(plain_runs[path] or [0.0]) for path in (EACH_PATH, BULK_PATH))
    lags = np.median([run.lags_ms for run in runs], axis=0).round(1).tolist()
    return {
        "transport": options.transport,
        "encoding": "rows" if options.transport == "http" else options.encoding,
        "batch": options.batch,
        "drivers": drivers,
        "connections": options.connections,
        "rate": options.rate or None,
        "acked_per_s": round(acked_per_s),
        "processed_per_s": round(median(run.processed_per_s for run in runs)),
        "durable_per_s": round(median(run.durable_per_s for run in runs)),
        "refused": sum(report.refused for report in reports),
        "busy": sum(report.busy for report in reports),
        "reasons": {reason: count for report in reports for reason, count in report.reasons.items()},
        "lag_p50_ms": lags[0],
        "lag_p99_ms": lags[1],
        "durable_lag_p50_ms": lags[2],
        "durable_lag_p99_ms": lags[3],
        "track_p50_ms": round(median(run.tracks_ms[0] for run in runs), 1),
        "track_p95_ms": round(median(run.tracks_ms[1] for run in runs), 1),
        "ack_p50_ms": round(median(report.ack_p50_ms for report in reports), 1),
        "ack_p99_ms": round(median(report.ack_p99_ms for report in reports), 1),
        "cpu_s_per_million": round(median(run.cpu_s_per_million for run in runs), 2),
        "rss_mib": runs[-1].rss_mib,
        "plain_per_s": round(plain_per_s) or None,
        "ratio_plain": round(acked_per_s / plain_per_s, 1) if plain_per_s else None,
        "plain_bulk_per_s": round(bulk_per_s) or None,
        "ratio_plain_bulk": round(acked_per_s / bulk_per_s, 1) if bulk_per_s else None,
        "generator_cpu": round(max(report.cpu_share for report in reports), 2),
        "generator_saturated": any(report.saturated for report in reports),
    }
