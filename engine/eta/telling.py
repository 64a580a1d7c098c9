"""Estimates as documents: events, points of a delivery's history, and outcomes. Pure.

Ids are made of what happened, so that a replay makes them again and every consumer knows what it has seen.
"""

import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.eta.bases import PROFILES
from engine.eta.corrections import Finish, ModelSaid
from engine.eta.live import Finished
from engine.eta.plan import CONFIDENCES, AheadFlag
from engine.eta.predictor import COLD_START, digest_of
from engine.shards.stops import STOP_NAMES, StopState
from models.eta.base_time import BASES
from models.eta.history import driver_alias

__all__ = [
    "ToldEstimate",
    "answer_of",
    "factors_of",
    "finish_of",
    "imminent_event",
    "late_risk_event",
    "outcome_of",
    "points_in_blocks",
    "points_of",
    "trace_id_of",
]

_SCHEMA = 1
_LEAST_FACTOR_S = 6.0  # a tenth of a minute
_BLOCK_POINTS = 500  # of some 150 bytes each


@dataclass(frozen=True, slots=True)
class ToldEstimate:
    """An estimate that people see as of now, put into words only where somebody watches."""

    tenant: str
    delivery: str
    stop: np.void
    """The `AHEAD` record, a copy."""
    model: str
    traffic_at_s: float | None

    @property
    def answer(self) -> dict[str, Any]:
        """Return it as `answer_of` does."""
        return answer_of(self.stop, self.delivery, self.model, self.traffic_at_s)


def imminent_event(stop: np.void, tenant: str, driver: str, delivery: str) -> dict[str, Any]:
    """Return the event that says that a driver is about to reach a drop-off."""
    left_s = (int(stop["shown"]) - int(stop["updated"])) / 1000
    return _event("delivery.imminent", stop, tenant, driver, delivery, {"minutes": max(1, round(left_s / 60))})


def late_risk_event(stop: np.void, tenant: str, driver: str, delivery: str) -> dict[str, Any]:
    """Return the event that says that a time window will probably be missed.

    Its `traceId` is what everything that follows from it is found by: the proposal of another plan, and its outcome.
    """
    closes = int(stop["closes"])
    measures = {
        "probability": round(float(stop["risk"]), 3),
        "windowEnd": closes,
        "lateS": round((int(stop["reached"][1]) - closes) / 1000),
    }
    return _event("delivery.late_risk", stop, tenant, driver, delivery, measures)


def trace_id_of(event: str) -> str:
    """Return the trace id of what an event sets off, 32 hexadecimal digits as W3C Trace Context has them."""
    return hashlib.blake2b(event.encode(), digest_size=16).hexdigest()


def points_of(stops: NDArray[np.void], deliveries: Sequence[str], model: str) -> list[dict[str, Any]]:
    """Return estimates of drop-offs as points of their deliveries' histories; `deliveries` are the stops' ids."""
    low, _, high = stops["reached"].T.tolist() if len(stops) else ((), (), ())
    names = ("updated", "shown", "promised", "confidence", "stood_in")
    columns = (stops[name].tolist() for name in names)
    return [
        {
            "delivery": delivery,
            "at": _instant(updated),
            "estimated": _instant(shown),
            "earliest": _instant(earliest),
            "latest": _instant(latest),
            "confidence": CONFIDENCES[confidence],
            "promise": updated == promised,
            "model": COLD_START if stood_in else model,
        }
        for delivery, earliest, latest, updated, shown, promised, confidence, stood_in in zip(
            deliveries, low, high, *columns, strict=True
        )
    ]


def points_in_blocks(
    points: Sequence[dict[str, Any]], tenant: str, partition: int, moment_ms: int
) -> list[dict[str, Any]]:
    """Return the points that a moment of a partition brought a tenant's histories, as blocks that are stored whole.

    One by one, each point would cost the store as much as a whole block.
    """
    parts = [points[start : start + _BLOCK_POINTS] for start in range(0, len(points), _BLOCK_POINTS)]
    return [
        {
            "_id": f"{moment_ms}:{partition}:{number}:{tenant}",
            "tenant": tenant,
            "at": max(point["at"] for point in part),
            "points": part,
        }
        for number, part in enumerate(parts)
    ]


def answer_of(stop: np.void, delivery: str, model: str, traffic_at_s: float | None = None) -> dict[str, Any]:
    """Return an estimate for an answer or a live frame, instants as epoch milliseconds.

    `traffic_at_s` is of when the traffic is that base times know, epoch seconds.
    """
    return {
        "delivery": delivery,
        "stop": _kind(stop),
        "estimated": int(stop["shown"]),
        "earliest": int(stop["reached"][0]),
        "latest": int(stop["reached"][2]),
        "confidence": CONFIDENCES[confidence_of(stop)],
        "updated": int(stop["updated"]),
        "promise": [int(value) for value in stop["promise"]] if stop["promised"] else None,
        "promised": int(stop["promised"]) or None,
        "lateRisk": round(float(stop["risk"]), 3) if stop["closes"] else None,
        "atRisk": bool(stop["flags"] & AheadFlag.AT_RISK),
        "model": COLD_START if stop["stood_in"] else model,
        "base": BASES[int(stop["base"])],
        "traffic": round(traffic_at_s * 1000) if traffic_at_s and stop["traffic"] > 0 else None,
    }


def factors_of(plan: NDArray[np.void]) -> list[tuple[str, float]]:
    """Return what the time to the last of some stops is made of, minutes by name."""
    ahead = plan[plan["state"] != StopState.ARRIVED]
    standing = plan[plan["state"] == StopState.ARRIVED]
    if not len(ahead):
        return []
    driving_s = float(ahead["leg_s"][:, 1].sum())
    served_s = np.maximum(0.0, (ahead["updated"][0] - standing["since"]) / 1000)
    stops_s = float(ahead["service_s"][:-1].sum() + np.maximum(0.0, standing["service_s"] - served_s).sum())
    rest_s = float(np.clip((ahead["rest_ends"] - ahead["updated"]) / 1000, 0.0, ahead["rest_s"]).sum())
    total_s = (int(ahead["reached"][-1][1]) - int(ahead["updated"][-1])) / 1000
    waiting_s = total_s - driving_s - stops_s - rest_s
    if not ((ahead["opens"] > 0) & (ahead["reached"][:, 1] <= ahead["opens"])).any():
        # nobody waits: it is what legs and stops take now and then beyond their middles
        usual_s = max(driving_s + stops_s, 1.0)
        driving_s, stops_s = (part * (usual_s + waiting_s) / usual_s for part in (driving_s, stops_s))
        waiting_s = 0.0
    parts = (("driving", driving_s), ("stops_before", stops_s), ("break", rest_s), ("waiting", waiting_s))
    return [(name, round(seconds / 60, 1)) for name, seconds in parts if seconds >= _LEAST_FACTOR_S]


def confidence_of(stop: np.void) -> int:
    """Return how sure an estimate is, a place in `CONFIDENCES`: what the model allows, less where the range is wide."""
    low, _, high = (int(value) for value in stop["reached"])
    left = max(1, int(stop["shown"]) - int(stop["updated"]))
    width = (high - low) / left
    by_width = 2 if width <= 0.6 or high - low <= 240_000 else 1 if width <= 1.2 else 0
    return min(int(stop["confidence"]), by_width)


def finish_of(
    finished: Finished, tenant: str, driver: str, delivery: str, arrived_ms: int, versions: Sequence[str]
) -> Finish | None:
    """Return the leg that ended at a stop; None if it is not known how it began, or by which model it was estimated.

    Parameters
    ----------
    versions
        Of the models that are asked now.
    """
    head, stop = finished.head, finished.stop
    if not finished.is_leg or arrived_ms <= head["leg_ms"]:
        return None
    by_digest = {digest_of(version): version for version in versions}
    said = [
        ModelSaid(by_digest[digest], _three(head[f"leg_{mark}raw_s"]), float(head[f"leg_{mark}shift"]), _three(told))
        for digest, mark, told in (
            (int(head["leg_model"]), "", head["leg_said_s"]),
            (int(head["leg_candidate"]), "shadow_", head["leg_shadow_s"]),
        )
        if digest in by_digest
    ]
    return Finish(
        id=_digest("finish", delivery, _kind(stop), int(stop["driver"]), int(stop["born"])),
        tenant=tenant,
        finished_ms=arrived_ms,
        actual_s=(arrived_ms - int(head["leg_ms"])) / 1000,
        latitude=float(stop["lat"]),
        longitude=float(stop["lon"]),
        said=tuple(said),
        from_latitude=float(head["leg_lat"]),
        from_longitude=float(head["leg_lon"]),
        base_s=float(head["leg_base_s"]),
        base_of=int(head["leg_base"]),
        driver=driver_alias(tenant, driver),
        vehicle=PROFILES[int(head["profile"])],
    )


def outcome_of(
    stop: np.void, tenant: str, delivery: str, arrived_ms: int, model: str, finish: Finish | None
) -> dict[str, Any]:
    """Return how a promise turned out, and the last leg on the way to it.

    Parameters
    ----------
    stop
        The record of the stop when it was reached.
    arrived_ms
        When the driver came to a halt there, epoch milliseconds.
    model
        Who is asked now.
    """
    promise = [int(value) for value in stop["promise"]]
    closes = int(stop["closes"])
    return {
        "_id": _digest("outcome", delivery, _kind(stop), int(stop["driver"]), int(stop["born"])),
        "tenant": tenant,
        "delivery": delivery,
        "stop": _kind(stop),
        "at": _instant(arrived_ms),
        "promisedAt": _instant(int(stop["promised"])),
        "errorS": round((max(arrived_ms, int(stop["opens"])) - promise[1]) / 1000, 1),
        "early": arrived_ms < promise[0] and int(stop["opens"]) < promise[0],
        "late": arrived_ms > promise[2],
        "widthS": round((promise[2] - promise[0]) / 1000, 1),
        "leftS": round((promise[1] - int(stop["promised"])) / 1000, 1),
        "windowed": closes > 0,
        "missed": 0 < closes < arrived_ms,
        "toldLate": bool(stop["flags"] & AheadFlag.LATE),
        "model": model,
        "legs": [] if finish is None else [_leg(one, finish.actual_s) for one in finish.said],
    }


def _leg(said: ModelSaid, actual_s: float) -> dict[str, Any]:
    low, middle, high = said.said_s
    return {
        "model": said.model,
        "errorS": round(actual_s - middle, 1),
        "inside": low <= actual_s <= high,
        "widthS": round(high - low, 1),
    }


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    low, middle, high = (float(value) for value in values)
    return low, middle, high


def _event(
    kind: str, stop: np.void, tenant: str, driver: str, delivery: str, measures: dict[str, Any]
) -> dict[str, Any]:
    identifier = f"evt_{_digest(kind, delivery, int(stop['driver']), int(stop['born']), int(stop['closes']))}"
    return {
        "_id": identifier,
        "tenant": tenant,
        "type": kind,
        "aggregate": delivery,
        "sequence": 0,
        "schema": _SCHEMA,
        "time": _instant(int(stop["updated"])),
        "data": {
            "deliveryId": delivery,
            "driverId": driver,
            "estimated": int(stop["shown"]),
            "earliest": int(stop["reached"][0]),
            "latest": int(stop["reached"][2]),
            "traceId": trace_id_of(identifier),
            **measures,
        },
    }


def _digest(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=13).hexdigest()


def _kind(stop: np.void) -> str:
    return STOP_NAMES[int(stop["kind"])]


def _instant(ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ms / 1000, tz=UTC)
