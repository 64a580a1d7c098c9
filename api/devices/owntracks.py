"""OwnTracks in HTTP mode (https://owntracks.org/booklet/tech/json/): one JSON message a request. Speed is in km/h."""

from collections.abc import Mapping
from typing import Any

from api.devices.report import DeviceFix, Report, read_fix
from models.messages.fixes import Source

__all__ = ["read"]

_KMH_MPS = 1 / 3.6


def read(body: Any, device: str | None) -> Report:
    """Read one message; kinds without a position count as a sign of life.

    Parameters
    ----------
    body
        The decoded JSON.
    device
        From the header `X-Limit-D`; else the last part of the message's topic.
    """
    if not isinstance(body, dict):
        return Report(Source.OWNTRACKS, device, bad=1)
    topic = body.get("topic")
    name = device or (topic.rpartition("/")[2] if isinstance(topic, str) else None)
    kind = body.get("_type")
    if kind == "transition":
        event = f"transition:{body.get('event')}:{body.get('desc', '')}"
        fix = _fix(body)
        return Report(Source.OWNTRACKS, name, (fix,) if fix else (), events=(event[:200],))
    if kind != "location":
        return Report(Source.OWNTRACKS, name, events=("heartbeat",))
    fix = _fix(body)
    return Report(Source.OWNTRACKS, name, (fix,) if fix else (), bad=fix is None)


def _fix(body: Mapping[str, Any]) -> DeviceFix | None:
    named = {
        "latitude": body.get("lat"),
        "longitude": body.get("lon"),
        "speed": body.get("vel"),
        "heading": body.get("cog"),
        "accuracy": body.get("acc"),
        "altitude": body.get("alt"),
        "battery": body.get("batt"),
    }
    return read_fix(named, time=body.get("tst"), speed_unit_mps=_KMH_MPS)
