"""The sample company is believable, and the same for a seed."""

import datetime
import itertools
from collections import Counter
from datetime import UTC

import pytest

from engine.deliveries.lifecycle import ALLOWED
from engine.tenants.sample import sample_company
from models.documents.delivery import Status

NOW = datetime.datetime(2026, 3, 4, 15, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def company():
    return sample_company(1, NOW)


def test_a_seed_is_a_company(company):
    assert sample_company(1, NOW) == company
    assert sample_company(2, NOW).deliveries != company.deliveries


def test_every_status_occurs_and_most_are_delivered(company):
    last = Counter(one.steps[-1].status if one.steps else "pending" for one in company.deliveries)
    assert last.keys() == set(Status)
    assert last["delivered"] > 1000


def test_lives_go_forward_by_allowed_steps_and_never_into_the_future(company):
    for one in company.deliveries:
        moments = [one.created_at, *(step.at for step in one.steps)]
        assert moments == sorted(moments)
        assert moments[-1] <= NOW
        walk = ["pending", *(step.status for step in one.steps)]
        assert all(after in ALLOWED[Status(before)] for before, after in itertools.pairwise(walk))


def test_nobody_has_a_number_that_rings(company):
    phones = [one.customer.phone for one in company.deliveries] + [one.phone for one in company.drivers]
    assert all(phone.startswith(("+44 7700 900", "+49 30 23125 ")) for phone in phones)


def test_deliveries_lie_around_porto_over_a_week(company):
    assert all(abs(one.dropoff.latitude - 41.15) < 0.1 for one in company.deliveries)
    assert len({one.time_window.start.date() for one in company.deliveries}) == 8
