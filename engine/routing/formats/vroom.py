"""The JSON in which VROOM takes problems, as its API describes it.

What VROOM makes small by default is time on the road; here that time is the problem's distance, so that waiting and
service cost nothing there either. Where vehicles cost by the kilometre or have a longest way, distances are metres and
`per_hour` counts the whole day, waiting included.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.routing.formats.instance import FAR, Instance
from engine.routing.problem import Break, Job, Problem, Stop, Vehicle, Visit, Window
from engine.routing.travel import DenseTravel
from models.errors import InvalidInput
from models.eta.base_time import PACES, base_matrices

__all__ = ["read_vroom", "vroom_instance"]

_PROFILES = {"car": "car", "bike": "bike", "truck": "truck", "hgv": "truck", "van": "van"}


def read_vroom(path: Path) -> Instance:
    """Read a file of VROOM's JSON."""
    try:
        data = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{path.name} is no JSON: {error}", [("file", str(error))]) from error
    return vroom_instance(path.stem, data)


def vroom_instance(name: str, data: Mapping[str, Any]) -> Instance:
    """Return the problem of VROOM's JSON.

    Raises
    ------
    InvalidInput
        If something has no place, or a job both brings and collects; with the path.
    """
    reading = _Reading(data)
    vehicles = [reading.vehicle(number, one) for number, one in enumerate(data.get("vehicles", []))]
    jobs = [reading.job(number, one) for number, one in enumerate(data.get("jobs", []))]
    jobs += [reading.shipment(number, one) for number, one in enumerate(data.get("shipments", []))]
    visits: dict[int, Visit] = {}
    for number, job in enumerate(jobs):
        for is_pickup, stop in ((True, job.pickup), (False, job.delivery)):
            if stop is not None:
                visits[len(visits) + 1] = Visit(number, is_pickup)
    return Instance(name, Problem(jobs, vehicles, reading.travel()), visits, picture=reading.picture())


class _Reading:
    """What is known of a file while it is read: its places, its kinds of vehicles, its dimensions."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        vehicles = data.get("vehicles", [])
        self._profiles = sorted({(one.get("profile", "car"), float(one.get("speed_factor", 1.0))) for one in vehicles})
        self._matrices = data.get("matrices", {})
        if "matrix" in data:  # its older form
            self._matrices = {profile: {"durations": data["matrix"]} for profile, _ in self._profiles}
        self._points: dict[tuple[float, float], int] = {}
        self._by_length = any("max_distance" in one or one.get("costs", {}).get("per_km") for one in vehicles)
        self._penalty = float(FAR)

    def travel(self) -> list[DenseTravel]:
        """Return the travel of each kind of vehicle."""
        return [self._travel(profile, factor) for profile, factor in self._profiles]

    def picture(self) -> NDArray[np.float64] | None:
        """Return longitudes and latitudes, where places are given by them."""
        return np.array(list(self._points)) if self._points else None

    def job(self, number: int, data: Mapping[str, Any]) -> Job:
        """Return a job that delivers or collects."""
        path = f"jobs.{number}"
        stop = self._stop(path, data)
        amounts = [data.get(kind) for kind in ("delivery", "pickup")]
        if all(amount and any(amount) for amount in amounts):
            raise InvalidInput(
                f"{path}: a job that both brings and collects is not understood", [(path, "brings and collects")]
            )
        is_pickup = bool(amounts[1] and any(amounts[1]))
        load = tuple((amounts[1] if is_pickup else amounts[0]) or data.get("amount", ()))
        return Job(
            f"job {data['id']}",
            stop if is_pickup else None,
            None if is_pickup else stop,
            load,
            self._worth(data),
            frozenset(map(str, data.get("skills", []))),
        )

    def shipment(self, number: int, data: Mapping[str, Any]) -> Job:
        """Return a job from stop to stop."""
        path = f"shipments.{number}"
        return Job(
            f"shipment {data.get('id', data['pickup'].get('id', number))}",
            self._stop(f"{path}.pickup", data["pickup"]),
            self._stop(f"{path}.delivery", data["delivery"]),
            tuple(data.get("amount", ())),
            self._worth(data),
            frozenset(map(str, data.get("skills", []))),
        )

    def vehicle(self, number: int, data: Mapping[str, Any]) -> Vehicle:
        """Return a vehicle."""
        path, costs = f"vehicles.{number}", data.get("costs", {})
        ends = [self._end(f"{path}.{name}", data, name) for name in ("start", "end")]
        if ends == [None, None]:
            raise InvalidInput(f"{path} has neither start nor end", [(path, "has neither start nor end")])
        per_hour = costs.get("per_hour", 3600)
        longest = data.get("max_distance") if self._by_length else data.get("max_travel_time")
        return Vehicle(
            str(data["id"]),
            profile=self._profiles.index((data.get("profile", "car"), float(data.get("speed_factor", 1.0)))),
            start=ends[0],
            end=ends[1],
            capacity=tuple(data.get("capacity", ())),
            shift=_window(data["time_window"]) if "time_window" in data else (0, FAR),
            skills=frozenset(map(str, data.get("skills", []))),
            breaks=tuple(
                Break(_windows(one) or ((0, FAR),), int(one.get("service", 0))) for one in data.get("breaks", [])
            ),
            max_distance_m=None if longest is None else int(longest),
            max_stops=data.get("max_tasks"),
            fixed=float(costs.get("fixed", 0)),
            per_metre=costs.get("per_km", 0) / 1000 if self._by_length else per_hour / 3600,
            per_second=per_hour / 3600 if self._by_length else 0.0,
        )

    def _travel(self, profile: str, factor: float) -> DenseTravel:
        if profile in self._matrices:
            durations = np.asarray(self._matrices[profile]["durations"], np.float64)
            lengths = np.asarray(self._matrices[profile].get("distances", durations), np.float64)
        elif self._points:
            at = np.array(list(self._points))
            lengths, durations = base_matrices(at[:, 1], at[:, 0], PACES[_PROFILES.get(profile, "car")])
        else:
            raise InvalidInput(f"there is no matrix for {profile}", [(f"matrices.{profile}", "missing")])
        seconds = np.rint(durations / factor).astype(np.int64)
        return DenseTravel(seconds, np.rint(lengths).astype(np.int64) if self._by_length else seconds)

    def _stop(self, path: str, data: Mapping[str, Any]) -> Stop:
        place = self._place(path, data, "location")
        if place is None:
            raise InvalidInput(f"{path} has no location", [(f"{path}.location", "missing")])
        return Stop(place, _windows(data), int(data.get("setup", 0)) + int(data.get("service", 0)))

    def _end(self, path: str, data: Mapping[str, Any], name: str) -> int | None:
        return self._place(path, data, name)

    def _place(self, path: str, data: Mapping[str, Any], name: str) -> int | None:
        if self._matrices:
            index = data.get(f"{name}_index")
            if index is None and name in data:
                raise InvalidInput(f"{path} has no {name}_index", [(f"{path}.{name}_index", "missing")])
            return None if index is None else int(index)
        if name not in data:
            return None
        longitude, latitude = data[name]
        return self._points.setdefault((float(longitude), float(latitude)), len(self._points))

    def _worth(self, data: Mapping[str, Any]) -> float:
        """Return what leaving a job out costs: more than any way, and the more the higher its priority is."""
        return self._penalty * (1 + float(data.get("priority", 0)))


def _window(window: Sequence[float]) -> Window:
    return int(window[0]), int(window[1])


def _windows(data: Mapping[str, Any]) -> tuple[Window, ...]:
    return tuple(_window(one) for one in data.get("time_windows", ()))
