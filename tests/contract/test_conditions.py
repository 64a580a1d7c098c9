"""Weather and traffic of other servers: they lengthen plans, are named, and whatever they do, a plan is made."""

import datetime
import math
import time

import numpy as np
import pytest
from pydantic import SecretStr, ValidationError

from engine.conditions.chain import conditions_of
from engine.eta.conditions import ConditionWatch
from engine.eta.plan import AHEAD
from engine.settings import TravelSettings
from engine.shards.memory import ShardMemory
from engine.travel.answers import Journey
from engine.travel.chain import Travel, providers_of
from tests.misbehaving import MISBEHAVED, answering, late
from tests.roads import grid_town

pytestmark = pytest.mark.timeout(400)  # the first run compiles the rules of roads

TOWN = grid_town()
PLACES = [TOWN.at(11, east=20), TOWN.at(14, east=-20)]
FORECAST, SEGMENT = "/v1/forecast", "/flow/10/json"
DAY = datetime.timedelta(hours=8)


def a_forecast(rain=0.0, temperature=12.0, wind=2.0, hours=96, **changes):
    """Return what Open-Meteo would say: the same weather in all hours from yesterday on."""
    begins = int(time.time()) // 3600 * 3600 - 86_400
    hourly = {
        "time": [begins + 3600 * hour for hour in range(hours)],
        "precipitation": [rain] * hours,
        "temperature_2m": [temperature] * hours,
        "wind_speed_10m": [wind] * hours,
    }
    return {"latitude": 0.05, "longitude": 0.05, "hourly": hourly | changes}


def a_segment(**changes):
    return {"flowSegmentData": {"currentTravelTime": 180, "freeFlowTravelTime": 100, "confidence": 0.9} | changes}


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    folder = tmp_path_factory.mktemp("town")
    TOWN.network(folder)
    return folder / "town.roads"


@pytest.fixture
async def asking(server, town, tmp_path):
    made = []

    def ask(clock=time.time, **fields):
        usual = {"order": ("roads",), "network": town, "learned_pace": False, "conditions_timeout_s": 0.5}
        settings = TravelSettings(**usual | fields)
        made.append(Travel(providers_of(settings), settings, conditions_of(settings, tmp_path / "conditions", clock)))
        return made[-1]

    yield ask
    for travel in made:
        await travel.close()


@pytest.fixture
def weather(server):
    return {"weather_url": server.url_for("/")}


@pytest.fixture
def flow(server):
    return {"flow_url": SecretStr(server.url_for(SEGMENT) + "?key=secret&point={latitude},{longitude}")}


def now():
    return datetime.datetime.now(tz=datetime.UTC)


async def seconds(travel, lasts=DAY, at=None, profile="van"):
    found = await travel.matrix(PLACES, Journey(profile, at or now(), lasts))
    return found.duration_s[0, 1], found.told(profile).conditions


async def test_a_plan_in_snow_takes_longer_and_says_who_said_so(server, asking, weather):
    dry, nobody = await seconds(asking())
    assert nobody == ()
    server.expect_request(FORECAST).respond_with_json(a_forecast(rain=2.5, temperature=-2.0))
    travel = asking(**weather)
    snowy, [told] = await seconds(travel)
    assert snowy == pytest.approx(1.3 * dry, rel=0.05)
    assert (told.kind, told.provider, told.source) == ("weather", "open_meteo", "provider")
    assert told.factor == pytest.approx(1.3, abs=0.01)
    assert abs((told.as_of - now()).total_seconds()) < 60
    ways = await travel.ways({"van"}, PLACES, now())
    assert ways.told[0].conditions[0].kind == "weather"
    leg, free = await travel.leg(*PLACES, Journey("van", now())), await asking().leg(*PLACES, Journey("van", now()))
    assert leg.duration_s == pytest.approx(1.3 * free.duration_s, rel=0.01)
    asked = server.log[0][0].args
    assert (asked["timeformat"], asked["wind_speed_unit"]) == ("unixtime", "ms")
    assert float(asked["latitude"]) == pytest.approx(0.05)
    assert len(server.log) == 1  # once for all that was asked


async def test_traffic_of_a_server_counts_for_the_next_hour_and_passes_bikes_by(server, asking, flow):
    free, _ = await seconds(asking())
    server.expect_request(SEGMENT).respond_with_json(a_segment())
    travel = asking(**flow)
    at_once, [told] = await seconds(travel, datetime.timedelta())
    assert at_once == pytest.approx(1.8 * free, rel=0.05)
    assert (told.kind, told.provider, told.factor) == ("traffic", "flow", 1.8)
    by_day, _ = await seconds(travel)
    assert by_day == pytest.approx((1.8 + 7) / 8 * free, rel=0.05)
    tomorrow, [told] = await seconds(travel, at=now() + datetime.timedelta(days=1))
    assert (tomorrow, told.provider) == (free, "none")
    assert (await seconds(travel, profile="bike"))[1] == ()
    assert server.log[0][0].args["key"] == "secret"
    assert server.log[0][0].args["point"] == "0.02,0.02"


async def test_of_many_places_those_where_most_are_are_asked_for(server, weather, tmp_path):
    server.expect_request(FORECAST).respond_with_json(a_forecast(rain=1.5))
    conditions = conditions_of(TravelSettings(**weather), tmp_path)
    met = await conditions.met([(0.05, 0.05), (1.05, 0.05), (1.06, 0.06), (2.05, 0.05)], most=1)
    await conditions.close()
    assert [float(request.args["latitude"]) for request, _ in server.log] == [pytest.approx(1.05)]
    assert [known.provider for known in met.weather] == ["open_meteo"]


async def test_the_great_circle_knows_weather_too_and_usual_traffic_already(server, asking, weather, flow):
    server.expect_request(FORECAST).respond_with_json(a_forecast(rain=7.6))
    server.expect_request(SEGMENT).respond_with_json(a_segment())
    far = [(10.0, 10.0), (10.1, 10.1)]
    dry = await asking().matrix(far, Journey("van", now()))
    wet = await asking(**weather, **flow).matrix(far, Journey("van", now()))
    assert wet.provider == "great_circle"
    assert wet.duration_s[0, 1] == pytest.approx(1.1 * dry.duration_s[0, 1], rel=0.01)
    assert [told.kind for told in wet.conditions] == ["weather"]


HOW = MISBEHAVED | {
    "no hours": answering(a_forecast(time=[])),
    "hours in disorder": answering(a_forecast(time=[7200, 0])),
    "text for rain": answering(a_forecast(precipitation=["much"] * 96)),
    "too little rain": answering(a_forecast(rain=-1)),
    "endless rain": answering(a_forecast(rain=1e9)),
    "less rain than hours": answering(a_forecast(precipitation=[1.0])),
    "negative times": answering(a_segment(currentTravelTime=-1)),
    "text for times": answering(a_segment(freeFlowTravelTime="long")),
    "times of nothing": answering(a_segment(freeFlowTravelTime=0)),
    "a guess of its own": answering(a_segment(confidence=0.1)),
    "years of hours": answering(a_forecast(hours=2 * 8760)),
    "rain without end": answering(a_forecast(precipitation=[10**400] * 96)),
    "hours beyond all time": answering(a_forecast(time=[10**30 + 3600 * hour for hour in range(96)])),
    "times without end": answering(a_segment(currentTravelTime=10**400)),
    "times that are no numbers": answering(a_segment(freeFlowTravelTime=math.nan)),
    "a closed road": answering(a_segment(roadClosure=True)),
    "hours too late": late(answering(a_forecast(rain=2.5))),
    "a segment too late": late(answering(a_segment())),
}


@pytest.mark.parametrize("how", HOW)
async def test_whatever_a_server_does_a_plan_is_made_without_it(server, asking, weather, flow, how):
    free, _ = await seconds(asking())
    server.expect_request(FORECAST).respond_with_handler(lambda _: HOW[how]())
    server.expect_request(SEGMENT).respond_with_handler(lambda _: HOW[how]())
    found, told = await seconds(asking(**weather, **flow))
    assert found == free
    assert [(one.provider, one.source, one.as_of) for one in told] == [("none", None, None)] * 2


async def test_a_server_that_is_away_is_left_alone_and_what_it_said_counts_also_after_a_restart(
    server, asking, weather
):
    snow = a_forecast(rain=2.5, temperature=-2.0)
    server.expect_ordered_request(FORECAST).respond_with_json(snow)
    for _ in range(3):
        server.expect_ordered_request(FORECAST).respond_with_data("boom", 500)
    fresh, _ = await seconds(asking(**weather))
    stale = {**weather, "weather_fresh_s": 60.0, "failures": 2}
    later_s = 3600.0
    again = asking(lambda: time.time() + later_s, **stale)  # an hour later, another process
    answers = [await seconds(again) for _ in range(4)]
    assert {duration for duration, _ in answers} == {fresh}
    assert {told[0].source for _, told in answers} == {"cache"}
    assert len(server.log) == 3  # the circuit was open for the last two
    later_s = 7 * 3600.0  # too old for anybody
    assert (await seconds(again))[1][0].provider == "none"


async def test_hours_without_a_word_multiply_nothing(server, asking, weather):
    free, _ = await seconds(asking())
    unknown = a_forecast(precipitation=[None] * 96, temperature_2m=[None] * 96, wind_speed_10m=[None] * 96)
    server.expect_request(FORECAST).respond_with_json(unknown)
    found, [told] = await seconds(asking(**weather))
    assert (found, told.factor) == (free, 1.0)
    later, _ = await seconds(asking(**weather), at=now() + datetime.timedelta(days=30))
    assert later == free


async def test_a_shards_estimates_hear_of_both_around_their_stops(server, weather, flow, tmp_path):
    server.expect_request(FORECAST).respond_with_json(a_forecast(rain=1.5))
    server.expect_request(SEGMENT).respond_with_json(a_segment())
    plan = np.zeros(2, AHEAD)
    plan["lat"], plan["lon"] = 41.15, (-8.61, -8.612)
    etas = ShardMemory().etas
    conditions = conditions_of(TravelSettings(**weather, **flow), tmp_path)
    watch = ConditionWatch(conditions, etas)
    await watch.look()
    assert (etas.conditions.weather, len(server.log)) == ({}, 0)  # nobody is under way
    etas.table.plans[1] = plan
    await watch.look()
    await conditions.close()
    moments_s = np.full(2, time.time())
    assert etas.conditions.weather_at(plan["lat"], plan["lon"], moments_s)[0].tolist() == [1.5, 1.5]
    assert etas.conditions.flow_at(plan["lat"], plan["lon"]).tolist() == [1.8, 1.8]
    assert len(server.log) == 2


@pytest.mark.parametrize("url", ["ftp://x/{latitude}{longitude}", "https://x/?point={latitude}", "nonsense"])
def test_a_url_without_a_place_in_it_is_refused_at_start(url):
    with pytest.raises(ValidationError, match="FLOW_URL"):
        TravelSettings(flow_url=SecretStr(url))
