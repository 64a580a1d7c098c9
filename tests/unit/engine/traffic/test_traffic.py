"""From the fleet's fixes to ways in traffic: learned, published, taken up, and kept over a restart."""

import datetime
from concurrent.futures import ThreadPoolExecutor
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.eta.bases import PROFILES, Ends, RoadBases
from engine.roads.states import TrafficState, read_state, write_arrays, write_state
from engine.traffic.learner import TrafficLearner
from engine.traffic.tracks import RecentTracks
from engine.traffic.weigher import TrafficFile, TrafficWeigher, bands_of
from engine.travel.answers import Journey
from models.errors import BadSettings
from models.messages.fixes import DEGREE, STORED, Outcome
from tests.roads import grid_town

pytestmark = pytest.mark.timeout(400)  # the first run compiles the rules of roads

NOW = datetime.datetime(2026, 3, 3, 8, 30, tzinfo=datetime.UTC)  # a Tuesday
ZONE = ZoneInfo("UTC")
AT_ONCE = datetime.timedelta()


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    made = grid_town(size=8, block_m=300.0)
    return made, made.network(tmp_path_factory.mktemp("traffic"))


def some_fixes(number, seconds, lat, lon, outcome=Outcome.LIVE):
    stored = np.zeros(len(seconds), STORED)
    stored["driver"], stored["outcome"] = number, outcome
    stored["time"] = np.round(np.asarray(seconds) * 1000).astype(np.int64)
    stored["lat"], stored["lon"] = np.rint(np.asarray(lat) * DEGREE), np.rint(np.asarray(lon) * DEGREE)
    return stored


def a_drive(network, number, origin, destination, times_slower, ends_s):
    leg = network.leg(origin, destination, "van")
    seconds = np.append(np.arange(0, leg.duration_s, 2.0), leg.duration_s)
    lat, lon = (np.interp(seconds, leg.seconds, line) for line in (leg.latitudes, leg.longitudes))
    return some_fixes(number, ends_s - (leg.duration_s - seconds) * times_slower, lat, lon)


def a_jam(town, learner, drives=12, slower=4.0):
    """Let vans drive the southern street in a jam, as they come in: twenty seconds a look."""
    grid, network = town
    ends = grid.at(1, east=20), grid.at(8, east=-20)
    now_s = NOW.timestamp()
    fixes = np.concatenate([a_drive(network, number, *ends, slower, now_s) for number in range(1, drives)])
    steps = 0
    for upto in np.arange(fixes["time"].min() / 1000, now_s + 21, 20):
        part = fixes[(fixes["time"] / 1000 >= upto - 20) & (fixes["time"] / 1000 < upto)]
        steps += learner.take(part, upto).steps
    return ends, steps


def test_a_fleet_in_a_jam_makes_plans_and_estimates_longer_until_it_fades(town, tmp_path):
    _, network = town
    learner = TrafficLearner(network, ZONE)
    ends, steps = a_jam(town, learner)
    assert steps > 100
    file = tmp_path / "traffic" / "roads.state"
    write_state(file, learner.state())
    weigher = TrafficWeigher(TrafficFile(file), ZONE)
    free = network.leg(*ends, "van").duration_s

    def takes(at, profile="van"):
        weighed = weigher(network, Journey(profile, at))
        return network.leg(*ends, weights=weighed.weights).duration_s / free, weighed.traffic

    jammed, traffic = takes(NOW)
    assert jammed > 2.0
    assert abs((traffic - NOW).total_seconds()) < 30
    assert takes(NOW + datetime.timedelta(hours=3))[0] < jammed - 0.5  # another hour, and the jam is over
    assert weigher(network, Journey("bike", NOW)) == (network.free_flow("bike"), None)  # it passes by
    weights = {"van": weigher(network, Journey("van", NOW)).weights}
    base = RoadBases(network, weights, learner.state().at_s)
    places = (np.array([axis]) for place in ends for axis in place)
    asked = Ends(*places, np.array([PROFILES.index("van")], np.uint8))
    [ratio] = base.between(asked, traffic_of=np.array([True])).traffic
    assert ratio == pytest.approx(jammed, rel=0.02)


def test_what_was_learned_survives_a_restart_and_nothing_of_another_map(town, tmp_path):
    _, network = town
    learner = TrafficLearner(network, ZONE)
    a_jam(town, learner)
    learner.save(tmp_path / "roads.ledger")
    again = TrafficLearner(network, ZONE)
    again.resume(tmp_path / "roads.ledger")
    for name in ("driven", "by_class", "usual", "now", "at_s"):
        assert np.array_equal(getattr(again.state(), name), getattr(learner.state(), name))
    assert again.until_s == learner.until_s > NOW.timestamp()
    (tmp_path / "other").mkdir()
    other = TrafficLearner(grid_town(size=3).network(tmp_path / "other"), ZONE)
    other.resume(tmp_path / "roads.ledger")
    assert other.arcs == 0


def test_a_state_cut_short_or_of_another_map_changes_nothing(town, tmp_path):
    _, network = town
    file = tmp_path / "roads.state"
    follower = TrafficFile(file)
    assert follower.state(network) is None
    arcs, classes = network.arc_count, int(network.classes.max()) + 1
    state = TrafficState("another", 1.0, np.zeros(0, np.int64), np.ones((48, classes)), np.ones((48, 0)), np.ones(arcs))
    write_state(file, state)
    assert TrafficFile(file).state(network) is None
    whole = file.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"nothing"):
        file.write_bytes(damaged)
        with pytest.raises(BadSettings):
            read_state(file)
        assert TrafficFile(file).state(network) is None


def test_each_step_is_in_one_track_and_noise_and_old_fixes_in_none():
    tracks, now_s = RecentTracks(), NOW.timestamp()
    seconds = now_s - 60 + np.arange(0, 60, 5.0)
    lat = 41.0 + np.arange(12) * 1e-4
    fixes = some_fixes(7, seconds, lat, np.full(12, -8.0))
    noise = some_fixes(7, seconds + 1, lat + 1, np.full(12, -8.0), Outcome.FILTERED)
    old = some_fixes(9, seconds - 7200, lat, np.full(12, -8.0))
    first = tracks.take(np.concatenate([fixes[:7], noise, old])[::-1], now_s)
    second = tracks.take(fixes[7:], now_s)
    assert first[3].tolist() == [0, 3]  # 0, 15, 30 s
    assert second[3].tolist() == [0, 2]
    assert second[2][0] == first[2][-1]
    assert (np.diff(first[2]) >= 12).all()
    assert first[0].max() < 42
    assert all(column.flags.c_contiguous for column in first), "rules would be compiled anew for others"


def test_a_phone_that_sleeps_at_doors_is_no_jam(town):
    """A round at free flow with a parcel each minute: fixes while driving, none during two minutes at the door."""
    grid, network = town
    learner, now_s = TrafficLearner(network, ZONE), NOW.timestamp()
    drive = a_drive(network, 1, grid.at(1, east=20), grid.at(8, east=-20), 1.0, now_s)
    driven_s = drive["time"] - drive["time"][0]
    doors = driven_s // 60_000  # made so far
    rounds = []
    for number in range(1, 15):
        one = drive.copy()
        one["driver"] = number
        one["time"] = (now_s - 1200) * 1000 + driven_s + doors * 120_000
        rounds.append(one)
    assert learner.take(np.concatenate(rounds), now_s).steps > 50
    way = network.leg(grid.at(1, east=20), grid.at(8, east=-20), "van").arcs
    state = learner.state()
    assert state.now[way].max() < 2.0
    assert np.median(state.now[way]) < 1.4


def test_plans_and_estimates_of_all_vehicles_ask_in_turn_and_each_roads_are_made_once(town, tmp_path):
    _, network = town
    learner = TrafficLearner(network, ZONE)
    a_jam(town, learner, drives=3)
    write_state(tmp_path / "roads.state", learner.state())
    weigher = TrafficWeigher(TrafficFile(tmp_path / "roads.state"), ZONE)
    asked = [(name, lasts) for lasts in (AT_ONCE, datetime.timedelta(hours=8)) for name in ("van", "car", "truck")]
    first = [weigher(network, Journey(name, NOW, lasts)).weights for name, lasts in asked]
    again = [weigher(network, Journey(name, NOW, lasts)).weights for name, lasts in asked]
    assert all(one is other for one, other in zip(first, again, strict=True))


def test_a_ledger_and_a_state_are_saved_at_once(town, tmp_path):
    _, network = town
    learner = TrafficLearner(network, ZONE)
    a_jam(town, learner, drives=3)
    state, ledger = tmp_path / "roads.state", tmp_path / "roads.ledger"

    def save_again_and_again(save):
        for _ in range(40):
            save()

    with ThreadPoolExecutor(2) as threads:
        made = learner.state()
        saves = [lambda: write_state(state, made), lambda: learner.save(ledger)]
        list(threads.map(save_again_and_again, saves))
    assert read_state(state).network == network.mark
    again = TrafficLearner(network, ZONE)
    again.resume(ledger)
    assert again.arcs == learner.arcs > 0


def test_a_ledger_that_lacks_something_begins_anew(town, tmp_path):
    _, network = town
    write_arrays(tmp_path / "roads.ledger", {"network": np.array(network.mark), "driven": np.arange(3)})
    learner = TrafficLearner(network, ZONE)
    learner.resume(tmp_path / "roads.ledger")
    assert (learner.arcs, learner.until_s) == (0, 0.0)


def test_a_day_is_the_mean_of_its_hours():
    friday = datetime.datetime(2026, 3, 6, 22, tzinfo=datetime.UTC)
    assert bands_of(friday, datetime.timedelta(hours=4), ZONE) == {22: 0.25, 23: 0.25, 24: 0.25, 25: 0.25}
    assert bands_of(friday, AT_ONCE, ZONE) == {22: 1.0}
