"""OsmAnd's online tracking and Traccar Client of all generations, which share one address.

Query string or form (OsmAnd, Traccar Client up to 8 and from 10 on; https://www.traccar.org/osmand/), a JSON object
(Traccar Client 9) or a JSON array of flat objects (an option of Traccar Client 10). Speed is in knots in the flat
form and in m/s in the object.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from api.devices.report import KNOT_MPS, DeviceFix, Report, read_fix
from models.messages.fixes import Source

__all__ = ["read_fields", "read_json"]


def read_fields(fields: Mapping[str, Any]) -> Report:
    """Read the flat form: parameters of a query string or of a form."""
    device = fields.get("id") or fields.get("deviceid") or fields.get("device_id")
    events = tuple(f"alarm:{fields[name]}" for name in ("alarm",) if fields.get(name))
    place = _place(fields)
    if not place:
        return Report(Source.OSMAND, _text(device), events=events or ("heartbeat",))
    fix = _flat_fix(fields, place)
    return Report(Source.OSMAND, _text(device), (fix,) if fix else (), bad=fix is None, events=events)


def read_json(body: Any) -> list[Report]:
    """Read a JSON body: one object of Traccar Client 9, a flat object, or an array of either."""
    items: Sequence[Any] = body if isinstance(body, list) else [body]
    return [_read_object(item) if isinstance(item, dict) else Report(Source.TRACCAR, None, bad=1) for item in items]


def _read_object(item: Mapping[str, Any]) -> Report:
    location = item.get("location")
    if not isinstance(location, dict) or "coords" not in location:
        # flat, or a heartbeat of client 9, which has no coordinates
        return read_fields(item) if _place(item) else Report(Source.TRACCAR, _name(item), events=("heartbeat",))
    coords, battery = location["coords"], location.get("battery")
    if not isinstance(coords, dict):
        return Report(Source.TRACCAR, _name(item), bad=1)
    level = battery.get("level") if isinstance(battery, dict) else None
    fix = read_fix({**coords, "battery": level}, time=location.get("timestamp"), battery_unit_pct=100)
    return Report(Source.TRACCAR, _name(item), (fix,) if fix else (), bad=fix is None)


def _flat_fix(fields: Mapping[str, Any], place: tuple[Any, Any]) -> DeviceFix | None:
    latitude, longitude = place
    named = {
        "latitude": latitude,
        "longitude": longitude,
        "speed": fields.get("speed"),
        "heading": fields.get("bearing", fields.get("heading")),
        "accuracy": fields.get("accuracy"),
        "altitude": fields.get("altitude"),
        "battery": fields.get("batt"),
    }
    return read_fix(named, time=fields.get("timestamp"), speed_unit_mps=KNOT_MPS)


def _place(fields: Mapping[str, Any]) -> tuple[Any, Any] | None:
    if "lat" in fields and "lon" in fields:
        return fields["lat"], fields["lon"]
    location = fields.get("location")
    if isinstance(location, str) and "," in location:
        latitude, _, longitude = location.partition(",")
        return latitude, longitude
    return None


def _name(item: Mapping[str, Any]) -> str | None:
    return _text(item.get("device_id") or item.get("id") or item.get("deviceid"))


def _text(value: Any) -> str | None:
    return str(value)[:200] if value not in (None, "") else None
