"""GPSLogger for Android by custom URL (https://gpslogger.app/): the user chooses the parameters' names.

We take the names of our own how-to and the ones that people copy from elsewhere. Speed is in m/s (`%SPD`).
"""

from collections.abc import Mapping
from typing import Any

from api.devices.report import Report, read_fix
from models.messages.fixes import Source

__all__ = ["read"]

_NAMES: Mapping[str, tuple[str, ...]] = {
    "latitude": ("lat", "latitude"),
    "longitude": ("lon", "lng", "longitude"),
    "speed": ("speed", "spd", "s"),
    "heading": ("heading", "bearing", "dir", "direction"),
    "accuracy": ("accuracy", "acc"),
    "altitude": ("altitude", "alt"),
    "battery": ("battery", "batt"),
}
_TIMES = ("timestamp", "time", "tst")
_DEVICES = ("id", "device", "aid", "ser", "serial")


def read(fields: Mapping[str, Any]) -> Report:
    """Read the parameters of a query string, a form or a JSON object."""
    lowered = {name.lower(): value for name, value in fields.items()}
    device = _first(lowered, _DEVICES)
    named = {ours: _first(lowered, theirs) for ours, theirs in _NAMES.items()}
    if named["latitude"] is None and named["longitude"] is None:
        return Report(Source.GPSLOGGER, device, events=("heartbeat",))
    fix = read_fix(named, time=_first(lowered, _TIMES))
    return Report(Source.GPSLOGGER, device, (fix,) if fix else (), bad=fix is None)


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((fields[name] for name in names if fields.get(name) not in (None, "")), None)
