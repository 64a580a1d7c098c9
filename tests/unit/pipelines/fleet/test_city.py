"""A simulated city keeps its rules: time runs forward, the same seed is the same city, traffic follows the clock."""

import dataclasses
import datetime
import itertools
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from bench.city import score_arrivals
from bench.city_etas import departures_of, eta_figures, late_figures, past_of, promise_figures
from bench.city_replay import CityReplay, delivery_of
from engine.eta.bases import GREAT_CIRCLE, GreatCircles
from engine.eta.predictor import ColdStart
from outrider.traces import read_trace
from pipelines.fleet.doorsteps import Doorsteps
from pipelines.fleet.drive import drive
from pipelines.fleet.files import legs_table, write_trace
from pipelines.fleet.gps import Phone, record
from pipelines.fleet.past_legs import past_legs
from pipelines.fleet.rounds import order_stops, share_out
from pipelines.fleet.seen_legs import seen_legs
from pipelines.fleet.simulate import City, Fleet, simulate_days
from pipelines.fleet.straight_city import StraightWays
from pipelines.fleet.traffic import Traffic

BOX = (41.10, -8.72, 41.22, -8.52)
DEPOT = (41.17, -8.60)
LISBON = ZoneInfo("Europe/Lisbon")
MONDAY = datetime.date(2026, 3, 2)


def city(seed: int = 1) -> City:
    rng = np.random.default_rng(seed)
    doorsteps = Doorsteps.simulate(rng, rng.uniform(BOX[0], BOX[2], 2000), rng.uniform(BOX[1], BOX[3], 2000))
    return City(StraightWays(), doorsteps, DEPOT, BOX, LISBON)


def simulated(days: int = 1, vans: int = 4, gps: frozenset[int] = frozenset(), seed: int = 1):
    fleet = Fleet(vans=vans, stops_per_van=30, first_day=MONDAY, days=days, gps_days=gps)
    return list(simulate_days(np.random.default_rng(seed), city(), fleet))


def test_the_same_seed_is_the_same_city():
    first, again, other = simulated(seed=3), simulated(seed=3), simulated(seed=4)
    assert first[0].legs == again[0].legs
    assert first[0].legs != other[0].legs


def test_a_van_is_in_one_place_at_a_time():
    for van in range(4):
        legs = [leg for leg in simulated()[0].legs if leg.van == van]
        assert [leg.stop for leg in legs] == list(range(len(legs)))
        for before, after in itertools.pairwise(legs):
            assert before.departed_ms < before.arrived_ms < before.served_ms < after.departed_ms
        for leg in legs:
            assert leg.served_ms > leg.window_begins_ms
            assert leg.arrived_ms - leg.departed_ms > 1000 * leg.base_s  # nobody is faster than free flow


def test_as_history_legs_say_how_long_stops_took_without_the_waiting_for_their_windows():
    legs = [
        dataclasses.replace(
            seen,
            leg=dataclasses.replace(
                seen.leg,
                window_begins_ms=(seen.leg.arrived_ms + seen.leg.served_ms) // 2 if seen.leg.stop % 3 == 0 else 0,
            ),
        )
        for day in simulated(days=3, gps=frozenset(range(3)))
        for seen in seen_legs(day)
    ]
    trips = past_legs(legs, "Europe/Lisbon", "acme", lambda van: f"drv_{van}")
    truth = {(f"drv_{seen.leg.van}", seen.began_ms): seen for seen in legs}
    read = trips.legs
    known = np.flatnonzero(np.isfinite(read["service_s"]))
    assert len(known) > len(trips) / 2
    assert set(read["company"].astype(str)) == {"acme"}
    more_s = []
    for row in known.tolist():
        seen = truth[str(read["driver"][row]), int(read["moment_ms"][row])]
        served_s = (seen.leg.served_ms - max(seen.arrived_ms, seen.leg.window_begins_ms)) / 1000
        more_s.append(read["service_s"][row] - served_s)
    assert min(more_s) >= 0
    assert np.quantile(more_s, 0.95) < 180  # until the van is on the road again, but for who goes on next door on foot


def test_as_history_legs_are_what_a_shard_puts_down():
    [day] = simulated(vans=2, gps=frozenset({0}))
    replay = CityReplay(ColdStart(), GreatCircles(), 2, str(LISBON))
    assert list(replay.drive(day.legs, day.tracks))[-1] == 1.0
    seen = {delivery_of(one.leg): one for one in seen_legs(day)}
    both = seen.keys() & replay.said.finishes.keys()
    assert len(both) > 0.9 * len(replay.said.finishes)
    for delivery in both:
        assert replay.said.finishes[delivery].finished_ms == seen[delivery].arrived_ms
    read = past_legs([seen[name] for name in sorted(both)], "Europe/Lisbon", "acme", base=GreatCircles()).legs
    assert set(read["base_of"].tolist()) == {GREAT_CIRCLE}
    put_down = {finish.finished_ms: finish for finish in (replay.said.finishes[name] for name in both)}
    ended_ms = read["moment_ms"] + np.rint(read["duration_s"] * 1000).astype(np.int64)
    finishes = [put_down[at_ms] for at_ms in ended_ms.tolist()]
    # a shard looks at a van that stands every few seconds only
    off_s = read["duration_s"] - np.array([finish.actual_s for finish in finishes])
    assert np.median(np.abs(off_s)) <= 5
    base_s = np.array([finish.base_s for finish in finishes])
    assert np.median(np.abs(read["base_s"] / base_s - 1)) < 0.01


def test_nobody_works_on_sundays_and_holidays():
    fleet = Fleet(vans=1, stops_per_van=5, first_day=datetime.date(2026, 3, 30), days=8)
    worked = [day.number for day in simulate_days(np.random.default_rng(1), city(), fleet)]
    assert worked == [0, 1, 2, 3, 5, 7]  # Good Friday and Easter Sunday


def test_the_rush_hour_is_slow_and_the_night_is_not():
    traffic = Traffic.simulate(np.random.default_rng(1), MONDAY, 14, BOX, LISBON)
    hours = {
        hour: np.mean([traffic.factor(*DEPOT, (day * 24 + hour) * 3600 + 1800) for day in range(5)])
        for hour in (3, 9, 18)
    }
    assert hours[9] > 1.4 * hours[3]
    assert hours[18] > 1.4 * hours[3]
    sunday = np.mean([traffic.factor(*DEPOT, ((day * 7 + 6) * 24 + 9) * 3600) for day in range(2)])
    assert sunday < hours[9]


def test_local_time_jumps_with_the_clocks():
    traffic = Traffic.simulate(np.random.default_rng(1), datetime.date(2026, 3, 28), 3, BOX, LISBON)
    assert traffic.local(24 * 3600 + 2 * 3600).isoformat() == "2026-03-29T03:00:00+01:00"


def test_a_slow_driver_takes_longer_on_the_same_way():
    traffic = Traffic.simulate(np.random.default_rng(1), MONDAY, 1, BOX, LISBON)
    way = StraightWays().way(DEPOT, (41.12, -8.66))
    quick, slow = (drive(np.random.default_rng(5), way, 30_000.0, traffic, pace).arrival_s for pace in (0.9, 1.2))
    assert slow > quick
    times = drive(np.random.default_rng(5), way, 30_000.0, traffic, 1.0).at_s
    assert (np.diff(times) >= 0).all()


def test_a_light_is_waited_at_on_the_way_and_not_at_the_kerb():
    traffic = Traffic.simulate(np.random.default_rng(1), MONDAY, 1, BOX, LISBON)
    way = StraightWays().way(DEPOT, (41.12, -8.66))
    for seed in range(20):
        driven = drive(np.random.default_rng(seed), way, 30_000.0, traffic, 1.0)
        metres, waited_s = np.diff(driven.way.metres), np.diff(driven.at_s)
        lights = (metres == 0) & (waited_s > 0)
        assert driven.way.seconds[-1] == way.seconds[-1]
        assert (np.diff(driven.at_s) >= 0).all()
        assert waited_s[lights].max(initial=0.0) <= 50.0
        assert driven.way.metres[:-1][lights].max(initial=0.0) <= way.metres[-1] - 15.0


def test_what_happens_in_a_dead_zone_is_told_after_it():
    phone = Phone(silences_a_day=0.0, dead_zones_a_day=1e3, repeats=0.0)
    path = np.arange(3) * 600.0, np.full(3, DEPOT[0]), np.full(3, DEPOT[1])
    for dead in (phone, dataclasses.replace(phone, dead_zones_a_day=0.0)):
        track = record(np.random.default_rng(1), *path, dead, 0)
        at_ms = int(track.fixes["time"][len(track.fixes) // 2]) + 1
        last = track.sent_ms[track.fixes["time"] <= at_ms].max()
        assert track.told_ms(at_ms) == max(at_ms, last)
        assert (track.told_ms(at_ms) > at_ms) == (dead is phone)


def test_every_order_is_in_one_round():
    rng = np.random.default_rng(2)
    latitude, longitude = rng.uniform(BOX[0], BOX[2], 101), rng.uniform(BOX[1], BOX[3], 101)
    pieces = share_out(latitude, longitude, 7)
    assert sorted(np.concatenate(pieces).tolist()) == list(range(101))
    assert max(map(len, pieces)) - min(map(len, pieces)) <= 4
    tour = order_stops(latitude[pieces[0]], longitude[pieces[0]], DEPOT)
    assert sorted(tour.tolist()) == list(range(len(pieces[0])))


def test_the_engine_finds_the_arrivals_of_the_phones_traces():
    [day] = simulated(gps=frozenset({0}))
    vans = [([leg for leg in day.legs if leg.van == van], track) for van, track in day.tracks.items()]
    ours, _ = score_arrivals(vans)
    assert ours.right + ours.missed == len(day.legs)
    assert ours.f1 > 0.95


def test_a_trace_is_what_the_phones_sent(tmp_path):
    phone = Phone(dead_zones_a_day=3.0)
    fleet = Fleet(vans=2, stops_per_van=10, first_day=MONDAY, days=1, gps_days=frozenset({0}), phone=phone)
    [day] = simulate_days(np.random.default_rng(1), city(), fleet)
    trace = read_trace(write_trace(day.tracks, 0, tmp_path))
    assert sorted(trace.vehicles) == ["van 001", "van 002"]
    assert len(trace.fixes) == sum(len(track.fixes) for track in day.tracks.values())
    waited_ms = [track.sent_ms - track.fixes["time"] for track in day.tracks.values()]
    assert min(int(waits.min()) for waits in waited_ms) == 0
    assert max(int(waits.max()) for waits in waited_ms) > 60_000
    assert all((np.diff(track.sent_ms) >= 0).all() for track in day.tracks.values())


def test_legs_are_written_as_the_pipeline_reads_them():
    table = legs_table(simulated()[0].legs, "Europe/Lisbon")
    assert table["moment_ms"].to_pylist() == sorted(table["moment_ms"].to_pylist())
    assert min(table["duration_s"].to_pylist()) > 0
    assert min(table["service_s"].to_pylist()) > 0
    assert set(table["driver"].to_pylist()) == {f"van {number:03d}" for number in range(1, 5)}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_repeats_change_nothing_for_the_engine(share):
    fleet = Fleet(
        vans=1,
        stops_per_van=8,
        first_day=MONDAY,
        days=1,
        gps_days=frozenset({0}),
        phone=Phone(repeats=share, silences_a_day=0.0, dead_zones_a_day=0.0),
    )
    [day] = simulate_days(np.random.default_rng(1), city(), fleet)
    ours, _ = score_arrivals([(day.legs, day.tracks[0])])
    assert ours.f1 > 0.85


def test_a_shard_estimates_the_days_of_the_city_at_their_own_time():
    (history, day) = simulated(days=2, vans=2, gps=frozenset({0, 1}))
    replay = CityReplay(ColdStart(), GreatCircles(), 2, str(LISBON))
    assert list(replay.drive(day.legs, day.tracks))[-1] == 1.0

    found = departures_of(replay.said, day.legs)
    figures = (
        eta_figures(found, past_of(list(seen_legs(history)), "Europe/Lisbon", GreatCircles()))
        | promise_figures(replay.said)
        | late_figures(replay.said, day.legs)
    )
    assert figures["departures"] > 0.8 * len(day.legs)
    assert figures["promises"] >= figures["departures"]
    assert np.all(np.diff(found.said_s, axis=1) >= 0)
    assert figures["eta_mae_s"] < 200
    assert 0.0 < figures["coverage_80"] < 1.0
    assert set(replay.said.late) <= {f"dlv_{leg.day}_{leg.van}_{leg.stop}" for leg in day.legs if leg.window_ends_ms}
