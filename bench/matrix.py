"""A matrix of times and lengths between random places, beside plain Dijkstra and the library alone.

The places are drawn in the box of the road network, by a seed, and lie within 150 m of a road. For `roads` the run
checks itself: rows of the matrix have to equal scipy's Dijkstra over arcs and turns to the millisecond. `plain` is that
Dijkstra, timed on a few rows and scaled to all. `library` is routingkit-cch over the same turns in the same order, from
arc to arc, times alone: its weights have 32 bits, so lengths of the same ways would take a path for every cell.
"""

import asyncio
import datetime
import itertools
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import routingkit_cch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from bench.report import heading
from engine.roads.hierarchy import CLOSED
from engine.roads.network import RoadNetwork
from engine.roads.weights import RoadWeights
from engine.settings import TravelSettings
from engine.travel.answers import Journey
from engine.travel.chain import Travel, providers_of

__all__ = ["Provider", "measure_matrix"]

Provider = Literal["roads", "great_circle", "osrm", "valhalla"]

_NEAR_M = 150.0
_PLAIN_ROWS = 10
_LEGS = 300
_AT = datetime.datetime(2026, 3, 2, 12, tzinfo=datetime.UTC)
_REPEATS = 3


def measure_matrix(network_file: Path, points: int, provider: Provider, url: str | None, seed: int) -> dict[str, Any]:
    """Return the figures of one run; `wrong_cells` is 0 when it is valid."""
    began = time.perf_counter()
    network = RoadNetwork.load(network_file)
    weights = network.free_flow("car")
    load_s = time.perf_counter() - began
    places = draw_places(network, points, seed)
    asked = asyncio.run(_ask(network_file, places, provider, url))
    result = heading("matrix", seconds=asked["seconds"], repeats=_REPEATS)
    result |= {"provider": asked["provider"], "points": points, "pairs_per_s": points**2 / asked["seconds"]}
    result["rss_mib"] = psutil.Process().memory_info().rss / 2**20
    if provider != "roads":
        return result
    result |= {"load_s": load_s, "customize_ms": _customize_ms(network), "leg_ms": _leg_ms(network, places)}
    return result | _beside(network, weights, places)


def draw_places(network: RoadNetwork, count: int, seed: int) -> NDArray[np.float64]:
    """Return random places near roads, N × 2."""
    draws = np.random.default_rng(seed)
    south, west, north, east = network.box
    found: NDArray[np.float64] = np.empty((0, 2))
    while len(found) < count:
        drawn = np.stack([draws.uniform(south, north, 4 * count), draws.uniform(west, east, 4 * count)], axis=1)
        snaps = network.snap(drawn[:, 0], drawn[:, 1])
        found = np.concatenate([found, drawn[snaps.distance_m < _NEAR_M]])
    return found[:count]


async def _ask(file: Path, places: NDArray[np.float64], provider: Provider, url: str | None) -> dict[str, Any]:
    order = (provider,) if provider != "great_circle" else ()
    settings = TravelSettings(order=order, network=file, osrm_url=url, valhalla_url=url, timeout_s=120)
    travel, journey = Travel(providers_of(settings), settings), Journey("car", _AT)
    try:
        answer = await travel.matrix(places[:2], journey)
        spent = []
        for _ in range(_REPEATS):
            began = time.perf_counter()
            answer = await travel.matrix(places, journey)
            spent.append(time.perf_counter() - began)
        return {"seconds": float(np.median(spent)), "provider": answer.provider}
    finally:
        await travel.close()


def _customize_ms(network: RoadNetwork) -> float:
    factor = np.random.default_rng(1).uniform(0.8, 2.0, network.arc_count)
    return _median_ms(lambda: network.weights("car", factor), 5)


def _leg_ms(network: RoadNetwork, places: NDArray[np.float64]) -> float:
    pairs = list(itertools.pairwise(places[: _LEGS + 1]))
    began = time.perf_counter()
    for origin, destination in pairs:
        network.leg(tuple(origin), tuple(destination))
    return (time.perf_counter() - began) / len(pairs) * 1000


def _beside(network: RoadNetwork, weights: RoadWeights, places: NDArray[np.float64]) -> dict[str, Any]:
    """Return what plain Dijkstra and the library take, and whether Dijkstra says the same."""
    arrays, edges = network.arrays, weights.metric.edges
    is_open = edges < CLOSED
    ends = arrays["turn_from"], arrays["turn_to"]
    arcs = _one_arc_each(network, places)
    seconds = coo_array(((edges[is_open] >> 32).astype(float), (ends[0][is_open], ends[1][is_open])))
    seconds = coo_array((seconds.data, seconds.coords), shape=(network.arc_count, network.arc_count)).tocsr()
    rows = arcs[:_PLAIN_ROWS]
    began = time.perf_counter()
    plain = dijkstra(seconds, indices=rows)[:, arcs]
    plain_s = (time.perf_counter() - began) * len(arcs) / len(rows)
    ours = network.arc_matrix(rows, arcs, weights)
    wrong = int((np.where(ours < CLOSED, ours >> 32, np.inf) != plain).sum())
    return {"plain_seconds": plain_s, "wrong_cells": wrong} | _library(network, edges, arcs, rows, plain)


def _library(
    network: RoadNetwork, edges: NDArray[np.int64], arcs: NDArray[np.int32], rows: NDArray[np.int32], plain: Any
) -> dict[str, Any]:
    order = np.argsort(network.hierarchy.rank).tolist()
    ends = network.arrays["turn_from"].tolist(), network.arrays["turn_to"].tolist()
    hierarchy = routingkit_cch.CCH(order, *ends, True)
    weights = np.where(edges < CLOSED, edges >> 32, 2**31 - 1).tolist()
    metric = routingkit_cch.CCHMetric(hierarchy, weights)
    customize_ms = _median_ms(lambda: metric.reset(weights), 3)
    query = routingkit_cch.CCHOneToMany(metric, arcs.tolist())
    began = time.perf_counter()
    found = [query.distances_from(arc) for arc in arcs.tolist()]
    spent = time.perf_counter() - began
    cells = np.array(found[: len(rows)], np.float64)
    agrees = bool((np.where(np.isnan(cells), np.inf, cells) == plain).all())
    return {"library_seconds": spent, "library_customize_ms": customize_ms, "library_agrees": agrees}


def _one_arc_each(network: RoadNetwork, places: NDArray[np.float64]) -> NDArray[np.int32]:
    segments = network.snap(places[:, 0], places[:, 1]).segment
    both = network.arrays["segment_arcs"][segments]
    usable = (both >= 0) & (network.arrays["arc_profiles"][both] & 1 == 1)
    return np.where(usable[:, 0], both[:, 0], both[:, 1]).astype(np.int32)


def _median_ms(work: Any, times: int) -> float:
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return float(np.median(spent)) * 1000
