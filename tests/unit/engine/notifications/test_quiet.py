"""Quiet hours by the clock on the wall, over midnight and when the clocks change."""

import datetime
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.notifications.quiet import quiet_until
from models.documents.tenant import QuietHours

NIGHT = QuietHours(start="21:00", end="08:00")
ZONES = ("Europe/Lisbon", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe", "UTC")


def at(text, zone="UTC"):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ("2026-07-01T20:59", None),
        ("2026-07-01T21:00", "2026-07-02T08:00"),
        ("2026-07-02T07:59", "2026-07-02T08:00"),
        ("2026-07-02T08:00", None),
    ],
)
def test_a_night_passes_midnight(moment, until):
    expected = None if until is None else at(until, "Europe/Berlin")
    assert quiet_until(at(moment, "Europe/Berlin"), NIGHT, "Europe/Berlin") == expected


def test_without_quiet_hours_nothing_waits():
    assert quiet_until(at("2026-07-01T03:00"), None, "UTC") is None


FROM, TO = datetime.datetime.fromisoformat("2024-01-01"), datetime.datetime.fromisoformat("2028-01-01")
TIMES = st.times().map(lambda time: time.strftime("%H:%M"))


@given(
    moment=st.datetimes(timezones=st.just(UTC), min_value=FROM, max_value=TO),
    start=TIMES,
    end=TIMES,
    zone=st.sampled_from(ZONES),
)
@example(moment=at("2026-10-25T01:10"), start="23:00", end="02:30", zone="Europe/Berlin")
@example(moment=at("2026-03-29T00:10"), start="23:00", end="02:30", zone="Europe/Berlin")
def test_what_waits_goes_out_later_within_a_day_and_does_not_wait_again(moment, start, end, zone):
    if start == end:
        return
    hours = QuietHours(start=start, end=end)
    until = quiet_until(moment, hours, zone)
    if until is not None:
        assert moment < until <= moment + datetime.timedelta(hours=25)
        again = quiet_until(until, hours, zone)
        # where the clock is put back into the quiet hours they come twice
        assert again is None or again <= until + datetime.timedelta(hours=1)
