"""`outrider bench …`: every figure that the documentation gives comes from one of these commands.

Exit status: 0 when a run is valid, whatever its speed; 2 when its own checks fail; 1 on an error.
"""

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from bench.solver_peers import Peer
    from engine.routing.search import Engine

__all__ = ["bench"]

bench = typer.Typer(no_args_is_help=True, add_completion=False, help="Measure the real thing on this machine.")

CHECKS_FAILED = 2

AsJson = Annotated[bool, typer.Option("--json", help="End with one line that holds the result as JSON.")]


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
    _tell(result, json=json, is_valid=not result["lost"] and not result["double_counted"])


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
    _tell(result, json=json, is_valid=not result["missed_last_state"])


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
    _tell(result, json=json, is_valid=not result["errors"] and not result["lost"])


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
    _tell(result, json=json, is_valid=not result["lost"] and not result["forged"])


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
    _tell(result, json=json, is_valid=not result["wrong"])


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
    _tell(result, json=json, is_valid=is_valid)


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
    _tell(result, json=json, is_valid=not any(f["lost"] + f["double_counted"] + f["live_wrong"] for f in faults))


@bench.command()
def motion(
    file: Annotated[Path, typer.Argument(exists=True, help="Trace with labels, Parquet.")], json: AsJson = False
) -> None:
    """Measure stops and filtered fixes against labels, beside Traccar's rule and thresholds."""
    from bench.motion import run
    from bench.report import heading

    began = time.perf_counter()
    figures = run(file)
    _tell(heading("motion", seconds=time.perf_counter() - began, repeats=1) | figures, json=json, is_valid=True)


@bench.command()
def matrix(
    points: Annotated[int, typer.Option(min=2, max=5000, help="Places.")] = 1000,
    provider: Annotated[
        Literal["roads", "great_circle", "osrm", "valhalla"], typer.Option(help="Who is asked.")
    ] = "roads",
    network: Annotated[Path | None, typer.Option("--in", help="Road network; default: that of Porto.")] = None,
    url: Annotated[str | None, typer.Option(help="Root of the OSRM or Valhalla server.")] = None,
    seed: Annotated[int, typer.Option(help="Of the places.")] = 1,
    json: AsJson = False,
) -> None:
    """Measure a matrix of times and lengths, N × N, as plans ask for it.

    seconds: one matrix, the median of three, snapping and all. rss_mib: of the process. load_s: network from its file
    to the first weights. customize_ms: a whole new state of the roads. leg_ms: one way with its line. plain_seconds:
    the same cells by scipy's Dijkstra over arcs and turns, ten rows scaled to all. wrong_cells: in which ours differ
    from it. library_…: routingkit-cch on the same turns, times alone.
    """
    from bench.matrix import measure_matrix
    from engine.roads.warm_up import BUILT

    result = measure_matrix(network or BUILT, points, provider, url, seed)
    is_answered = result["provider"] == provider
    _tell(result, json=json, is_valid=is_answered and not result.get("wrong_cells"))


@bench.command()
def matching(
    folder: Annotated[Path, typer.Argument(exists=True, help="Folder with porto_taxi.parquet.")],
    network: Annotated[Path | None, typer.Option("--in", help="Road network; default: that of Porto.")] = None,
    seed: Annotated[int, typer.Option(help="Of the drives and their noise.")] = 1,
    json: AsJson = False,
) -> None:
    """Measure map matching on simulated drives and on real trips.

    arcs_right: driven arcs that the match holds. arcs_wrong: arcs held that were not driven, over those that were.
    snapped_arcs_right: with each fix on its nearest road instead. away_p95_m: from a fix to its road.
    fixes_off_road: no road within 60 m.
    """
    from bench.matching import run
    from bench.report import heading
    from engine.roads.warm_up import BUILT

    began = time.perf_counter()
    figures = run(network or BUILT, folder, seed)
    _tell(heading("matching", seconds=time.perf_counter() - began, repeats=1) | figures, json=json, is_valid=True)


@bench.command(name="trip-times")
def trip_times(
    file: Annotated[Path, typer.Argument(exists=True, help="Trips, Parquet: trip, time_ms, lat, lon.")],
    network: Annotated[Path | None, typer.Option("--in", help="Road network; default: that of Porto.")] = None,
    json: AsJson = False,
) -> None:
    """Measure how well the roads tell how long real trips take from their two ends.

    Errors are mean |told - real| over the mean real duration, one factor fitted on every other trip, measured on the
    rest. error_roads_fixed_part: with a constant beside the factor. error_roads_by_hour: a factor for night, early
    morning and rush each. error_great_circle_fixed_part: the pace that plans fall back on.
    """
    from bench.report import heading
    from bench.trip_times import run
    from engine.roads.warm_up import BUILT

    began = time.perf_counter()
    figures = run(network or BUILT, file)
    _tell(heading("trip-times", seconds=time.perf_counter() - began, repeats=1) | figures, json=json, is_valid=True)


@bench.command()
def city(
    network: Annotated[Path | None, typer.Option("--in", help="Road network; default: that of Porto.")] = None,
    days: Annotated[int, typer.Option(min=1, help="Days of the calendar.")] = 90,
    vans: Annotated[int, typer.Option(min=1, help="Vans of the fleet.")] = 60,
    gps_days: Annotated[
        int, typer.Option(min=1, help="Last working days, of which phones' fixes are made and judged.")
    ] = 2,
    seed: Annotated[int, typer.Option(help="The same is the same city.")] = 1,
    json: AsJson = False,
) -> None:
    """Simulate a city with ground truth, and measure what the engine's rules make of what the phones sent.

    arrival_f1: arrivals reported at the right delivery within two minutes of the truth; the plan is known, hand-overs
    are reported. arrival_error_s: their median distance in time. plain_arrival_f1: the first fix inside the radius.
    stop_f1: stops found without any plan. The days before train a model by the pipeline, which a shard serves on the
    judged ones: eta_mae_s: of the estimate at the moment at which the shard saw a van set off, against the simulation's
    arrival; great_circle_mae_s, free_flow_mae_s: great circle by the mean speed and free-flow time by one factor, both
    fitted on the same days; coverage_80: share of arrivals between P10 and P90; parts_outside: of the parts, by hour,
    zone and stop of 500 departures and more, those whose coverage is not 0.8 ± 0.05; promise_coverage_80: of what was
    promised at dispatch; late_risk_precision, late_risk_recall: of warnings that a window is missed, given
    late_risk_lead_min before its end in the middle.
    """
    from bench.city import measure_city
    from engine.roads.warm_up import BUILT

    figures = measure_city(network or BUILT, days=days, vans=vans, gps_days=gps_days, seed=seed)
    _tell(figures, json=json, is_valid=True)


@bench.command()
def geocode(
    file: Annotated[Path | None, typer.Option("--in", help="Gazetteer; default: that of Porto.")] = None,
    town: Annotated[str, typer.Option(help="Town whose houses are asked for.")] = "Porto",
    count: Annotated[int, typer.Option(min=1, help="Houses.")] = 500,
    seed: Annotated[int, typer.Option(help="Of the draw and of what is spelt wrong.")] = 1,
    json: AsJson = False,
) -> None:
    """Measure how many houses the gazetteer finds as people write them, and how long a look-up takes.

    found_share: the answer lies within 100 m. wrong_and_sure_share: it does not, and a delivery would have taken it.
    found_share_unknown_house: the same addresses after their houses were deleted from the file.
    plain_found_share: by the exact name of the street, accents and capitals aside.
    """
    from bench.geocode import measure_geocode
    from engine.gazetteer import PORTO

    _tell(measure_geocode(file or PORTO, town=town, count=count, seed=seed), json=json, is_valid=True)


@bench.command()
def solve(
    folder: Annotated[Path, typer.Option("--set", exists=True, file_okay=False, help="A set, or a folder of sets.")],
    seconds: Annotated[float, typer.Option(min=0.5, help="Wall clock of every solver.")] = 60.0,
    against: Annotated[str, typer.Option(help="Peers: pyvrp, ortools, vroom, with commas; empty for none.")] = "pyvrp",
    sample: Annotated[int | None, typer.Option(min=1, help="Instances of each set; all by default.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each instance.")] = 1,
    cores: Annotated[int | None, typer.Option(min=1, help="Of every solver; all of the machine by default.")] = None,
    instance: Annotated[list[str] | None, typer.Option(help="Instances by name, instead of a sample.")] = None,
    engines: Annotated[str, typer.Option(help="Members of our portfolio.")] = "pyvrp,ruin-recreate,or-tools",
    vehicles_first: Annotated[
        bool | None, typer.Option(help="Whether fewer vehicles count first; as the set has it by default.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Measure how far plans are from the best known ones, beside other solvers with the same time and cores.

    sets: mean gap by set and solver, a share. wins, losses, ties: runs in which ours is better or worse than the best
    peer. unsolved: runs without a feasible plan, or of a problem that the solver has no words for. rss_mib: most memory
    of our processes together. infeasible: plans of ours that the verifier refuses; it must be 0.
    """
    from bench.report import console
    from bench.solve import SolveOptions, measure_solve

    options = SolveOptions(
        folder,
        seconds,
        [_peer(name) for name in against.split(",") if name],
        cores or os.cpu_count() or 1,
        sample,
        seeds,
        [_engine(name) for name in engines.split(",")],
        vehicles_first,
        tuple(instance or ()),
    )
    result = measure_solve(options, console=console)
    _tell(result, json=json, is_valid=not result["infeasible"])


def _peer(name: str) -> "Peer":
    from bench.solver_peers import PEERS

    found = next((peer for peer in PEERS if peer == name), None)
    if found is None:
        raise typer.BadParameter(f"there is no peer {name}; choose of {', '.join(PEERS)}")
    return found


def _engine(name: str) -> "Engine":
    from engine.routing.search import ENGINES

    found = next((engine for engine in ENGINES if engine == name), None)
    if found is None:
        raise typer.BadParameter(f"there is no engine {name}; choose of {', '.join(ENGINES)}")
    return found


@bench.command()
def insertion(
    vans: Annotated[int, typer.Option(min=1, help="On the road, each with its share of the stops.")] = 50,
    stops: Annotated[int, typer.Option(min=1, help="Still to be made, of all vans together.")] = 1000,
    orders: Annotated[int, typer.Option(min=1, help="Urgent orders, each asked by itself.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Of the city and the orders.")] = 1,
    json: AsJson = False,
) -> None:
    """Measure how long it takes to find a place for an urgent order, collected and delivered, in routes on the road.

    p50_ms, p95_ms, max_ms: from where everybody is to the changed routes: matrices, every place in every route with its
    exact times, then moves of single stops in the touched routes and their neighbours; without reading and storing.
    added_s: what an order adds, in seconds of driving and what it disturbs. moved_pinned: routes of which a stop moved
    that had to stay; it must be 0.
    """
    from bench.insertion import measure_insertion

    result = measure_insertion(vans=vans, stops=stops, orders=orders, seed=seed)
    _tell(result, json=json, is_valid=not result["moved_pinned"])


@bench.command()
def eta(
    drivers: Annotated[int, typer.Option(min=100, help="Moving drivers, each with a delivery.")] = 20_000,
    seconds: Annotated[int, typer.Option(min=10, help="Log time of the run.")] = 60,
    bundle: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Folder of a bundle; default: one of usual size.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Measure what live arrival estimates cost a shard.

    rows_per_s: three quantiles by batch, from columns, by processor second. updates_per_s: estimated stops by processor
    second, all included. core_share_at_20k: of one core, for 20,000 moving deliveries, which is what is left less for
    pings; oldest_s: of the estimates at the end. pings_per_cpu_s: what a core takes of pings alone. swap_ms: a bundle
    from its folder into service, checked. core_share_at_20k_roads: with base times by the roads of Porto, the case of
    a fleet there; share_on_roads: of the drivers whose ways lie there. The model reads what is known of drivers and
    places.
    """
    from bench.eta import measure_eta
    from engine.roads.warm_up import BUILT

    _tell(measure_eta(drivers=drivers, seconds=seconds, bundle=bundle, network=BUILT), json=json, is_valid=True)


def _tell(result: dict[str, Any], *, json: bool, is_valid: bool) -> None:
    from bench.report import show

    show(result, as_json=json)
    if not is_valid:
        raise typer.Exit(CHECKS_FAILED)
