"""`outrider bench …`: every figure that the documentation gives comes from one of these commands.

Exit status: 0 when a run is valid, whatever its speed; 2 when its own checks fail; 1 on an error.
"""

import asyncio
from typing import Annotated, Literal

import typer

from outrider.cli.bench_result import AsJson, tell
from outrider.cli.bench_rules import rules

__all__ = ["bench"]

bench = typer.Typer(no_args_is_help=True, add_completion=False, help="Measure the real thing on this machine.")
bench.add_typer(rules)


@bench.command()
def ingest(
    transport: Annotated[Literal["ws", "http"], typer.Option(help="WebSocket stream, or POST /api/v1/pings.")] = "ws",
    encoding: Annotated[
        Literal["packed", "rows"], typer.Option(help="Packed records, or rows as msgpack (always over HTTP).")
    ] = "packed",
    batch: Annotated[int, typer.Option(min=1, max=5000, help="Pings in a frame or request.")] = 100,
    drivers: Annotated[int, typer.Option(min=1, help="Drivers of the simulated fleet.")] = 5000,
    connections: Annotated[int, typer.Option(min=1, help="Connections that they share.")] = 50,
    seconds: Annotated[float, typer.Option(min=1, help="Length of one run.")] = 15.0,
    repeats: Annotated[int, typer.Option(min=1, help="Runs; figures are their medians.")] = 3,
    rate: Annotated[float, typer.Option(min=0, help="Pings a second; 0 sends as fast as frames are answered.")] = 0.0,
    window: Annotated[int, typer.Option(min=1, help="Unanswered frames of a connection.")] = 8,
    generators: Annotated[int, typer.Option(min=1, help="Processes that make the load.")] = 1,
    plain: Annotated[bool, typer.Option(help="Alternate with the plain alternative.")] = True,
    etas: Annotated[
        bool, typer.Option("--etas", help="What estimates cost: vans on roads, with and without a delivery each.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Measure pings a second, acknowledged, processed and durable; lag, cost, and whether one was lost.

    acked_per_s: frames answered, so on the log's disk. processed_per_s: applied to live state. durable_per_s: in
    history, from the first rise of the watermark to the last. lag: from the log to processed, as reported to the door.
    lost: acknowledged pings that history lacks. double_counted: pings that history or the counters hold twice.
    track_p95_ms: answers to the question for a driver's last hour, asked ten times a second meanwhile.
    cpu_s_per_million: processor seconds of the whole stack. plain_per_s: FastAPI, pydantic and Motor, same mongod.
    ratio_etas (with --etas, at 20,000 pings a second unless --rate says otherwise): processor time of a ping while
    nobody has a delivery ÷ while every van drives to one, pair by pair of runs that alternate.
    """
    from bench.ingest import measure_ingest
    from bench.ingest_etas import measure_etas
    from bench.traffic import TrafficOptions

    options = TrafficOptions(
        transport=transport,
        encoding=encoding,
        batch=batch,
        connections=connections,
        window=window,
        generators=generators,
        rate=rate,
    )
    if etas:
        measuring = measure_etas(options, drivers=drivers, seconds=seconds, repeats=repeats)
    else:
        measuring = measure_ingest(options, drivers=drivers, seconds=seconds, repeats=repeats, plain=plain)
    result = asyncio.run(measuring)
    tell(result, json=json, is_valid=not result["lost"] and not result["double_counted"])


@bench.command()
def latency(
    rate: Annotated[float, typer.Option(min=1, help="Pings a second, sent when they are due.")] = 50_000.0,
    subscribers: Annotated[int, typer.Option(min=1, help="Connections that watch: fleet and viewports by turns.")] = 10,
    drivers: Annotated[int, typer.Option(min=1, help="Drivers of the simulated fleet.")] = 5000,
    interval_ms: Annotated[int, typer.Option(min=5, help="Shortest time between frames that they ask for.")] = 20,
    batch: Annotated[int, typer.Option(min=1, max=5000, help="Pings in a frame.")] = 100,
    connections: Annotated[int, typer.Option(min=1, help="Connections that bring pings.")] = 50,
    seconds: Annotated[float, typer.Option(min=1, help="Length of the run, after a warm-up.")] = 15.0,
    json: AsJson = False,
) -> None:
    """Measure how long a ping takes to a subscriber's frame, and whether every last state arrives.

    p50_ms, p99_ms, p999_ms: from the moment a ping is due to the frame that shows it or a newer one. missed_last_state:
    drivers in view whose last ping no frame has shown; it must be 0. gaps: frames whose number did not follow.
    cpu_cores: cores that the whole stack used.
    """
    from bench.latency import measure_latency
    from bench.traffic import TrafficOptions

    if batch > drivers // min(connections, drivers):
        raise typer.BadParameter("a frame would hold a driver twice: take fewer connections or a smaller batch")
    options = TrafficOptions(batch=batch, connections=connections, rate=rate, window=10_000)
    measuring = measure_latency(
        options, drivers=drivers, subscribers=subscribers, interval_ms=interval_ms, seconds=seconds
    )
    result = asyncio.run(measuring)
    tell(result, json=json, is_valid=not result["missed_last_state"])


@bench.command()
def api(
    deliveries: Annotated[int, typer.Option(min=1000, help="Deliveries of the company.")] = 100_000,
    seconds: Annotated[float, typer.Option(min=1, help="Length of one run.")] = 15.0,
    repeats: Annotated[int, typer.Option(min=1, help="Runs; figures are their medians.")] = 3,
    connections: Annotated[int, typer.Option(min=1, help="Connections, each with one request at a time.")] = 32,
    pings: Annotated[float, typer.Option(min=0, help="Pings a second that flow in meanwhile.")] = 0.0,
    workers: Annotated[int, typer.Option(min=1, help="API processes.")] = 1,
    plain: Annotated[bool, typer.Option(help="Alternate with the plain alternative.")] = True,
    json: AsJson = False,
) -> None:
    """Measure REST requests a second on a mix of reads and writes, beside a plain FastAPI and Motor service.

    mix: percent of get one, list (20 a page, filters in turns), track (live position), locate (one position in), move
    (next status), create, assign and edit. errors: answers other than the right one, by kind and status. lost:
    acknowledged writes that the store lacks. cpu_ms_per_request: processor time by role, last run.
    plain_requests_per_s: no token, role, tenant, version, event or audit; the same documents, indexes and mongod.
    """
    from bench.rest import RestOptions, measure_rest

    options = RestOptions(deliveries, connections, seconds, repeats, pings, workers, plain)
    result = asyncio.run(measure_rest(options))
    tell(result, json=json, is_valid=not result["errors"] and not result["lost"])


@bench.command()
def events(
    rate: Annotated[float, typer.Option(min=1, help="Changes of status a second, asked for when they are due.")] = 40.0,
    seconds: Annotated[float, typer.Option(min=1, help="Length of the run, after a warm-up.")] = 15.0,
    json: AsJson = False,
) -> None:
    """Measure how long a change of status takes to a webhook and to a live subscriber.

    webhook_p50_ms, webhook_p99_ms: from the moment a change is due to a webhook's first attempt. live_p50_ms,
    live_p99_ms: to the frame of a subscriber to alerts. answer_p50_ms, answer_p99_ms: to the answer of the request
    itself, which the others contain. lost: changes that either has not seen. repeated: posts of an event that had come
    already. forged: posts whose signature does not verify.
    """
    from bench.events import measure_events

    result = asyncio.run(measure_events(rate=rate, seconds=seconds))
    tell(result, json=json, is_valid=not result["lost"] and not result["forged"])


@bench.command()
def analytics(
    deliveries: Annotated[int, typer.Option(min=1000, help="Deliveries of the company, over a year.")] = 1_000_000,
    drivers: Annotated[int, typer.Option(min=1, help="Its drivers.")] = 200,
    requests: Annotated[int, typer.Option(min=1, help="Times that each question is asked.")] = 100,
    json: AsJson = False,
) -> None:
    """Measure how soon questions for figures are answered, beside aggregations over the deliveries themselves.

    p50_ms, p95_ms: over HTTP, by question. worst_p95_ms: of the slowest. rebuild_s: all figures anew from deliveries
    and trips. kept_per_s: changed deliveries that the figures follow. plain_ms: one aggregation in the same mongod,
    with an index for it and without HTTP. wrong: questions whose answer differs from the plain counts.
    """
    from bench.analytics import AnalyticsOptions, measure_analytics

    result = asyncio.run(measure_analytics(AnalyticsOptions(deliveries, drivers, requests)))
    tell(result, json=json, is_valid=not result["wrong"])


@bench.command()
def memory(
    drivers: Annotated[int, typer.Option(min=1, help="Drivers in one shard.")] = 100_000, json: AsJson = False
) -> None:
    """Measure what live drivers cost in one shard, and how soon it is back after `kill -9`.

    mib_per_100k_drivers: growth of the process, scaled; shard_mib is all of it. recover_s: until every driver of a
    sample answers with its very last ping, not stale; stale_or_old counts those that never did.
    """
    from bench.memory import measure_memory

    result = asyncio.run(measure_memory(drivers=drivers))
    is_valid = not (result["lost"] or result["double_counted"] or result["stale_or_old"])
    tell(result, json=json, is_valid=is_valid)


@bench.command()
def chaos(
    fault: Annotated[list[str] | None, typer.Option(help="shard, redis, mongod or api; all by default.")] = None,
    drivers: Annotated[int, typer.Option(min=4, help="Drivers of the simulated fleet.")] = 400,
    rate: Annotated[float, typer.Option(min=1, help="Pings a second.")] = 4000.0,
    seconds: Annotated[float, typer.Option(min=1, help="Length of the load; the kill comes after a third.")] = 12.0,
    json: AsJson = False,
) -> None:
    """Kill a part with `kill -9` under load, and count what is left.

    lost: acknowledged pings that history lacks. double_counted: pings that history shows twice or that moved the live
    state twice. live_wrong: drivers whose live state is not their last ping. recover_s: until a ping sent after the
    kill is live; durable_s: until it is durable.
    """
    from bench.chaos import FAULTS, measure_chaos

    unknown = [name for name in fault or () if name not in FAULTS]
    if unknown:
        raise typer.BadParameter(f"there is no fault {unknown[0]}; choose of {', '.join(FAULTS)}")
    chosen = [name for name in FAULTS if not fault or name in fault]
    result = asyncio.run(measure_chaos(chosen, drivers=drivers, rate=rate, seconds=seconds))
    faults = result["faults"]
    tell(result, json=json, is_valid=not any(f["lost"] + f["double_counted"] + f["live_wrong"] for f in faults))
