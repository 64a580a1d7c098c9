"""The commands of `outrider bench` that need no stack: rules, roads, solvers and models by themselves."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from outrider.cli.bench_result import AsJson, tell

if TYPE_CHECKING:
    from bench.solver_peers import Peer
    from engine.routing.search import Engine

__all__ = ["rules"]

rules = typer.Typer()


@rules.command()
def motion(
    file: Annotated[Path, typer.Argument(exists=True, help="Trace with labels, Parquet.")], json: AsJson = False
) -> None:
    """Measure stops and filtered fixes against labels, beside Traccar's rule and thresholds."""
    from bench.motion import run
    from bench.report import heading

    began = time.perf_counter()
    figures = run(file)
    tell(heading("motion", seconds=time.perf_counter() - began, repeats=1) | figures, json=json, is_valid=True)


@rules.command()
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
    tell(result, json=json, is_valid=is_answered and not result.get("wrong_cells"))


@rules.command()
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
    tell(heading("matching", seconds=time.perf_counter() - began, repeats=1) | figures, json=json, is_valid=True)


@rules.command(name="trip-times")
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
    tell(heading("trip-times", seconds=time.perf_counter() - began, repeats=1) | figures, json=json, is_valid=True)


@rules.command()
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
    tell(figures, json=json, is_valid=True)


@rules.command()
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

    tell(measure_geocode(file or PORTO, town=town, count=count, seed=seed), json=json, is_valid=True)


@rules.command()
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
    tell(result, json=json, is_valid=not result["infeasible"])


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


@rules.command()
def insertion(
    vans: Annotated[int, typer.Option(min=1, help="On the road, each with its share of the stops.")] = 50,
    stops: Annotated[int, typer.Option(min=1, help="Still to be made, of all vans together.")] = 1000,
    orders: Annotated[int, typer.Option(min=1, help="Urgent orders, each asked by itself.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Of the city and the orders.")] = 1,
    improve: Annotated[
        bool, typer.Option("--improve", help="Improve the plan after all orders, and set it beside one made anew.")
    ] = False,
    warm_s: Annotated[float, typer.Option("--warm", min=1, help="Seconds to improve it.")] = 10.0,
    cold_s: Annotated[float, typer.Option("--cold", min=1, help="Seconds for one made anew.")] = 60.0,
    json: AsJson = False,
) -> None:
    """Measure how long it takes to find a place for an urgent order, collected and delivered, in routes on the road.

    p50_ms, p95_ms, max_ms: from where everybody is to the changed routes: matrices, every place in every route with its
    exact times, then moves of single stops in the touched routes and their neighbours; without reading and storing.
    added_s: what an order adds, in seconds of driving and what it disturbs. moved_pinned: routes of which a stop moved
    that had to stay; it must be 0. With --improve: warm_cost and cold_cost of the plan that took up all orders at once
    and was improved, and of one made anew.
    """
    from bench.insertion import measure_improvement, measure_insertion

    if improve:
        result = measure_improvement(
            vans=vans, stops=stops, orders=orders, warm_s=warm_s, cold_s=cold_s, cores=os.cpu_count() or 1, seed=seed
        )
        tell(result, json=json, is_valid=not result["infeasible"])
        return
    result = measure_insertion(vans=vans, stops=stops, orders=orders, seed=seed)
    tell(result, json=json, is_valid=not result["moved_pinned"])


@rules.command()
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
    places, as those of a company's own legs do; one that learnt from drives under way reads as well what the way driven
    so far takes (core_share_at_20k_roads_en_route).
    """
    from bench.eta import measure_eta
    from engine.roads.warm_up import BUILT

    tell(measure_eta(drivers=drivers, seconds=seconds, bundle=bundle, network=BUILT), json=json, is_valid=True)
