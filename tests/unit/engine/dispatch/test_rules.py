"""Asking drivers: as examples, and as a state machine in which anybody says anything at any time."""

import datetime
import itertools
from datetime import UTC

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.dispatch.candidates import has_room
from engine.dispatch.rules import Candidate, accept, ask, cancel, decline, expire, needs_candidates, ranked
from models.documents.delivery import Delivery, Place
from models.documents.offer import OfferRound, OfferTerms
from models.documents.vehicle import Capacity
from models.errors import Conflict, NotFound
from models.store.deliveries import Load

AT = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
IDS = [f"ofr_{place}" for place in range(50)]


def a_round(**terms):
    return OfferRound(id="rnd_1", tenant="ten_1", version=0, delivery="dlv_1", terms=OfferTerms(**terms), by="usr_1")


def a_driver(number, away_m=1000.0, **fields):
    usual = {"pace_mps": 8.0, "open_deliveries": 0, "has_room": True}
    return Candidate(f"drv_{number}", away_m, **(usual | fields))


def later(seconds):
    return AT + datetime.timedelta(seconds=seconds)


def asked(step):
    return [offer.driver for offer in step.round.offers if offer.state == "open"]


def test_who_would_be_there_first_comes_first():
    near_but_busy, free = a_driver(1, 500, open_deliveries=3), a_driver(2, 2000)
    on_a_bike = a_driver(3, 2000, pace_mps=4)
    assert [one.driver for one in ranked([near_but_busy, on_a_bike, free])] == ["drv_2", "drv_3", "drv_1"]


def test_only_those_near_with_room_and_named_are_asked():
    drivers = [a_driver(1, 900), a_driver(2, 100, has_room=False), a_driver(3, 6000), a_driver(4, 200)]
    assert asked(ask(a_round(strategy="at_once"), drivers, IDS, AT)) == ["drv_4", "drv_1"]
    assert asked(ask(a_round(strategy="at_once", drivers=["drv_1"]), drivers, IDS, AT)) == ["drv_1"]
    assert asked(ask(a_round(), drivers, IDS, AT)) == ["drv_4"]


def test_whoever_is_rid_of_it_is_asked_only_by_name():
    drivers = [a_driver(1, 100), a_driver(2, 900)]
    given_back = a_round(strategy="at_once").model_copy(update={"without": ("drv_1",)})
    assert asked(ask(given_back, drivers, IDS, AT)) == ["drv_2"]
    named = a_round(drivers=["drv_1"]).model_copy(update={"without": ("drv_1",)})
    assert asked(ask(named, drivers, IDS, AT)) == ["drv_1"]


def test_whoever_is_asked_elsewhere_is_left_in_peace_while_somebody_else_could_do_it():
    thinking, free, far = a_driver(1, 100, is_asked=True), a_driver(2, 900), a_driver(3, 9000)
    for strategy in ("in_turn", "at_once"):
        assert asked(ask(a_round(strategy=strategy), [thinking, free, far], IDS, AT)) == ["drv_2"]
        assert asked(ask(a_round(strategy=strategy), [thinking, far], IDS, AT)) == ["drv_1"]


def test_the_next_is_asked_where_the_drivers_are_then():
    first = ask(a_round(), [a_driver(1, 100), a_driver(2, 200), a_driver(3, 300)], IDS, AT)
    said_no = decline(first.round, "ofr_0", later(5))
    second = ask(said_no.round, [a_driver(1, 50), a_driver(2, 4000), a_driver(3, 60)], IDS[1:], later(5))
    assert asked(second) == ["drv_3"]
    assert [event.kind for event in (*said_no.told, *second.told)] == ["offer.declined", "offer.made"]


def test_the_first_yes_wins_and_the_others_hear_of_it():
    step = ask(a_round(strategy="at_once"), [a_driver(1), a_driver(2)], IDS, AT)
    done = accept(step.round, "ofr_1", later(3))
    assert [(event.kind, event.offer.driver) for event in done.told] == [
        ("offer.withdrawn", "drv_1"),
        ("offer.accepted", "drv_2"),
    ]
    with pytest.raises(Conflict):
        accept(done.round, "ofr_0", later(3))


def test_time_that_is_over_can_not_be_used_and_time_that_is_left_can_not_be_taken():
    step = ask(a_round(time_limit_s=30), [a_driver(1)], IDS, AT)
    assert expire(step.round, "ofr_0", later(29)).round is step.round
    with pytest.raises(Conflict):
        accept(step.round, "ofr_0", later(30))
    assert expire(step.round, "ofr_0", later(30)).round.offers[0].state == "expired"


def test_nobody_left_exhausts_the_round():
    step = ask(a_round(), [], IDS, AT)
    assert (step.round.state, [event.kind for event in step.told]) == ("exhausted", ["offer.exhausted"])
    with pytest.raises(NotFound):
        accept(step.round, "ofr_0", AT)


@pytest.mark.parametrize(
    ("capacity", "fits"),
    [
        ({}, True),
        ({"weight_kg": 10}, True),
        ({"weight_kg": 9.9}, False),
        ({"volume_m3": 0.1}, True),
        ({"pieces": 2}, False),
        ({"pieces": 3}, True),
    ],
)
def test_what_fits_beside_what_is_there(capacity, fits):
    delivery = Delivery(id="dlv_1", tenant="ten_1", dropoff=Place(address="x"), weight_kg=4)
    assert has_room(Capacity(**capacity), Load(2, 6.0, 0.0), delivery) is fits


drivers = st.lists(
    st.builds(
        a_driver,
        st.integers(1, 8),
        st.sampled_from([10.0, 900.0, 6000.0]),
        open_deliveries=st.integers(0, 3),
        has_room=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda one: one.driver,
)


class Asking(RuleBasedStateMachine):
    """Anybody answers anything at any time, in time or late."""

    @initialize(
        strategy=st.sampled_from(["in_turn", "at_once"]),
        most=st.integers(1, 5),
        named=st.sampled_from([(), ("drv_1", "drv_2")]),
        nearby=drivers,
    )
    def begin(self, strategy, most, named, nearby):
        self.ids = (f"ofr_{number}" for number in itertools.count())
        self.now = AT
        self.refused = set()
        self.answers = 0
        self.round = a_round(strategy=strategy, max_drivers=most, drivers=named)
        self.go_on(nearby)

    def take(self, step):
        if step.round is not self.round:
            assert step.round.version == self.round.version + 1
            assert step.round.told == self.round.told + len(step.told)
        self.round = step.round

    def go_on(self, nearby):
        if needs_candidates(self.round):
            self.take(ask(self.round, nearby, list(itertools.islice(self.ids, 50)), self.now))

    def offer(self, place):
        return self.round.offers[place % len(self.round.offers)]

    @precondition(lambda self: self.round.offers)
    @rule(place=st.integers(0, 50), nearby=drivers)
    def say_no(self, place, nearby):
        offer = self.offer(place)
        if self.round.state != "asking" or offer.state != "open":
            with pytest.raises(Conflict):
                decline(self.round, offer.id, self.now)
            return
        self.refused.add(offer.driver)
        self.take(decline(self.round, offer.id, self.now))
        self.go_on(nearby)

    @precondition(lambda self: self.round.offers)
    @rule(place=st.integers(0, 50))
    def say_yes(self, place):
        offer = self.offer(place)
        if self.round.state != "asking" or offer.state != "open" or self.now >= offer.until:
            with pytest.raises(Conflict):
                accept(self.round, offer.id, self.now)
            return
        self.take(accept(self.round, offer.id, self.now))
        assert self.round.state == "accepted"

    @precondition(lambda self: self.round.offers)
    @rule(place=st.integers(0, 50), wait_s=st.sampled_from([0, 1, 59, 60, 61]), nearby=drivers)
    def let_time_pass(self, place, wait_s, nearby):
        self.now += datetime.timedelta(seconds=wait_s)
        self.take(expire(self.round, self.offer(place).id, self.now))
        self.go_on(nearby)

    @rule()
    def call_off(self):
        self.take(cancel(self.round, self.now))
        assert self.round.state != "asking"

    @invariant()
    def never_two_have_it(self):
        states = [offer.state for offer in self.round.offers]
        assert states.count("accepted") == (self.round.state == "accepted")

    @invariant()
    def nobody_is_asked_twice_nor_after_a_no(self):
        names = [offer.driver for offer in self.round.offers]
        assert len(set(names)) == len(names) <= self.round.terms.max_drivers
        assert not any(offer.state == "open" and offer.driver in self.refused for offer in self.round.offers)

    @invariant()
    def somebody_is_asked_as_long_as_it_asks(self):
        waiting = sum(offer.state == "open" for offer in self.round.offers)
        assert (waiting > 0) == (self.round.state == "asking")
        assert waiting <= 1 or self.round.terms.strategy == "at_once"

    def teardown(self):
        """Whatever happened, silence ends it: at most one time limit for each who may be asked."""
        everybody = [a_driver(number, 10.0) for number in range(1, 9)]
        for _ in range(self.round.terms.max_drivers if hasattr(self, "round") else 0):
            self.now += datetime.timedelta(seconds=self.round.terms.time_limit_s)
            for offer in self.round.offers:
                self.take(expire(self.round, offer.id, self.now))
                self.go_on(everybody)
        assert not hasattr(self, "round") or self.round.state != "asking"


TestAsking = Asking.TestCase
TestAsking.settings = settings(max_examples=60, stateful_step_count=25)
