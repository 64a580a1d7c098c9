"""Overland for iOS (https://github.com/aaronpk/Overland-iOS): a batch of GeoJSON features. Speed is in m/s."""

from typing import Any

from api.devices.report import DeviceFix, Report, read_fix
from models.messages.fixes import Source

__all__ = ["read"]


def read(body: Any) -> list[Report]:
    """Read a batch into a report a device. `current` is a position that comes again later, as part of a batch."""
    if not isinstance(body, dict):
        return [Report(Source.OVERLAND, None, bad=1)]
    locations = body.get("locations")
    features = list(locations) if isinstance(locations, list) else []
    if isinstance(body.get("current"), dict):
        features.append(body["current"])
    fixes: dict[str | None, list[DeviceFix]] = {}
    bad: dict[str | None, int] = {}
    for feature in features:
        device, fix = _read_feature(feature)
        if fix is None:
            bad[device] = bad.get(device, 0) + 1
        else:
            fixes.setdefault(device, []).append(fix)
    devices = dict.fromkeys([*fixes, *bad]) or {None: None}
    return [Report(Source.OVERLAND, device, tuple(fixes.get(device, ())), bad=bad.get(device, 0)) for device in devices]


def _read_feature(feature: Any) -> tuple[str | None, DeviceFix | None]:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    if not isinstance(properties, dict) or not isinstance(geometry, dict):
        return None, None
    device = properties.get("device_id") or properties.get("unique_id")
    name = str(device)[:200] if device else None
    coordinates = geometry.get("coordinates")
    if not isinstance(coordinates, list) or len(coordinates) < 2:
        return name, None
    named = {
        "latitude": coordinates[1],
        "longitude": coordinates[0],
        "speed": properties.get("speed"),
        "heading": properties.get("course"),
        "accuracy": properties.get("horizontal_accuracy"),
        "altitude": properties.get("altitude"),
        "battery": properties.get("battery_level"),
    }
    return name, read_fix(named, time=properties.get("timestamp"), battery_unit_pct=100)
