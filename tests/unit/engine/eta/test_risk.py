"""When a window counts as lost, and that it is said once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.eta.plan import AHEAD, AheadFlag
from engine.eta.risk import RiskRule, late_probability, raise_alarms

NOW_MS = 1_750_000_000_000
MINUTE_MS = 60_000


def a_stop(middle_min: float, closes_min: float, low_min: float = 5.0, high_min: float = 5.0):
    stop = np.zeros(1, AHEAD)
    middle = NOW_MS + round(middle_min * MINUTE_MS)
    stop["reached"] = [middle - round(low_min * MINUTE_MS), middle, middle + round(high_min * MINUTE_MS)]
    stop["closes"], stop["kind"] = NOW_MS + round(closes_min * MINUTE_MS), 2
    return stop


def raised(stop, now_ms=NOW_MS, rule=RiskRule()):
    alarms = raise_alarms(stop, np.array([now_ms]), np.array([True]), rule)
    return len(alarms.late), len(alarms.imminent)


def test_the_quantiles_mean_what_they_say():
    stops = np.concatenate([a_stop(30, 30), a_stop(30, 35), a_stop(30, 25)])
    assert np.allclose(late_probability(stops["reached"], stops["closes"]), [0.5, 0.1, 0.9])


@given(st.floats(0, 120), st.floats(0, 120), st.floats(0, 120))
def test_a_later_window_is_never_a_greater_risk(middle, first, second):
    sooner, later = sorted((first, second))
    stops = np.concatenate([a_stop(middle, sooner), a_stop(middle, later)])
    risk = late_probability(stops["reached"], stops["closes"])
    assert risk[1] <= risk[0]


def test_a_stop_without_a_window_is_never_late():
    stop = a_stop(30, 0)
    stop["closes"] = 0
    assert late_probability(stop["reached"], stop["closes"]).tolist() == [0.0]


def test_lateness_is_told_once_and_only_when_two_estimates_agree():
    stop = a_stop(40, 30)
    assert [raised(stop)[0] for _ in range(4)] == [0, 1, 0, 0]


def test_risk_stands_between_the_two_thresholds_and_ends_below():
    stop = a_stop(40, 30)
    raised(stop), raised(stop)
    between = a_stop(29.8, 30)
    between["flags"], between["calls"] = stop["flags"], stop["calls"]
    raised(between)
    assert between["flags"][0] & AheadFlag.AT_RISK
    calm = a_stop(15, 30)
    calm["flags"] = between["flags"]
    raised(calm)
    assert not calm["flags"][0] & AheadFlag.AT_RISK
    assert calm["flags"][0] & AheadFlag.LATE


def test_a_customer_hears_once_that_the_driver_is_near():
    stop = a_stop(25, 60)
    assert raised(stop)[1] == 0
    assert [raised(stop, NOW_MS + minute * MINUTE_MS)[1] for minute in (14, 16, 18)] == [0, 1, 0]
