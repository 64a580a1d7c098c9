"""The rules of a delivery's life, as examples and as a state machine."""

import datetime
from datetime import UTC

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.deliveries.lifecycle import ALLOWED, FINAL, Assign, Move, steps_after, transition
from models.documents.delivery import MAX_HISTORY, Delivery, Place, Status
from models.errors import ForbiddenTransition

AT = datetime.datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
MOVES = sorted({wanted for following in ALLOWED.values() for wanted in following} - {"assigned"})


def a_delivery(**fields):
    return Delivery(id="dlv_1", tenant="ten_1", dropoff=Place(latitude=41.15, longitude=-8.61), **fields)


def moved(delivery, *statuses):
    for status in statuses:
        delivery = transition(delivery, Move(status, AT, "usr_1")).delivery
    return delivery


def assigned(driver="drv_1"):
    return transition(a_delivery(), Assign(driver, AT, "usr_1")).delivery


def test_the_usual_way_ends_delivered():
    done = moved(assigned(), "accepted", "picked_up", "in_transit", "arrived", "delivered")
    assert done.status is Status.DELIVERED
    assert done.version == 7
    assert [change.status for change in done.history][-1] is Status.DELIVERED


def test_declined_returns_to_pending_without_a_driver():
    decision = transition(assigned(), Move("declined", AT, "drv_1"))
    assert decision.delivery.status is Status.PENDING
    assert decision.delivery.driver is None
    assert decision.left_driver == "drv_1"
    assert decision.kind == "delivery.declined"


def test_reassigning_names_the_driver_who_lost_it():
    decision = transition(assigned("drv_1"), Assign("drv_2", AT, "usr_1"))
    assert (decision.delivery.driver, decision.left_driver) == ("drv_2", "drv_1")


def test_failed_may_be_returned_or_assigned_again():
    failed = moved(assigned(), "accepted", "picked_up", "failed")
    assert moved(failed, "returned").status is Status.RETURNED
    assert transition(failed, Assign("drv_2", AT, "usr_1")).delivery.driver == "drv_2"


def test_cancelling_after_pick_up_is_forbidden_and_says_what_is_allowed():
    picked_up = moved(assigned(), "accepted", "picked_up")
    with pytest.raises(ForbiddenTransition) as caught:
        moved(picked_up, "cancelled")
    assert caught.value.allowed == ("in_transit", "failed")


def test_giving_it_to_the_same_driver_again_is_forbidden():
    with pytest.raises(ForbiddenTransition):
        transition(assigned("drv_1"), Assign("drv_1", AT, "usr_1"))


def test_finals_are_those_of_the_design():
    assert {status.value for status in FINAL} == {"delivered", "returned", "cancelled"}


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("stop", ["pickup", "dropoff"])
@pytest.mark.parametrize("edge", ["arrived", "left"])
def test_what_follows_an_edge_is_always_allowed(status, stop, edge):
    delivery = a_delivery(status=status, driver="drv_1")
    moved(delivery, *steps_after(delivery, stop, edge))


class DeliveryLife(RuleBasedStateMachine):
    """Any commands in any order: what is stored always keeps the rules."""

    def __init__(self):
        super().__init__()
        self.delivery = a_delivery()

    def apply(self, command, wanted):
        before = self.delivery
        again = isinstance(command, Assign) and before.status in (Status.ASSIGNED, Status.ACCEPTED)
        if wanted not in ALLOWED[before.status] or (again and command.driver == before.driver):
            with pytest.raises(ForbiddenTransition) as forbidden:
                transition(before, command)
            assert wanted not in forbidden.value.allowed
            assert forbidden.value.current == before.status.value
            return
        self.delivery = transition(before, command).delivery
        assert self.delivery.version == before.version + 1
        assert before.history == self.delivery.history[:-1] or len(self.delivery.history) == MAX_HISTORY

    @rule(driver=st.sampled_from(["drv_1", "drv_2"]))
    def assign(self, driver):
        self.apply(Assign(driver, AT, "usr_1"), "assigned")

    @rule(status=st.sampled_from(MOVES))
    def move(self, status):
        self.apply(Move(status, AT, "usr_1"), status)

    @invariant()
    def has_a_driver_while_somebody_works_on_it(self):
        if self.delivery.status is Status.PENDING:
            assert self.delivery.driver is None
        elif self.delivery.status is not Status.CANCELLED:
            assert self.delivery.driver is not None

    @invariant()
    def the_last_entry_is_the_status(self):
        if self.delivery.history:
            assert self.delivery.history[-1].status is self.delivery.status


TestDeliveryLife = DeliveryLife.TestCase
