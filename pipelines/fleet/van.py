"""A van that is told its next stop when it has made the one before: for a fleet whose plan changes while it drives.

Pure. What happens on the way, at the door and in the phone is that of the simulated city.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.geo import distances_m
from pipelines.fleet.drive import drive, walk
from pipelines.fleet.gps import Phone, Track, record
from pipelines.fleet.simulate import City
from pipelines.fleet.traffic import Traffic

__all__ = ["Van", "VanVisit"]

_BOARDING_S = 15.0
_ON_FOOT_M = 60.0  # nobody drives round the block to the next door
_SAME_DOOR_M = 1.0


@dataclass(frozen=True, slots=True)
class VanVisit:
    """A stop as it was made."""

    track: Track
    """What the phone sends from setting off until the hand-over is done."""
    arrived_s: float
    """When the van stood, seconds from the first midnight of the city's traffic."""
    done_s: float
    """When the hand-over was done."""
    is_delivered: bool
    """Whether somebody was there."""


class Van:
    """One van with its driver.

    Parameters
    ----------
    rng
        Where its luck comes from.
    city, traffic
        Where and when it drives.
    depot
        Where it stands at first, latitude and longitude in degrees.
    at_s
        When its day begins, seconds from the first midnight of the traffic.
    phone
        What records the way. Its silences and dead zones are drawn for each stop: their rates are those of a stop here.
    pace
        How many times the others' time the driver takes.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        city: City,
        traffic: Traffic,
        depot: tuple[float, float],
        at_s: float,
        phone: Phone,
        pace: float = 1.0,
    ) -> None:
        self._rng, self._city, self._traffic, self._phone, self._pace = rng, city, traffic, phone, pace
        self._zero_ms = round(traffic.begins.timestamp() * 1000)
        self._depot = depot
        self.at = depot
        """Where it is once everything so far has happened."""
        self.now_s = at_s
        """When that is."""

    @property
    def is_home(self) -> bool:
        """Whether it stands at its depot."""
        return self.at == self._depot

    def visit(self, place: tuple[float, float], weight_kg: float, opens_s: float = -math.inf) -> VanVisit:
        """Drive to an address and hand something over, once the customer's time window is open.

        Parameters
        ----------
        place
            Where, latitude and longitude in degrees. Its doorstep is that of the nearest address of the city.
        weight_kg
            Of what is handed over.
        opens_s
            When the window opens, seconds from the first midnight of the traffic.
        """
        doors, departs_s = self._city.doorsteps, self.now_s + _BOARDING_S
        address = doors.nearest(*place)
        away_m = float(distances_m(*self.at, *place))
        if away_m <= _ON_FOOT_M:
            leg = walk(self._city.ways.way(self.at, place), departs_s, away_m)
        else:
            is_known = distances_m(doors.latitude[address], doors.longitude[address], *place) < _SAME_DOOR_M
            goal = doors.parked(self._rng, address) if is_known else place
            leg = drive(self._rng, self._city.ways.way(self.at, goal), departs_s, self._traffic, self._pace)
            self.at = goal
        served_s, is_delivered = doors.serve_s(self._rng, address, weight_kg, self._pace)
        done_s = max(leg.arrival_s, opens_s) + served_s
        track = self._record(leg.at_s, leg.way.latitude, leg.way.longitude, done_s)
        return VanVisit(track, leg.arrival_s, done_s, is_delivered)

    def go_home(self) -> Track:
        """Drive to the depot and return what the phone sends on the way."""
        way = self._city.ways.way(self.at, self._depot)
        leg = drive(self._rng, way, self.now_s + _BOARDING_S, self._traffic, self._pace)
        self.at = self._depot
        return self._record(leg.at_s, leg.way.latitude, leg.way.longitude, leg.arrival_s + 1.0)

    def stand(self, seconds: float) -> Track:
        """Stay where it is and return what the phone sends meanwhile."""
        here = np.array([self.now_s]), np.array([self.at[0]]), np.array([self.at[1]])
        return self._record(*here, self.now_s + seconds)

    def _record(
        self,
        at_s: NDArray[np.float64],
        latitude: NDArray[np.float64],
        longitude: NDArray[np.float64],
        until_s: float,
    ) -> Track:
        """Record from now on: standing until the points begin, along them, and standing at their end."""
        path = (
            np.concatenate([[self.now_s], at_s, [max(until_s, at_s[-1] + 0.001)]]),
            np.concatenate([latitude[:1], latitude, latitude[-1:]]),
            np.concatenate([longitude[:1], longitude, longitude[-1:]]),
        )
        self.now_s = float(path[0][-1])
        return record(self._rng, *path, self._phone, self._zero_ms)
