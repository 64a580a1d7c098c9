"""Hours, traffic and weather: nothing counts twice."""

import datetime
import math

import numpy as np
import pytest

from engine.conditions.answers import Flow, Known, Weather, cell_of
from engine.conditions.board import ConditionBoard, Met
from engine.travel.answers import Journey
from engine.travel.slowing import slowing_of
from models.eta.weather import weather_factor

AT = datetime.datetime(2026, 3, 2, 8, tzinfo=datetime.UTC)
PLACES = np.array([(41.15, -8.61), (41.151, -8.611)])
RAIN_MM_H = 7.6
RAINY = float(weather_factor(np.array([RAIN_MM_H]), np.array([12.0]), np.array([2.0]), False)[0])
USUAL = [1.4, 1.2, 1.0]


def met(ratio=None):
    said_s, hours = AT.timestamp(), 24
    rain = Weather(said_s, int(said_s), (RAIN_MM_H,) * hours, (12.0,) * hours, (2.0,) * hours)
    flow = Flow(said_s, ratio)
    cells = {kind: {cell_of(kind, *place): one for place in PLACES} for kind, one in ((Weather, rain), (Flow, flow))}
    board = ConditionBoard(cells[Weather], cells[Flow])
    return Met(board, (Known(rain, "rainy", "provider"),), (Known(flow, "busy", "cache"),))


def test_rain_multiplies_what_hours_usually_do():
    found = slowing_of(met(), PLACES, Journey("van", AT), USUAL, None)
    assert RAINY > 1.05
    assert found.around == pytest.approx(np.mean(USUAL) * RAINY)
    assert [(told.kind, told.provider) for told in found.told] == [("weather", "rainy"), ("traffic", "none")]


def test_what_a_server_says_of_this_hour_it_says_of_its_weather_too():
    found = slowing_of(met(ratio=2.0), PLACES, Journey("van", AT), USUAL, None)
    assert found.around == pytest.approx((2.0 + (USUAL[1] + USUAL[2]) * RAINY) / 3)
    assert [(told.kind, told.provider, told.source) for told in found.told] == [
        ("weather", "rainy", "provider"),
        ("traffic", "busy", "cache"),
    ]


def test_what_the_fleet_met_it_met_in_this_weather_and_no_server_knows_better():
    found = slowing_of(met(ratio=2.0), PLACES, Journey("van", AT), [1.0] * 3, AT)
    assert found.around == pytest.approx((1.0 + 2 * RAINY) / 3)
    assert [told.kind for told in found.told] == ["weather"]


def test_a_way_is_slowed_by_what_is_around_both_its_ends():
    places = np.array([PLACES[0], (42.0, -8.0)])  # of there nobody knows anything
    found = slowing_of(met(), places, Journey("van", AT), [1.0], None)
    assert found.around == pytest.approx([RAINY, 1.0])
    assert found.between[0, 1] == found.between[1, 0] == pytest.approx((RAINY + 1.0) / 2)
    assert not math.isnan(found.between.sum())
