"""How long a ping takes to the frame of a subscriber, at a fixed rate, and whether every last state arrives.

Open loop: pings are sent when they are due, whatever the answers do, and carry that moment as their fix time, so that a
late sender or a queue counts in the figure. A state that a newer one has replaced on the way (conflation) counts with
the time until the newer one came. Subscribers are processes of their own; half of them watch the whole fleet, half a
quarter of the city.
"""

import asyncio
import contextlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench import footprint
from bench.fleet import CENTRE, SPREAD_DEG, Fleet
from bench.frames import clock_of
from bench.load import ConnectionSpec, LoadReport, LoadSpec
from bench.report import console, heading
from bench.stack import Account, Stack, running_stack
from bench.subscriber import BIN_MS, SubscriberReport, SubscriberSpec
from bench.traffic import SEED, Traffic, TrafficOptions
from bench.verify import sequences_before
from models.messages.fixes import DEGREE

__all__ = ["measure_latency"]

WARM_UP_S = 3.0
SETTLE_S = 30.0
LAST_FRAME_S = 2.0  # after the shards are done, the frames that carry the last states need a moment
EDGE_DEG = 0.001  # drivers this close to a viewport's edge may lie on either side of it
CONNECTIONS_A_PROCESS = 10

Box = tuple[float, float, float, float]


async def measure_latency(
    options: TrafficOptions,
    *,
    drivers: int,
    subscribers: int,
    interval_ms: int,
    seconds: float,
    variables: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Measure and return the figures of `outrider bench latency`.

    Parameters
    ----------
    options
        The load, with a rate.
    interval_ms
        What subscribers ask for: the shortest time between two frames.
    """
    async with running_stack(variables) as stack:
        console.print(f"stack at {stack.url}; creating {drivers:,} drivers")
        account = await stack.open_account(drivers)
        traffic = Traffic(options, stack.address, account)
        await traffic.send(WARM_UP_S)
        boxes: list[Box | None] = [None if place % 2 == 0 else _quarter(place // 2) for place in range(subscribers)]
        step_ms = drivers * 1000.0 / options.rate
        specs = _subscriber_specs(stack, account, boxes, interval_ms, step_ms)
        async with contextlib.AsyncExitStack() as processes:
            listening = [await _start(spec, processes) for spec in specs]
            console.print(f"{subscribers} subscribers; {options.rate:,.0f} pings/s for {seconds:g} s")
            load = traffic.load(seconds + WARM_UP_S)
            try:
                await load.start()
                running = asyncio.create_task(load.run(), name="load")
                await asyncio.sleep(WARM_UP_S)
                _tell(listening, b"begin\n")
                cpu = footprint.cpu_seconds(stack.pid)
                await asyncio.sleep(seconds)
                cpu = footprint.cpu_seconds(stack.pid) - cpu
                reports = await running
            finally:
                await load.stop()
            traffic.note(reports)
            await _settle(stack, traffic)
            seen = await _finish(listening)
    expected, positions = _last_states(load.specs, reports)
    return heading("latency", seconds=seconds, repeats=1) | {
        "rate": options.rate,
        "subscribers": subscribers,
        "interval_ms": interval_ms,
        "drivers": drivers,
        "batch": options.batch,
        "pings_per_s": round(sum(report.sent for report in reports) / (seconds + WARM_UP_S)),
        **_percentiles(seen),
        "frames": sum(report.frames for report in seen),
        "states": sum(report.states for report in seen),
        "gaps": sum(report.gaps for report in seen),
        "missed_last_state": _missed(boxes, seen, expected, positions),
        "ack_p50_ms": round(max(report.ack_p50_ms for report in reports), 1),
        "ack_p99_ms": round(max(report.ack_p99_ms for report in reports), 1),
        "cpu_cores": round(cpu / seconds, 2),
        "generator_cpu": round(max(report.cpu_share for report in reports), 2),
        "generator_saturated": any(report.saturated for report in reports),
    }


def _quarter(place: int) -> Box:
    """Return one of the four quarters of the city as (south, west, north, east)."""
    south = CENTRE[0] - 2 * SPREAD_DEG * (place % 2)
    west = CENTRE[1] - 2 * SPREAD_DEG * (place // 2 % 2)
    return south, west, south + 2 * SPREAD_DEG, west + 2 * SPREAD_DEG


def _subscriber_specs(
    stack: Stack, account: Account, boxes: Sequence[Box | None], interval_ms: int, step_ms: float
) -> list[SubscriberSpec]:
    host, port = stack.address
    first = min(account.numbers)
    return [
        SubscriberSpec(
            host=host,
            port=port,
            token=account.token,
            interval_ms=interval_ms,
            first_number=first,
            numbers=max(account.numbers) - first + 1,
            step_ms=step_ms,
            boxes=list(boxes[start : start + CONNECTIONS_A_PROCESS]),
        )
        for start in range(0, len(boxes), CONNECTIONS_A_PROCESS)
    ]


async def _start(spec: SubscriberSpec, processes: contextlib.AsyncExitStack) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.subscriber"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**28,
    )
    processes.push_async_callback(_end, process)
    _tell([process], msgspec.json.encode(spec) + b"\n")
    async with asyncio.timeout(SETTLE_S):
        if process.stdout is None or await process.stdout.readline() != b"ready\n":
            raise RuntimeError("a subscriber could not open its connections; its errors are above")
    return process


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


def _tell(processes: Iterable[asyncio.subprocess.Process], line: bytes) -> None:
    for process in processes:
        if process.stdin is not None:
            process.stdin.write(line)


async def _settle(stack: Stack, traffic: Traffic) -> None:
    """Wait until the shards have applied everything and subscribers have had time for a last frame."""
    await stack.received(traffic.account.token, traffic.sent, within_s=SETTLE_S)
    await asyncio.sleep(LAST_FRAME_S)


async def _finish(processes: Sequence[asyncio.subprocess.Process]) -> list[SubscriberReport]:
    _tell(processes, b"end\n")
    lines = [await process.stdout.readline() for process in processes if process.stdout is not None]
    return [msgspec.json.decode(line, type=SubscriberReport) for line in lines]


def _percentiles(seen: Sequence[SubscriberReport]) -> dict[str, float]:
    histogram: dict[int, int] = {}
    for report in seen:
        for bin_, count in report.histogram.items():
            histogram[bin_] = histogram.get(bin_, 0) + count
    bins = np.array(sorted(histogram))
    reached = np.cumsum([histogram[bin_] for bin_ in bins.tolist()])
    shares = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}
    places = {name: np.searchsorted(reached, share * reached[-1]) for name, share in shares.items()}
    return {name: float((bins[place] + 1) * BIN_MS) for name, place in places.items()}


def _last_states(
    specs: Sequence[LoadSpec], reports: Sequence[LoadReport]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the last fix time of every driver, in the order of the fleet, and its position then."""
    times, positions = [], []
    for spec, report in zip(specs, reports, strict=True):
        for connection, state in zip(spec.connections, report.connections, strict=True):
            last = _last_times(spec, connection, report.began_ms, state.sent)
            lat, lon, _ = Fleet(SEED, connection.first, last.size).positions(np.arange(last.size), last)
            times.append(last)
            positions.append(np.column_stack((lat, lon)) / DEGREE)
    return np.concatenate(times), np.concatenate(positions)


def _last_times(spec: LoadSpec, connection: ConnectionSpec, began_ms: float, sent: int) -> NDArray[np.int64]:
    size = len(connection.drivers)
    places = np.arange(size) + size * (sequences_before(sent, size, spec.batch) - 1)
    return clock_of(spec, connection, began_ms).times(places)


def _missed(
    boxes: Sequence[Box | None],
    seen: Sequence[SubscriberReport],
    expected: NDArray[np.int64],
    positions: NDArray[np.float64],
) -> int:
    """Return how many last states did not arrive at subscribers that look at them. Numbers follow the fleet's order."""
    last = [times for report in seen for times in report.last]
    missed = 0
    for box, times in zip(boxes, last, strict=True):
        in_view = np.ones(expected.size, bool)
        if box is not None:
            south, west, north, east = box
            lat, lon = positions.T
            in_view = (lat > south + EDGE_DEG) & (lat < north - EDGE_DEG)
            in_view &= (lon > west + EDGE_DEG) & (lon < east - EDGE_DEG)
        missed += int((np.array(times)[in_view] < expected[in_view]).sum())
    return missed
