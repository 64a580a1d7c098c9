"""What weather does to driving times."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.eta.weather import weather_factor

RAIN, COLD, WIND = st.floats(0, 500), st.floats(-60, 50), st.floats(0, 100)


@given(RAIN, COLD, WIND, st.booleans())
def test_weather_never_speeds_anybody_up_and_more_of_it_slows_down_more(rain, cold, wind, by_bike):
    here = weather_factor(rain, cold, wind, by_bike)
    assert 1.0 <= here < 2.2
    assert weather_factor(rain + 1, cold, wind, by_bike) >= here
    assert weather_factor(rain, cold, wind + 1, by_bike) >= here
    assert weather_factor(rain, -5.0, wind, by_bike) >= weather_factor(rain, 20.0, wind, by_bike)
    assert weather_factor(rain, cold, wind, True) >= weather_factor(rain, cold, wind, False)


def test_what_is_not_known_slows_nobody():
    unknown = np.array([np.nan, np.nan])
    assert weather_factor(unknown, unknown, unknown).tolist() == [1.0, 1.0]
    assert weather_factor(2.5, np.nan, np.nan) == weather_factor(2.5, 15.0, 0.0)  # rain, as nobody says that it freezes
