"""The demo's fleet catches up with the clock, and never runs ahead of it."""

import time

import pytest

from outrider.demo.clock import FleetClock


def now_ms():
    return time.time() * 1000


def a_clock(behind_s, speed):
    clock = FleetClock(round(now_ms() - behind_s * 1000), speed)
    clock.start()
    return clock


async def test_a_fleet_that_is_behind_hurries_until_it_has_caught_up_and_then_lives_by_the_clock():
    clock = a_clock(behind_s=9.0, speed=100.0)
    seen = [clock.now_ms()]
    for seconds in (2.0, 5.0, 9.3):
        await clock.until(clock.begins_ms + seconds * 1000)
        seen.append(clock.now_ms())
    assert seen == sorted(seen)
    assert clock.behind_s == 0.0
    assert clock.now_ms() == pytest.approx(now_ms(), abs=1000)


async def test_no_instant_of_the_fleet_lies_in_the_future():
    clock = a_clock(behind_s=0.5, speed=60.0)
    while clock.behind_s > 0:
        await clock.until(clock.now_ms() + 50)
        assert clock.now_ms() <= now_ms() + 20


async def test_whoever_waits_for_the_hurry_to_end_goes_on_when_it_has():
    clock = a_clock(behind_s=5.0, speed=51.0)
    await clock.caught_up()
    assert clock.behind_s == 0.0


async def test_a_day_that_begins_later_is_waited_for():
    clock = a_clock(behind_s=-0.5, speed=20.0)
    assert clock.now_ms() == clock.begins_ms
    await clock.until(clock.begins_ms + 20)
    assert clock.now_ms() == pytest.approx(now_ms(), abs=100)
