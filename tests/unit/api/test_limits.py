import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.auth.principal import Principal
from api.limits import RateLimits, is_counted, network_of
from engine.settings import LimitSettings
from models.errors import RateLimited
from models.store.connections import connect_mongo


class Clock:
    now = 1_750_000_000.0

    def __call__(self):
        return self.now


def limits_at(clock, **settings):
    unused = connect_mongo("mongodb://127.0.0.1:1", "none")
    return RateLimits(LimitSettings(**settings), None, "test", unused, clock)


def taken(limits, tries, address="203.0.113.7"):
    done = 0
    for _ in range(tries):
        try:
            limits.take_address(address)
        except RateLimited:
            continue
        done += 1
    return done


@example([(9.875, 30), (9.875, 30)])  # twice the budget is reached, and never passed
@given(st.lists(st.tuples(st.floats(0.0, 15.0), st.integers(0, 60)), max_size=30))
def test_no_ten_seconds_let_more_than_two_budgets_through(steps):
    """The window before counts as if it were evenly spread, so a burst at its end fades too soon."""
    clock = Clock()
    limits, passed = limits_at(clock, address_per_s=3), []
    for pause, tries in steps:
        clock.now += pause
        passed += [clock.now] * taken(limits, tries)
    for end in passed:
        assert sum(end - 10.0 < moment <= end for moment in passed) <= 2 * 30


def test_who_waits_as_told_gets_in():
    clock = Clock()
    limits = limits_at(clock, address_per_s=1)
    assert taken(limits, 50) == 10
    with pytest.raises(RateLimited) as caught:
        limits.take_address("203.0.113.7")
    assert 0 < caught.value.retry_after_s <= 11
    clock.now += caught.value.retry_after_s + 0.01
    assert taken(limits, 1) == 1


def test_one_address_does_not_slow_another():
    limits = limits_at(Clock(), address_per_s=1)
    assert taken(limits, 20) == 10
    assert taken(limits, 20, "203.0.113.8") == 10


def test_a_company_counts_all_its_callers():
    limits = limits_at(Clock(), company_per_s=1)
    for number in range(10):
        limits.take_caller(Principal("ten_1", f"usr_{number}", "planner"))
    with pytest.raises(RateLimited):
        limits.take_caller(Principal("ten_1", "usr_11", "planner"))
    limits.take_caller(Principal("ten_2", "usr_12", "planner"))


@pytest.mark.parametrize(
    ("client", "network"),
    [
        (("203.0.113.7", 1), "203.0.113.7"),
        (("2001:db8:1:2:3::4", 1), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (("a:b", 1), "a:b"),
        (None, "unknown"),
    ],
)
def test_an_ipv6_subscriber_is_its_network(client, network):
    assert network_of({"client": client}) == network


def test_positions_health_and_pages_are_not_counted():
    assert is_counted("/api/v1/deliveries")
    for free in ("/", "/metrics", "/assets/x.js", "/api/v1/health", "/api/v1/pings", "/api/v1/devices/osmand/x"):
        assert not is_counted(free)
