"""Travel: every provider that can fail does, on a real socket; the answer says who gave it."""

import datetime
import json
import math
from dataclasses import replace

import numpy as np
import polyline
import pytest
from werkzeug import Response

from engine.providers.osrm import OsrmTravel
from engine.providers.valhalla import ValhallaTravel
from engine.roads.barriers import Barrier
from engine.routing.ways import GREAT_CIRCLE
from engine.settings import TravelSettings
from engine.travel.answers import UNREACHABLE, Journey
from engine.travel.chain import Travel, providers_of
from models.eta.base_time import Leg
from tests.misbehaving import MISBEHAVED, answering, late
from tests.roads import grid_town

pytestmark = pytest.mark.timeout(400)  # the first run compiles the rules of roads

AT = datetime.datetime(2026, 3, 2, 8, tzinfo=datetime.UTC)
VAN = Journey("van", AT)
ZONE = Barrier("polygon", ((41.151, -8.609), (41.153, -8.609), (41.153, -8.606)))
STREET = Barrier("line", ((41.154, -8.605), (41.154, -8.603)), half_width_m=20.0)
PLACES = [(41.15, -8.61), (41.16, -8.60)]
LINE = [(41.15, -8.61), (41.155, -8.6), (41.16, -8.60)]
TABLE = "/table/v1/driving/-8.610000,41.150000;-8.600000,41.160000"
ROUTE = TABLE.replace("table", "route")
NEAR = [{"distance": 3.0}, {"distance": 5.0}]
GOOD_TABLE = {
    "code": "Ok",
    "durations": [[0, 300.4], [None, 0]],
    "distances": [[0, 2000.6], [None, 0]],
    "sources": NEAR,
}


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    folder = tmp_path_factory.mktemp("town")
    grid_town().network(folder)
    return folder / "town.roads"


@pytest.fixture
async def osrm(server):
    provider = OsrmTravel(server.url_for("/"), 0.5)
    yield provider
    await provider.close()


@pytest.fixture
async def asking(server):
    made = []

    def ask(**fields):
        settings = TravelSettings(
            **{"order": ("osrm",), "osrm_url": server.url_for("/"), "timeout_s": 0.5, "learned_pace": False} | fields
        )
        made.append(Travel(providers_of(settings), settings))
        return made[-1]

    yield ask
    for travel in made:
        await travel.close()


async def test_osrm_is_asked_for_a_table(server, asking):
    server.expect_request(TABLE, query_string={"annotations": "duration,distance"}).respond_with_json(GOOD_TABLE)
    found = await asking().matrix(PLACES, VAN)
    assert (found.provider, found.source) == ("osrm", "provider")
    assert found.duration_s.tolist() == [[0, 300], [UNREACHABLE, 0]]
    assert found.distance_m.tolist() == [[0, 2001], [UNREACHABLE, 0]]
    assert found.duration_s.dtype == np.int64


async def test_osrm_draws_a_way(server, asking):
    route = {"duration": 300.5, "distance": 2000.5, "geometry": polyline.encode(LINE, 6)}
    answer = {"code": "Ok", "routes": [route], "waypoints": NEAR, "data_version": "2026-01-02T00:00:00Z"}
    server.expect_request(ROUTE).respond_with_json(answer)
    leg = await asking().leg(*PLACES, VAN)
    assert (leg.duration_s, leg.distance_m, leg.provider, leg.date) == (300.5, 2000.5, "osrm", "2026-01-02")
    assert list(leg.line) == LINE


async def test_valhalla_is_asked_for_a_matrix_and_a_way(server, asking):
    seen = []

    def matrix(request):
        seen.append(request.get_json())
        cells = {"durations": [[0, 301], [None, 0]], "distances": [[0, 2.0], [None, 0]]}
        return Response(json.dumps({"sources_to_targets": cells}), 200, content_type="application/json")

    leg = {"summary": {"time": 301.0, "length": 2.0}, "shape": polyline.encode(LINE, 6)}
    server.expect_request("/sources_to_targets", method="POST").respond_with_handler(matrix)
    server.expect_request("/route", method="POST").respond_with_json({"trip": {"legs": [leg]}})
    travel = asking(order=("valhalla",), valhalla_url=server.url_for("/"))

    found, way = await travel.matrix(PLACES, Journey("truck", AT)), await travel.leg(*PLACES, Journey("truck", AT))

    assert (seen[0]["costing"], seen[0]["sources"][0]["lat"]) == ("truck", 41.15)
    assert found.duration_s.tolist() == [[0, 301], [UNREACHABLE, 0]]
    assert found.distance_m[0, 1] == way.distance_m == 2000
    assert (found.provider, way.provider, list(way.line)) == ("valhalla", "valhalla", LINE)


async def test_valhalla_is_told_what_is_closed_then_and_osrm_says_that_it_heeds_nothing(server, asking):
    seen = []

    def matrix(request):
        seen.append(request.get_json())
        cells = {"durations": [[0, 301], [301, 0]], "distances": [[0, 2.0], [2.0, 0]]}
        return Response(json.dumps({"sources_to_targets": cells}), 200, content_type="application/json")

    def way(request):
        seen.append(request.get_json())
        leg = {"summary": {"time": 301.0, "length": 2.0}, "shape": polyline.encode(LINE, 6)}
        return Response(json.dumps({"trip": {"legs": [leg]}}), 200, content_type="application/json")

    server.expect_request("/sources_to_targets", method="POST").respond_with_handler(matrix)
    server.expect_request("/route", method="POST").respond_with_handler(way)
    server.expect_request(TABLE).respond_with_json(GOOD_TABLE)
    later = replace(ZONE, begins_s=AT.timestamp() + 7200)
    journey = replace(VAN, barriers=(ZONE, later, STREET, replace(ZONE, profiles=frozenset({"truck"}))))
    travel = asking(order=("valhalla",), valhalla_url=server.url_for("/"))

    found = await travel.matrix(PLACES, journey)
    await travel.leg(*PLACES, replace(journey, lasts=datetime.timedelta(hours=3)))
    heedless = await asking().matrix(PLACES, journey)

    zone, street = seen[0]["exclude_polygons"]
    assert zone == [[lon, lat] for lat, lon in (*ZONE.points, ZONE.points[0])]
    assert street[0] == street[-1]
    lons, lats = np.transpose(street)
    half_deg = 20.0 / 111_195
    assert (lats.min(), lats.max()) == pytest.approx((41.154 - half_deg, 41.154 + half_deg), abs=1e-6)
    assert (lons.min(), lons.max()) == pytest.approx((-8.605, -8.603), abs=1e-6)
    assert seen[1]["exclude_polygons"] == [zone, zone, street]  # what begins while the route lasts counts
    assert (found.closures, heedless.closures) == (2, 0)


async def test_what_a_server_said_before_a_street_was_closed_does_not_count_any_more(server, asking):
    server.expect_ordered_request("/sources_to_targets").respond_with_json(
        {"sources_to_targets": {"durations": [[0, 301], [301, 0]], "distances": [[0, 2.0], [2.0, 0]]}}
    )
    server.expect_ordered_request("/sources_to_targets").respond_with_data("boom", 500)
    server.expect_ordered_request("/sources_to_targets").respond_with_data("boom", 500)
    travel = asking(order=("valhalla",), valhalla_url=server.url_for("/"), failures=9)
    assert (await travel.matrix(PLACES, VAN)).provider == "valhalla"
    assert (await travel.matrix(PLACES, replace(VAN, barriers=(ZONE,)))).provider == "great_circle"
    assert (await travel.matrix(PLACES, VAN)).source == "cache"


HOW = MISBEHAVED | {
    "another shape": answering(GOOD_TABLE | {"durations": [[0]]}),
    "text for times": answering(GOOD_TABLE | {"durations": [["a", "b"], [1, 2]]}),
    "negative times": answering(GOOD_TABLE | {"durations": [[0, -5], [1, 0]]}),
    "endless times": answering(json.dumps(GOOD_TABLE).replace("300.4", "1e300")),
    "times without end": answering(json.dumps(GOOD_TABLE).replace("300.4", "1" * 400)),
    "places without end": answering(GOOD_TABLE | {"sources": [{"distance": 10**400}] * 2}),
    "no word of where": answering(GOOD_TABLE | {"sources": None}),
    "too slow": late(answering(GOOD_TABLE)),
}


@pytest.mark.parametrize("how", HOW)
async def test_whatever_a_server_does_somebody_else_answers(server, asking, how):
    server.expect_request(TABLE).respond_with_handler(lambda _: HOW[how]())
    found = await asking().matrix(PLACES, VAN)
    assert found.provider == "great_circle"
    assert (found.duration_s[0, 1] > 200, found.date) == (True, None)


GOOD_ROUTE = {"duration": 300.0, "distance": 2000.0, "geometry": polyline.encode(LINE, 6)}


@pytest.mark.parametrize(
    "changes",
    [
        {"duration": math.nan},
        {"duration": "Infinity"},
        {"duration": -300},
        {"distance": 10**400},
        {"distance": None},
        {"geometry": "~" * 400 + "?"},
        {"geometry": polyline.encode([(4115.0, -8.61)], 6)},
        {"geometry": 7},
    ],
)
async def test_whatever_a_server_says_of_a_way_somebody_else_answers(server, asking, changes):
    answer = answering({"code": "Ok", "routes": [GOOD_ROUTE | changes], "waypoints": NEAR})
    server.expect_request(ROUTE).respond_with_handler(lambda _: answer())
    leg = await asking().leg(*PLACES, VAN)
    assert leg.provider == "great_circle"
    assert leg.duration_s > 200


async def test_valhalla_may_say_anything_of_its_faults(server, asking):
    server.expect_request("/sources_to_targets").respond_with_json({"error_code": [170]}, status=400)
    travel = asking(order=("valhalla",), valhalla_url=server.url_for("/"))
    assert (await travel.matrix(PLACES, VAN)).provider == "great_circle"


async def test_a_server_that_is_away_is_left_alone_and_what_it_said_before_counts(server, asking):
    server.expect_ordered_request(TABLE).respond_with_json(GOOD_TABLE)
    for _ in range(2):
        server.expect_ordered_request(TABLE).respond_with_data("boom", 500)
    travel = asking(failures=2)
    answers = [await travel.matrix(PLACES, VAN) for _ in range(4)]
    assert [one.source for one in answers] == ["provider", "cache", "cache", "cache"]
    assert {one.provider for one in answers} == {"osrm"}
    refused = [response for _, response in server.log if response.status_code == 500]
    assert len(refused) == 2  # the fourth was not asked: the circuit was open
    assert (await travel.matrix(PLACES, Journey("bike", AT))).provider == "great_circle"


async def test_places_outside_a_servers_map_go_to_the_next_and_the_server_counts_as_well(server, asking):
    far = GOOD_TABLE | {"sources": [{"distance": 3.0}, {"distance": 90_000.0}]}
    for _ in range(5):
        server.expect_ordered_request(TABLE).respond_with_json(far)
    server.expect_ordered_request(TABLE).respond_with_json(GOOD_TABLE)
    travel = asking(failures=2)
    providers = [(await travel.matrix(PLACES, VAN)).provider for _ in range(6)]
    assert providers == ["great_circle"] * 5 + ["osrm"]


async def test_the_roads_come_first_and_say_of_when_they_are(asking, town, server):
    travel = asking(order=("roads", "osrm"), network=town)
    places = [grid_town().at(1, east=20), grid_town().at(1, east=80), grid_town().at(1, east=1200, north=50)]
    inside = await travel.matrix(places[:2], VAN)
    leg = await travel.leg(*places[:2], VAN)
    assert (inside.provider, inside.off_road, leg.provider) == ("roads", (), "roads")
    assert inside.distance_m[0, 1] == round(leg.distance_m) == 60
    assert leg.line[0] == pytest.approx(places[0], abs=1e-6)
    assert (await travel.matrix(places, VAN)).provider == "great_circle"  # outside the map, and no server


async def test_a_network_that_is_not_there_yet_holds_nobody_up(asking, tmp_path):
    travel = asking(order=("roads",), network=tmp_path / "coming.roads")
    assert (await travel.matrix(PLACES, VAN)).provider == "great_circle"
    assert [leg.provider for leg in await travel.path([*PLACES, PLACES[0]], VAN)] == ["great_circle"] * 2


async def test_valhalla_away_falls_to_osrm(server, asking):
    server.expect_request("/sources_to_targets").respond_with_json({"error_code": 150, "error": "too many"}, status=400)
    server.expect_request(TABLE).respond_with_json(GOOD_TABLE)
    travel = asking(order=("valhalla", "osrm"), valhalla_url=server.url_for("/"))
    assert (await travel.matrix(PLACES, VAN)).provider == "osrm"


async def test_free_flow_times_become_those_that_are_driven_and_more_in_the_rush(server, asking):
    server.expect_request(TABLE).respond_with_json(GOOD_TABLE)
    travel = asking(learned_pace=True, time_zone="UTC")
    night = await travel.matrix(PLACES, Journey("van", AT.replace(hour=3)))
    rush = await travel.matrix(PLACES, Journey("van", AT.replace(hour=8)))
    day = await travel.matrix(PLACES, Journey("van", AT.replace(hour=8), datetime.timedelta(hours=8)))
    assert night.duration_s[0, 1] == pytest.approx(140 + 0.9 * 300, abs=1)
    assert night.duration_s[0, 1] < day.duration_s[0, 1] < rush.duration_s[0, 1]
    assert (rush.duration_s[0, 0], rush.duration_s[1, 0]) == (0, UNREACHABLE)
    assert (rush.distance_m == night.distance_m).all()
    server.expect_request(ROUTE).respond_with_json({"code": "Ok", "routes": [GOOD_ROUTE], "waypoints": NEAR})
    leg = await travel.leg(*PLACES, Journey("van", AT.replace(hour=8), datetime.timedelta(hours=8)))
    assert leg.duration_s == pytest.approx(rush.duration_s[0, 1], abs=1)  # a leg is driven when it begins


async def test_plans_know_their_ways_and_take_the_great_circle_for_others(server, asking):
    server.expect_request(TABLE).respond_with_json(GOOD_TABLE)
    ways = await asking().ways({"van"}, [*PLACES, PLACES[0]], AT)
    assert ways.leg("van", *PLACES) == Leg(2001.0, 300.0)
    assert ways.leg("van", *reversed(PLACES)) == GREAT_CIRCLE.leg("van", *reversed(PLACES))  # no way back
    metres, seconds = ways.matrices("van", np.array([*PLACES, (41.2, -8.5)]))
    assert (metres[0, 1], seconds[0, 1]) == (2001.0, 300.0)
    assert seconds[0, 2] == GREAT_CIRCLE.leg("van", PLACES[0], (41.2, -8.5)).duration_s


async def test_closing_twice_is_fine(server):
    provider = ValhallaTravel(server.url_for("/"), 0.5)
    await provider.close()
    await provider.close()
