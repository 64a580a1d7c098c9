"""Base times of live estimates: by the roads where there are some, and never those that a model was not trained on."""

import numpy as np
import pytest

from engine.eta.bases import GREAT_CIRCLE, PROFILES, ROADS, Ends, GreatCircles, RoadBases
from engine.eta.bundles import BundlePredictor
from engine.eta.estimator import Estimator, Models
from engine.eta.legs_ahead import LegsAhead
from engine.eta.predictor import ANY_BASE, COLD_START, OWN_BASE, ColdStart, digest_of
from engine.roads.barriers import Barrier
from engine.roads.pinned import Journeys
from models.eta.base_time import BASES
from models.eta.features import leg_features
from tests.legs import a_bundle, some_legs
from tests.roads import grid_town

pytestmark = pytest.mark.timeout(400)  # the first run compiles the rules of roads

VAN = PROFILES.index("van")


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    made = grid_town(size=6)
    return made, made.network(tmp_path_factory.mktemp("bases"))


def between(base, pairs):
    ends = np.array(pairs).reshape(-1, 4).T
    return base.between(Ends(*ends, np.full(len(pairs), VAN, np.uint8)))


def test_ways_are_those_of_the_roads_and_elsewhere_of_the_great_circle(town):
    grid, network = town
    here, there, corner = grid.at(1, east=50), grid.at(3, east=50), grid.at(55, east=-50)
    pairs = [(here, corner), (here, (2.0, 2.0)), (here, here), (here, grid.at(1, east=60)), (there, here)]
    found = between(RoadBases(network), pairs)
    straight = between(GreatCircles(), pairs)
    assert found.source.tolist() == [ROADS, GREAT_CIRCLE, GREAT_CIRCLE, GREAT_CIRCLE, ROADS]
    leg = network.leg(here, corner, "van")
    assert found.metres[0] == pytest.approx(leg.distance_m, abs=0.2)
    assert found.seconds[0] == pytest.approx(leg.duration_s, abs=0.01)
    assert found.seconds[1] == straight.seconds[1]
    assert found.seconds[2:4].tolist() == [0.0, 0.0]  # two addresses of one house are no way


@pytest.mark.parametrize("is_to_pinned", [True, False])
def test_base_times_of_a_driver_under_way_are_those_of_anybody_there(town, is_to_pinned):
    """Also around a closure that comes and goes on the way, and in traffic that comes later."""
    grid, network = town
    slow = {"van": network.weights("van", np.linspace(1, 3, network.arc_count))}
    closed = Barrier("polygon", tuple(grid.at(23, east, north) for east, north in ((-9, -9), (-9, 9), (9, 9), (9, -9))))
    free = RoadBases(network)
    for step, base in enumerate((free, free, free.in_traffic(slow, 1.0), free)):
        here, other = grid.at(21, east=20 + 30 * step, north=3), grid.at(25)
        ends = [(*here, *other)] * 2 if is_to_pinned else [(*other, *here)] * 2
        ways = Ends(*np.transpose(ends), np.full(2, VAN, np.uint8))
        asked = {"traffic_of": np.ones(2, np.bool_), "barriers": {(closed,): np.array([False, step in (1, 2)])}}
        found = base.between(ways, **asked, journeys=Journeys(np.array([3, 7]), is_to_pinned))
        for mine, anybody in zip(found, base.between(ways, **asked), strict=True):
            assert np.array_equal(mine, anybody, equal_nan=True)
        assert (found.seconds[1] > found.seconds[0]) == (step in (1, 2))


def a_model(base, seed=1):
    bundle = a_bundle(seed=seed)
    model = BundlePredictor("one", bundle)
    model.base = base
    return model


def some_ahead(base_of, rows=12):
    legs = {name: column for name, column in some_legs(rows).items() if name not in ("duration_s", "vehicle")}
    legs |= {"elapsed_s": np.zeros(rows), "driven_ratio": np.full(rows, np.nan)}
    legs |= {"profile": np.full(rows, VAN, np.uint8), "base_of": np.asarray(base_of, np.uint8)}
    legs |= {"base_s": np.full(rows, 300.0), "base_m": np.full(rows, 2500.0)}
    legs |= {"straight_s": np.full(rows, 600.0), "straight_m": np.full(rows, 5000.0), "straight_ratio": np.ones(rows)}
    return LegsAhead(legs, np.zeros(rows, np.uint32), np.arange(rows, dtype=np.uint32))


def said_by(model, ahead):
    estimator = Estimator(lambda _: "ten_a", lambda _: "Europe/Lisbon")
    estimator.models = Models(champion=model)
    estimator.corrections.begin(model.version, None)
    return estimator.say(ahead)


def test_a_model_of_roads_is_not_asked_about_legs_without_a_road():
    base_of = np.array([ROADS, GREAT_CIRCLE] * 6)
    ahead = some_ahead(base_of)
    said = said_by(a_model(BASES[ROADS]), ahead)
    foreign = base_of == GREAT_CIRCLE
    assert (said.stood_in == foreign).all()
    assert said.confidence[foreign].max() == 0
    assert set(said.model[foreign].tolist()) == {digest_of(COLD_START)}
    assert said.model[0] == digest_of("one")
    vehicles = np.array(PROFILES, dtype=object)[ahead.legs["profile"]]
    zoned = {**ahead.legs, "zone": np.asarray("Europe/Lisbon"), "vehicle": vehicles}
    assert said.said[foreign] == pytest.approx(ColdStart().predict(zoned)[foreign])
    assert said.said[~foreign] == pytest.approx(a_model(BASES[ROADS]).predict(zoned)[~foreign])


def test_the_next_door_is_nobodys_foreign_way():
    ahead = some_ahead([ROADS] * 11 + [GREAT_CIRCLE])
    ahead.legs["base_s"][-1] = ahead.legs["straight_s"][-1] = 0.0
    assert not said_by(a_model(BASES[ROADS]), ahead).stood_in.any()


def test_a_model_of_the_great_circle_gets_the_great_circle_while_roads_are_there():
    ahead = some_ahead([ROADS] * 12)
    said = said_by(a_model(BASES[GREAT_CIRCLE]), ahead)
    straight = {**ahead.legs, "base_s": ahead.legs["straight_s"], "base_m": ahead.legs["straight_m"]}
    straight |= {"driven_ratio": ahead.legs["straight_ratio"], "zone": np.asarray("Europe/Lisbon")}
    straight["vehicle"] = np.array(PROFILES, dtype=object)[ahead.legs["profile"]]
    bundle = a_bundle()
    matrix = leg_features(straight, bundle.spec)
    assert matrix[0, bundle.spec.names.index("base_s")] == 600.0
    assert said.raw == pytest.approx(a_model("x").bundle.predict(straight), rel=1e-6)
    assert not said.stood_in.any()


def test_a_model_of_nobody_knows_whose_base_times_is_never_trusted():
    said = said_by(a_model(ANY_BASE), some_ahead([ROADS] * 12))
    assert said.confidence.max() == 0
    assert said_by(a_model(OWN_BASE), some_ahead([ROADS] * 12)).said.shape == (12, 3)


def test_without_a_model_free_roads_take_as_long_as_at_that_hour():
    hour = 3_600_000
    night, rush = 1_780_272_000_000 + 2 * hour, 1_780_272_000_000 + 8 * hour  # Monday, 3 and 9 o'clock in Lisbon
    legs = {
        "moment_ms": np.array([night, rush, rush, rush]),
        "base_s": np.full(4, 600.0),
        "base_of": np.array([ROADS, ROADS, ROADS, GREAT_CIRCLE], np.uint8),
        "profile": np.full(4, VAN, np.uint8),
        "traffic_ratio": np.array([np.nan, np.nan, 3.0, np.nan]),
        "zone": np.asarray("Europe/Lisbon"),
    }
    middle = ColdStart().predict(legs)[:, 1]
    assert 600 < middle[0] < middle[1] < middle[2]
    assert middle[3] == 600.0


@pytest.mark.parametrize("source", [ROADS, GREAT_CIRCLE])
def test_the_range_without_a_model_lets_short_ways_end_soon_and_long_ones_not(source):
    """Whoever is near is often there in less than what a leg usually costs however short it is."""
    base_s = np.array([20.0, 60.0, 300.0, 3600.0])
    monday_at_noon = np.full(4, 1_750_075_200_000)
    legs = {"base_s": base_s, "base_of": np.full(4, source), "profile": np.full(4, VAN), "moment_ms": monday_at_noon}
    low, middle, high = ColdStart().predict(legs).T
    assert ((low > 0) & (low < middle) & (middle < high)).all()
    assert low[1] < 0.5 * middle[1]
    assert low[3] > 0.6 * middle[3]
    assert (np.diff(low / middle) >= 0).all()
