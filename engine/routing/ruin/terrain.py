"""A problem and its routes as arrays, for compiled search: what stays while it is solved, and what changes.

A *node* is one visit: twice the number of its job, plus one for the delivery. A route of n nodes has n + 2 *points*,
its begin and its end among them, and n + 1 *legs*; leg i goes from point i to point i + 1. Columns are packed into few
arrays, since every array costs something in every call and in every compilation.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLLECTION", "DELIVERY", "ENDLESS", "PAIR", "Plan", "Terrain", "Work", "empty_plan", "room_for"]

Whole = NDArray[np.int64]
Short = NDArray[np.int32]
Reals = NDArray[np.float64]

ENDLESS = 2**50
"""More than any time or way, and sums of it stay within 64 bits."""

DELIVERY, COLLECTION, PAIR = 0, 1, 2
"""Kinds of job: brought from the route's begin, taken to its end, or from stop to stop."""

PLACE, SERVICE, WINDOWS, OPENS = 0, 1, 2, 3
"""Columns of nodes; from `OPENS` on first and last second of each window."""

KIND, LOAD = 0, 1
"""Columns of jobs; from `LOAD` on the load in each dimension."""

GROUP, START, END, LEAVES, BACK, LONGEST_M, LONGEST_S, MOST_STOPS, PROFILE, RATE, TIMED, ROOM = range(12)
"""Columns of vans; from `ROOM` on the capacity in each dimension."""

USE, PER_METRE, PER_SECOND = 0, 1, 2
"""Columns of prices."""

AT, NODE, DEPARTS, LATEST, ABOARD = 0, 1, 2, 3, 4
"""Columns of points: place, node, earliest end of service, latest arrival; from `ABOARD` on, for each dimension, what
is on board on the leg that begins there, the most on board up to it, and the most from it on."""

WORKED, LEAVES_BY, REST, ENDS = -4, -3, -2, -1
"""The last columns of points, if the duration of some route counts: seconds on the way and at stops from the route's
begin to the end of service, the latest begin of the route that is in time for all up to there, seconds on the way and
at stops from there to the route's end, and when it ends by the windows from there on, however early one comes."""

SIZE, DRIVEN = 0, 1
"""Rows of a plan's `routes`: nodes, metres."""

TAKEN, MISSING = 0, 1
"""Rows of `Work.jobs`."""

TOUCHED, IS_TOUCHED, STAMP, OLD_SIZE, OLD_DRIVEN = range(5)
"""Rows of `Work.vans`."""

COUNT, ABSENT, TOUCHES, TOKEN, FIRST, SECOND = range(6)
"""Places in `Work.counts`: how many jobs are taken, lack a place, how many routes are touched; the last token of a
look for a place, and the legs that it found."""


class Terrain(NamedTuple):
    """J jobs and V vehicles of G groups between P places, D dimensions of load."""

    nodes: Whole
    """2J × (3 + 2W)."""
    jobs: Whole
    """J × (1 + D)."""
    price: Reals
    """Cost of leaving a job out, J."""
    keys: Reals
    """By what jobs are put in order before they are given a place: one row for each order, least is first."""
    near: Short
    """The jobs nearest to each, J × M, nearest first."""
    beside: Short
    """Nodes between which a job of a single stop is best put, J × 2N: those to come before it, best first, then those
    to come behind it; -1 where there are no more, and for pairs."""
    reach: NDArray[np.float32]
    """The least cost of the way between a job and each of them, J × 2N."""
    alone: Reals
    """The least cost of a route with nothing but a job, J."""
    vans: Whole
    """V × (11 + D)."""
    prices: Reals
    """V × 3."""
    may: NDArray[np.bool_]
    """Which group may take which job, G × J."""
    ways: Short
    """Seconds for each of K profiles, then metres, 2K × P × P."""
    arc: NDArray[np.float32]
    """Cost of a way, R × P × P."""


class Plan(NamedTuple):
    """Routes, and what follows from them; changed in place."""

    points: Whole
    """V × (L + 2) × C, of 4 + 3D columns, or 8 + 3D."""
    rows: Whole
    """The same, each route in one row, V × (L + 2)C."""
    legs: NDArray[np.float32]
    """Cost of each leg, V × (L + 1)."""
    routes: Whole
    """2 × V."""
    cost: Reals
    """Of each route, V."""
    where: Whole
    """Vehicle of each job, J; -1 if it has none."""
    spot: Whole
    """Point of each node in its route, 2J."""
    random: NDArray[np.uint64]
    """State of the generator, 1."""


class Work(NamedTuple):
    """What a search needs besides: room for what it tries, and what it takes back if that was no good."""

    jobs: Whole
    """2 × J."""
    keys: Reals
    """By what the jobs that want a place are put in order, J."""
    vans: Whole
    """5 × V."""
    counts: Whole
    seen: NDArray[np.bool_]
    """Groups of which an empty vehicle was tried, G."""
    gone: NDArray[np.bool_]
    """Jobs that are taken out, J."""
    scratch: Short
    """Room for a route, L + 2."""
    stamp: Whole
    """Token of the look in which the leg behind a node was seen, 2J."""
    points: Whole
    """Routes as they were, as in a plan."""
    rows: Whole
    legs: NDArray[np.float32]
    """As in a plan."""
    cost: Reals
    """V."""


def empty_plan(terrain: Terrain, longest: int, seed: int) -> Plan:
    """Return a plan in which no vehicle is used, with room for so many nodes in a route."""
    vehicles, dimensions = len(terrain.vans), terrain.jobs.shape[1] - LOAD
    columns = ABOARD + 3 * dimensions + (-WORKED if terrain.vans[:, TIMED].any() else 0)
    points = np.zeros((vehicles, longest + 2, columns), np.int64)
    return Plan(
        points=points,
        rows=points.reshape(vehicles, -1),
        legs=np.zeros((vehicles, longest + 1), np.float32),
        routes=np.zeros((2, vehicles), np.int64),
        cost=np.zeros(vehicles),
        where=np.full(len(terrain.jobs), -1, np.int64),
        spot=np.zeros(len(terrain.nodes), np.int64),
        random=np.array([0x9E3779B97F4A7C15 ^ (seed * 2 + 1)], np.uint64),
    )


def room_for(terrain: Terrain, plan: Plan) -> Work:
    """Return room for a search."""
    vehicles, jobs = len(plan.points), len(terrain.jobs)
    points = np.zeros_like(plan.points)
    return Work(
        jobs=np.zeros((2, jobs), np.int64),
        keys=np.zeros(jobs),
        vans=np.zeros((5, vehicles), np.int64),
        counts=np.zeros(6, np.int64),
        seen=np.zeros(len(terrain.may), np.bool_),
        gone=np.zeros(jobs, np.bool_),
        scratch=np.zeros(plan.points.shape[1], np.int32),
        stamp=np.zeros(len(terrain.nodes), np.int64),
        points=points,
        rows=points.reshape(vehicles, -1),
        legs=np.zeros_like(plan.legs),
        cost=np.zeros(vehicles),
    )
