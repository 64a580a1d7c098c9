"""Local days: their bounds, their periods, and the buckets that cover a range of them."""

import datetime
import itertools
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analytics.days import Days, covering, day_starts_ms, local_day, periods

HOUR_MS = 3_600_000
DATES = st.dates(datetime.date(2019, 1, 1), datetime.date(2030, 12, 31))
RANGES = st.tuples(DATES, DATES).map(lambda ends: Days(min(ends), max(ends)))
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/Havana", "Africa/Cairo", "Asia/Kathmandu", "Australia/Lord_Howe", "Asia/Beirut"]
)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-25", 24)])
def test_a_day_is_as_long_as_its_clock_says(day, hours):
    start_ms, end_ms = day_starts_ms(day, ZoneInfo("Europe/Berlin"))
    assert end_ms - start_ms == hours * HOUR_MS


def test_a_day_whose_midnight_is_skipped_begins_when_clocks_move():
    start_ms, _ = day_starts_ms("2026-03-08", ZoneInfo("America/Havana"))  # 00:00 becomes 01:00
    assert datetime.datetime.fromtimestamp(start_ms / 1000, ZoneInfo("America/Havana")).hour == 1


@given(day=DATES, zone=ZONES)
def test_an_instant_lies_in_a_day_exactly_from_its_start_to_that_of_the_next(day, zone):
    zone = ZoneInfo(zone)
    start_ms, end_ms = day_starts_ms(day.isoformat(), zone)
    for instant_ms, is_inside in ((start_ms - 1, False), (start_ms, True), (end_ms - 1, True), (end_ms, False)):
        moment = datetime.datetime.fromtimestamp(instant_ms / 1000, datetime.UTC)
        assert (local_day(moment, zone) == day.isoformat()) is is_inside


def test_the_first_and_the_last_day_of_the_calendar_are_days_too():
    last = datetime.datetime.max.replace(tzinfo=datetime.UTC)
    assert local_day(last, ZoneInfo("Asia/Kathmandu")) == "9999-12-31"


@given(days=RANGES)
def test_a_range_is_covered_day_by_day_once(days):
    covered = []
    for first, last in covering(days):
        if first.startswith("M"):
            begin, end = datetime.date.fromisoformat(f"{first[1:]}-01"), datetime.date.fromisoformat(f"{last[1:]}-01")
            last_day = (end.replace(day=28) + datetime.timedelta(days=4)).replace(day=1) - datetime.timedelta(days=1)
        else:
            begin, last_day = datetime.date.fromisoformat(first), datetime.date.fromisoformat(last)
        covered += [begin + datetime.timedelta(days=n) for n in range((last_day - begin).days + 1)]
    assert sorted(covered) == [days.first + datetime.timedelta(days=n) for n in range(days.count)]
    assert sum(1 for first, _ in covering(days) if not first.startswith("M")) <= 2


@given(days=RANGES, grain=st.sampled_from(["day", "week", "month"]))
def test_periods_follow_one_another_without_a_gap(days, grain):
    found = periods(days, grain)
    assert (found[0].days.first, found[-1].days.last) == (days.first, days.last)
    for before, after in itertools.pairwise(found):
        assert after.days.first - before.days.last == datetime.timedelta(days=1)
    assert len({period.name for period in found}) == len(found)


def test_weeks_are_those_of_iso_8601():
    days = Days(datetime.date(2026, 12, 30), datetime.date(2027, 1, 5))
    assert [period.name for period in periods(days, "week")] == ["2026-W53", "2027-W01"]
