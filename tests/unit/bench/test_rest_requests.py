"""The REST load keeps to its mix, and no two of its requests race for one delivery."""

from collections import Counter

import msgspec
import pytest

from bench.rest_load import MIX, Known, RestSpec
from bench.rest_requests import Requests


@pytest.fixture
def requests() -> Requests:
    waiting = [Known(f"dlv_w{number}", "pending", 1) for number in range(50)]
    running = [Known(f"dlv_r{number}", "assigned", 2) for number in range(50)]
    return Requests(
        RestSpec("localhost", 80, ["planner"], "gateway", 4, 1, ["drv_1", "drv_2"], ["dlv_c1"], waiting, running)
    )


def answer(sent, **fields):
    return msgspec.json.encode({"id": sent.delivery.id, "version": sent.delivery.version + 1, **fields})


def test_a_hundred_requests_are_the_mix(requests):
    assert sum(MIX.values()) == 100
    assert Counter(requests.next("planner").kind for _ in range(100)) == MIX


def test_a_delivery_waits_for_its_answer_before_it_is_changed_again(requests):
    sent = [requests.next("planner") for _ in range(200)]
    changed = [one.delivery.id for one in sent if one.delivery is not None]
    assert len(changed) == len(set(changed)) > 0


def test_a_delivery_moves_on_to_the_next_status_at_the_version_that_was_answered(requests):
    first = next(sent for sent in iter(lambda: requests.next("planner"), None) if sent.kind == "move")
    assert b'"status":"accepted","version":2' in first.data
    requests.take(first, answer(first, status="accepted"))
    assert requests.versions == {first.delivery.id: 3}
    requests._running.rotate(1)
    second = next(sent for sent in iter(lambda: requests.next("planner"), None) if sent.kind == "move")
    assert second.delivery.id == first.delivery.id
    assert b'"status":"picked_up","version":3' in second.data


def test_only_positions_are_sent_with_the_key(requests):
    sent = [requests.next("planner") for _ in range(100)]
    assert {one.kind for one in sent if b"Bearer gateway" in one.data} == {"locate"}
