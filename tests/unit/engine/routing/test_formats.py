"""Files of benchmark sets and of VROOM become problems with the conventions of their sets."""

import json
from pathlib import Path

import pytest

from engine.routing.formats.instance import Known
from engine.routing.formats.reading import read_instance
from engine.routing.formats.solutions import read_known, read_routes, write_routes
from engine.routing.formats.vroom import vroom_instance
from engine.routing.problem import Visit
from engine.routing.verifier import verify
from models.errors import InvalidInput

DATA = Path(__file__).parents[3] / "data" / "vrp"
BKS = DATA / "BKS.csv"

CASES = [
    # 2.83 and 12.17, cut to a decimal each
    ("C101.txt", [[20, 22]], 10.0 + 2.8 + 12.1),
    ("little.vrp", [[1, 2], [3, 4]], 4 * 14 + 2 * 20),
    ("little.vrp", [[1, 3], [2, 4]], 4 * 14 + 2 * 20),
    ("depots.vrp", [[2], [3]], 30_000),
    ("fleet.vrp", [[2], [1]], 60.0 + 100 + 141.42),
    ("pairs.txt", [[1, 2, 3, 4]], 5 + 5 + 11.4 + 1.41 + 2.83),
    ("minutes.txt", [[1, 2]], 7 + 6 + 14),
]


@pytest.mark.parametrize(("name", "routes", "cost"), CASES)
def test_a_solution_costs_what_its_set_says(name, routes, cost):
    instance = read_instance(DATA / name)
    solution = instance.solution(routes)
    assert instance.cost(solution) == pytest.approx(cost, abs=0.011)
    kinds = {one.kind for one in verify(instance.problem, solution).violations}
    assert kinds <= {"unserved"}
    assert ("unserved" in kinds) == (name == "C101.txt")


def test_windows_lengths_of_days_and_loads_bind():
    depots = read_instance(DATA / "depots.vrp")
    assert {one.kind for one in verify(depots.problem, depots.solution([[3], [2]])).violations} == {"too_long"}
    fleet = read_instance(DATA / "fleet.vrp")
    assert {one.kind for one in verify(fleet.problem, fleet.solution([[1], [2]])).violations} == {"overload"}
    pairs = read_instance(DATA / "pairs.txt")
    kinds = {one.kind for one in verify(pairs.problem, pairs.solution([[1, 3, 2, 4]])).violations}
    assert kinds == {"overload"}
    assert {one.kind for one in verify(pairs.problem, pairs.solution([[2, 1], [3, 4]])).violations} == {"order"}


def test_fewer_vehicles_come_first_where_the_set_wants_it():
    pairs = read_instance(DATA / "pairs.txt")
    one, two = pairs.solution([[1, 2, 3, 4]]), pairs.solution([[1, 2], [3, 4]])
    assert one.cost < two.cost
    assert pairs.cost(one) == pytest.approx(25.63, abs=0.02)
    assert pairs.gap(two, Known(25.64, 1)) == 1.0
    assert pairs.gap(one, Known(25.64, 1)) == pytest.approx(0.0, abs=1e-3)
    by_length = read_instance(DATA / "pairs.txt", vehicles_first=False)
    assert by_length.solution([[1, 2], [3, 4]]).cost == pytest.approx(10_000 * by_length.cost(two), rel=1e-3)


def test_costs_of_a_fleet_are_told_in_the_unit_of_the_best_known():
    fleet = read_instance(DATA / "fleet.vrp")
    solution = fleet.solution([[2], [1]])
    known = read_known(BKS, "fleet")
    assert fleet.gap(solution, known) == pytest.approx(0.0, abs=1e-5)
    assert fleet.gap(solution, Known(known.cost * 100_000)) == pytest.approx(0.0, abs=1e-5)


def test_solutions_are_written_as_they_are_read(tmp_path):
    instance = read_instance(DATA / "little.vrp")
    solution = instance.solution([[1, 2], [3, 4]])
    path = tmp_path / "little.sol"
    write_routes(path, instance, solution)
    assert [route for route in read_routes(path) if route] == [[1, 2], [3, 4]]
    assert read_known(path, "little") == Known(96.0, 2)
    assert read_known(BKS, "C101") == Known(827.3, 10)
    assert read_known(BKS, "unheard of") is None


def test_vrooms_json_keeps_what_it_says():
    problem = read_instance(DATA / "shop.json").problem
    first, second = problem.vehicles
    assert first.breaks[0].windows == ((36000, 37800),)
    assert (first.max_stops, first.shift, second.end) == (6, (28800, 43200), None)
    assert (second.fixed, second.per_metre) == (500.0, 2.0)
    delivery, collection, shipment = problem.jobs
    assert delivery.pickup is None
    assert delivery.delivery.windows == ((30000, 36000), (40000, 43000))
    assert collection.delivery is None
    assert collection.pickup.service_s == 360
    assert (shipment.load, problem.stop(Visit(2, True)).service_s) == ((2,), 60)
    assert collection.penalty > delivery.penalty
    assert [problem.may_serve(vehicle, 0) for vehicle in (0, 1)] == [True, False]


def test_vrooms_matrices_are_taken_for_their_profile():
    data = {
        "vehicles": [{"id": 1, "start_index": 0, "profile": "bike", "costs": {"per_hour": 0, "per_km": 1000}}],
        "jobs": [{"id": 1, "location_index": 1}],
        "matrices": {"bike": {"durations": [[0, 60], [70, 0]], "distances": [[0, 500], [600, 0]]}},
    }
    instance = vroom_instance("two", data)
    assert instance.solution([[1]]).cost == 500
    data["jobs"].append({"id": 2, "location_index": 1, "pickup": [1], "delivery": [1]})
    with pytest.raises(InvalidInput, match=r"jobs\.1"):
        vroom_instance("two", data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a problem\n",
        "{broken",
        "NAME: x\nDIMENSION: 2\nRELEASE_TIME_SECTION\n1 5\n2 6\nDEPOT_SECTION\n1\nEOF\n",
        "NAME: x\nDIMENSION: 2\nCAPACITY: 5\nEDGE_WEIGHT_TYPE: GEO\nNODE_COORD_SECTION\n1 0 0\n2 1 1\n"
        "DEMAND_SECTION\n1 0\n2 1\nDEPOT_SECTION\n1\nEOF\n",
        "1 10 1\n0 0 0 0 0 9 0 0 0\n1 1 1 5 0 9 0 0 0\n",
        "1 10 1\n0 0 0 0 0 9 0 0 0\n1 1 1 five 0 9 0 0 2\n",
        "1 10 1\n0 0 0 0 0 9 0 0 0\n",
        "1 10 1\n0 0 0 0 0 9 0 0 0\n1 1 1 5 9 0 0 0 2\n2 1 2 -5 0 9 0 1 0\n",
        "NAME: x\nROUTE-TIME: 5\nSIZE: 1\n",
        json.dumps({"vehicles": [{"id": 1}], "jobs": []}),
        json.dumps({"vehicles": [], "jobs": []}),
        json.dumps([1]),
    ],
)
def test_a_broken_file_is_refused(tmp_path, text):
    path = tmp_path / "broken.txt"
    path.write_text(text)
    with pytest.raises(InvalidInput) as refused:
        read_instance(path)
    assert refused.value.fields
