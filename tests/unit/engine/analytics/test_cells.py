"""What one delivery adds to the figures, and how corrections find the right buckets."""

import datetime
from collections import Counter
from zoneinfo import ZoneInfo

from hypothesis import given

from engine.analytics.cells import cells_of_delivery, cells_of_trips, days_of_trips
from engine.analytics.figures import figures_of
from engine.analytics.sums import difference, spread
from models.documents.analytics import BucketKey, Cell, DayOfDriver, DeliveryStory, Step, TripSpan
from models.documents.delivery import Status
from tests.strategies import stories

UTC = ZoneInfo("UTC")
MORNING = datetime.datetime(2026, 11, 25, 8, tzinfo=datetime.UTC)
WAY = ("assigned", "accepted", "picked_up", "in_transit", "arrived", "delivered")


def at(minutes):
    return MORNING + datetime.timedelta(minutes=minutes)


def steps(*moments, driver="drv_a"):
    return tuple(Step(Status(status), at(minutes), driver) for status, minutes in moments)


def a_story(*moments, driver="drv_a", **fields):
    fields = {"route": None, "created_at": MORNING, "window": None, "direct_m": None} | fields
    return DeliveryStory(id="dlv_1", driver=driver, steps=steps(*moments, driver=driver), **fields)


def delivered(*, window=None, arrived=50, handed_over=60, **fields):
    moments = [*zip(WAY[:4], (5, 10, 20, 21), strict=True), ("arrived", arrived), ("delivered", handed_over)]
    return a_story(*moments, window=window and (at(window[0]), at(window[1])), **fields)


def total(story, zone=UTC):
    amounts = Counter()
    for part in cells_of_delivery(story, zone).values():
        amounts.update(part)
    return amounts


def figures(story, zone=UTC):
    return figures_of(total(story, zone))


def test_a_delivery_counts_on_the_day_of_its_last_status_and_for_its_driver():
    cells = cells_of_delivery(delivered(route="rte_1", direct_m=1200), UTC)
    amounts = cells[Cell("2026-11-25", "drv_a", "rte_1")]
    assert (amounts["count:delivered"], amounts["directM:delivered"], amounts["durationS:delivered"]) == (1, 1200, 2400)
    assert cells[Cell("2026-11-25", None, "rte_1")]["created"] == 1
    assert figures(delivered()).by_status[Status.ARRIVED].mean_time_in_status_s == 600


def test_days_are_those_of_the_zone():
    late = a_story(("cancelled", 16 * 60 + 30), driver=None)
    assert {cell.day for cell in cells_of_delivery(late, UTC)} == {"2026-11-25", "2026-11-26"}
    assert {cell.day for cell in cells_of_delivery(late, ZoneInfo("Pacific/Honolulu"))} == {"2026-11-24", "2026-11-25"}


def test_who_was_at_the_door_in_time_and_waited_is_on_time():
    assert figures(delivered(window=(55, 90), arrived=50)).punctuality.on_time == 1
    assert figures(delivered(window=(30, 55), arrived=50)).punctuality.on_time == 1
    assert figures(delivered(window=(61, 90))).punctuality.early == 1
    late = figures(delivered(window=(10, 45))).punctuality
    assert (late.late, late.mean_lateness_s, late.on_time_rate) == (1, 300, 0)
    assert figures(delivered()).punctuality.on_time_rate is None


def test_efficiency_is_what_the_window_left_against_what_it_took():
    found = figures(delivered(window=(0, 80))).efficiency
    assert (found.estimated_duration_s, found.actual_duration_s, found.ratio) == (3600, 2400, 1.5)
    assert figures(delivered(window=(0, 15))).efficiency.deliveries == 0  # closed before the pickup


def test_a_failed_attempt_stays_with_who_failed_and_spoils_the_first_attempt_rate():
    before = steps(("assigned", 1), ("accepted", 2), ("failed", 3), driver="drv_a")
    after = steps(*zip(WAY, (10, 11, 12, 13, 14, 15), strict=True), driver="drv_b")
    story = DeliveryStory("dlv_1", "drv_b", None, MORNING, None, None, before + after)
    buckets = spread([cells_of_delivery(story, UTC)])
    first, second = (buckets[BucketKey("driver", driver, "2026-11-25")] for driver in ("drv_a", "drv_b"))
    assert [one.get(name, 0) for one in (first, second) for name in ("failures", "count:delivered")] == [1, 0, 0, 1]
    assert figures_of(buckets[BucketKey("fleet", "", "M2026-11")]).first_attempt_rate == 0
    assert figures(story).success_rate == 1


def test_clocks_that_disagree_make_no_negative_durations():
    story = a_story(("assigned", 5), ("accepted", -30), ("picked_up", 6), ("in_transit", 4), ("delivered", 2))
    assert min(total(story).values()) >= 0
    assert figures(story).by_status[Status.DELIVERED].duration_s == 0


def test_trips_count_on_the_local_day_on_which_they_began():
    zone = ZoneInfo("Europe/Berlin")
    midnight = datetime.datetime(2026, 11, 25, tzinfo=zone).timestamp() * 1000
    trips = [TripSpan("drv_a", int(midnight) + offset, int(midnight) + 600_000, 1000.4) for offset in (-60_000, 0)]
    assert [day.day for day in days_of_trips(trips, zone)] == ["2026-11-24", "2026-11-25"]
    [(_, amounts)] = cells_of_trips(DayOfDriver("drv_a", "2026-11-25"), trips, zone).items()
    assert amounts == {"trips": 1, "drivenM": 1000, "drivingS": 600}


@given(before=stories(), after=stories())
def test_the_difference_of_two_stories_turns_one_into_the_other(before, after):
    old, new = cells_of_delivery(before, UTC), cells_of_delivery(after, UTC)
    corrected = spread([old, difference(old, new)])
    wanted = spread([new])
    corrected = {key: {name: n for name, n in sums.items() if n} for key, sums in corrected.items()}
    assert {key: sums for key, sums in corrected.items() if sums} == wanted
    assert difference(new, new) == {}


@given(story=stories())
def test_a_story_adds_each_delivery_once_and_no_time_that_did_not_pass(story):
    amounts = total(story)
    assert amounts["created"] == sum(amounts[f"count:{status}"] for status in Status) == 1
    assert sum(amounts[f"left:{status}"] for status in Status) == len(story.steps)
    ends = [story.created_at, *(step.at for step in story.steps)]
    assert sum(amounts[f"inS:{status}"] for status in Status) == (max(ends) - story.created_at).total_seconds()
    assert min(amounts.values()) >= 0
