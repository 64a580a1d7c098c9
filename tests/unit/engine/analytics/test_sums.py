"""Sums that are kept by differences, against sums made anew."""

from collections import Counter
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from engine.analytics.cells import cells_of_delivery
from engine.analytics.sums import difference, spread
from models.documents.analytics import BucketKey, Cell
from tests.strategies import stories

BERLIN = ZoneInfo("Europe/Berlin")
CHANGES = st.lists(st.tuples(st.sampled_from(["dlv_1", "dlv_2", "dlv_3"]), stories()), max_size=25)


@given(changes=CHANGES)
def test_sums_kept_by_differences_are_those_made_anew(changes):
    """Whatever becomes of deliveries: handed on, moved back in time, put on another route, given another window."""
    facts, kept = {}, Counter()
    for delivery, story in changes:
        cells = cells_of_delivery(story, BERLIN)
        for key, amounts in spread([difference(facts.get(delivery, {}), cells)]).items():
            kept.update({(key, name): amount for name, amount in amounts.items()})
        facts[delivery] = cells
    anew = {(key, name): n for key, sums in spread(facts.values()).items() for name, n in sums.items()}
    assert {place: amount for place, amount in kept.items() if amount} == anew


@given(changes=CHANGES)
def test_every_level_and_length_of_time_adds_up_to_the_same(changes):
    facts = {delivery: cells_of_delivery(story, BERLIN) for delivery, story in changes}
    buckets = spread(facts.values())
    days, months = Counter(), Counter()
    for key, amounts in buckets.items():
        if key.level == "fleet":
            (months if key.period.startswith("M") else days).update(amounts)
    assert days == months
    assert days["created"] == len(facts)


def test_a_cell_is_counted_for_the_fleet_its_driver_and_its_route():
    [*keys] = spread([{Cell("2026-11-25", "drv_a", "rte_1"): {"created": 1}}])
    assert keys == [
        BucketKey(level, key, period)
        for period in ("2026-11-25", "M2026-11")
        for level, key in (("fleet", ""), ("driver", "drv_a"), ("route", "rte_1"))
    ]
