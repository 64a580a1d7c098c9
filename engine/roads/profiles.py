"""Which ways a kind of vehicle may take, in which direction, and how fast: OpenStreetMap's tags as speeds.

Speeds by class are free-flow means of a whole way, as routing engines use them; a posted limit counts with the share of
it that traffic really drives. The access rules follow https://wiki.openstreetmap.org/wiki/Key:access: the most special
key that a vehicle listens to decides.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PROFILES", "ROAD_CLASSES", "RoadProfile", "class_of", "speeds_kmh"]

ROAD_CLASSES = (
    *("motorway", "motorway_link", "trunk", "trunk_link", "primary", "primary_link", "secondary", "secondary_link"),
    *("tertiary", "tertiary_link", "unclassified", "residential", "living_street", "service", "road", "track"),
    *("pedestrian", "cycleway", "path", "footway", "ferry"),
)
"""What a way can be; the place in this tuple is what the graph keeps."""

_LIMIT_SHARE = 0.82  # of a posted limit that a whole way is driven at
_WALKING_KMH = 6.0
_RESTRICTED_KMH = 12.0  # private and destination-only roads: taken at either end, never worth a way through
_NO = frozenset({"no", "agricultural", "forestry", "emergency", "psv", "bus", "military", "use_sidepath"})
_RESTRICTED = frozenset({"private", "destination", "delivery", "customers", "permit", "residents"})
_YES = frozenset({"yes", "designated", "permissive", "official", "destination", "delivery", "private", "customers"})
_PASSABLE = frozenset({"gate", "lift_gate", "swing_gate", "toll_booth", "border_control", "entrance", "cattle_grid"})
_HARMLESS = frozenset({"kerb", "height_restrictor", "checkpoint", "no", "hedge", "sally_port"})
_SURFACE_KMH = {
    **dict.fromkeys(("unpaved", "gravel", "fine_gravel", "compacted", "dirt", "earth", "ground", "grass"), 25.0),
    **dict.fromkeys(("mud", "sand", "wood", "pebblestone", "rock"), 15.0),
    **dict.fromkeys(("cobblestone", "sett", "unhewn_cobblestone"), 30.0),
}
_MPH_KMH = 1.609344
_NUMBER = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(mph|t|m|st|kg|lbs)?\s*$")
_FEET = re.compile(r"^\s*(\d+)'\s*(?:(\d+)\")?\s*$")


@dataclass(frozen=True, slots=True)
class RoadProfile:
    """A kind of vehicle, to the road."""

    keys: tuple[str, ...]
    """Access keys that it listens to, the most special first."""
    class_kmh: Mapping[str, float]
    """Speed by road class; what is not in it is closed unless a tag opens it."""
    top_kmh: float
    height_m: float = 0.0
    width_m: float = 0.0
    weight_t: float = 0.0
    is_motor: bool = True

    @property
    def restriction_keys(self) -> tuple[str, ...]:
        """What a turn restriction calls the vehicle, in `except` and behind `restriction:`."""
        return self.keys


_CAR_KMH = {
    "motorway": 98.0,
    "motorway_link": 55.0,
    "trunk": 85.0,
    "trunk_link": 48.0,
    "primary": 58.0,
    "primary_link": 38.0,
    "secondary": 50.0,
    "secondary_link": 34.0,
    "tertiary": 42.0,
    "tertiary_link": 30.0,
    "unclassified": 35.0,
    "residential": 28.0,
    "living_street": 12.0,
    "service": 16.0,
    "road": 25.0,
    "track": 12.0,
    "ferry": 12.0,
}
_BIKE_KMH = {
    "trunk": 14.0,
    "trunk_link": 14.0,
    "primary": 16.0,
    "primary_link": 16.0,
    "secondary": 17.0,
    "secondary_link": 17.0,
    "tertiary": 18.0,
    "tertiary_link": 18.0,
    "unclassified": 18.0,
    "residential": 17.0,
    "living_street": 14.0,
    "service": 14.0,
    "road": 15.0,
    "track": 11.0,
    "pedestrian": 7.0,
    "cycleway": 18.0,
    "path": 11.0,
    "ferry": 12.0,
}
_MOTOR_KEYS = ("motor_vehicle", "vehicle", "access")

PROFILES: Mapping[str, RoadProfile] = {
    "car": RoadProfile(("motorcar", *_MOTOR_KEYS), _CAR_KMH, 130.0, 1.8, 1.9, 2.0),
    "van": RoadProfile(("goods", "motorcar", *_MOTOR_KEYS), _CAR_KMH, 115.0, 2.8, 2.1, 3.5),
    "truck": RoadProfile(
        ("hgv", *_MOTOR_KEYS), {name: speed * 0.88 for name, speed in _CAR_KMH.items()}, 85.0, 4.0, 2.55, 18.0
    ),
    "bike": RoadProfile(("bicycle", "vehicle", "access"), _BIKE_KMH, 20.0, is_motor=False),
}
"""By the vehicle profile of documents."""


def class_of(tags: Mapping[str, str]) -> int | None:
    """Return the place of a way's class in `ROAD_CLASSES`, or None if it is no way for vehicles."""
    kind = tags.get("highway", "").partition(";")[0]
    if kind == "bridleway":
        kind = "path"
    if tags.get("route") == "ferry":
        kind = "ferry"
    if kind not in ROAD_CLASSES or (tags.get("area") == "yes" and kind != "ferry"):
        return None
    return ROAD_CLASSES.index(kind)


def speeds_kmh(tags: Mapping[str, str], profile: RoadProfile) -> tuple[float, float]:
    """Return the speeds along a way and against it, km/h; 0 is closed.

    Parameters
    ----------
    tags
        Of a way for which `class_of` knows a class.
    profile
        Who drives.
    """
    kind = ROAD_CLASSES[class_of(tags) or 0]
    access = _access(tags, profile)
    base = profile.class_kmh.get(kind, _WALKING_KMH if kind in ("footway", "pedestrian") else 10.0)
    is_open = kind in profile.class_kmh if access is None else access not in _NO
    if (profile.is_motor and kind == "track" and access is None and tags.get("tracktype") in ("grade4", "grade5")) or (
        access is not None and kind not in profile.class_kmh and access not in _YES
    ):
        is_open = False
    if not is_open or _is_too_large(tags, profile):
        return 0.0, 0.0
    if tags.get("service") == "emergency_access" and access is None:
        return 0.0, 0.0
    speed = _speed(tags, profile, kind, base)
    if access in _RESTRICTED and kind != "ferry":
        speed = min(speed, _RESTRICTED_KMH)
    if access == "dismount":
        speed = _WALKING_KMH
    return _directed(tags, profile, kind, speed)


def is_barrier(tags: Mapping[str, str], profile: RoadProfile) -> bool:
    """Return whether a node with these tags stops a vehicle."""
    access = _access(tags, profile)
    barrier = tags.get("barrier")
    if barrier is None:
        return access in _NO and tags.get("highway") not in ("crossing", "bus_stop", "platform")
    if access is not None:
        return access in _NO
    if barrier in _HARMLESS:
        return False
    if barrier == "bollard" or barrier == "cycle_barrier" or barrier == "block":
        return profile.is_motor
    return barrier not in _PASSABLE and profile.is_motor


def node_seconds(tags: Mapping[str, str], profile: RoadProfile) -> float:
    """Return what passing a node costs beside the way, seconds."""
    if tags.get("highway") == "traffic_signals":
        return 6.0
    if tags.get("highway") == "stop":
        return 4.0
    if tags.get("highway") in ("give_way", "mini_roundabout"):
        return 2.0
    barrier = tags.get("barrier")
    if barrier in ("gate", "lift_gate", "swing_gate"):
        return 15.0
    return 10.0 if barrier in ("toll_booth", "border_control") and profile.is_motor else 0.0


def _access(tags: Mapping[str, str], profile: RoadProfile) -> str | None:
    for key in profile.keys:
        if key in tags:
            return tags[key].partition(";")[0]
    return None


def _is_too_large(tags: Mapping[str, str], profile: RoadProfile) -> bool:
    limits = (("maxheight", profile.height_m), ("maxwidth", profile.width_m), ("maxweight", profile.weight_t))
    return any(size > 0 and size > measure_of(tags.get(key)) for key, size in limits)


def _speed(tags: Mapping[str, str], profile: RoadProfile, kind: str, base: float) -> float:
    if kind == "ferry":
        return base
    if profile.is_motor and (limit := _limit_kmh(tags)) is not None:
        base = max(limit * _LIMIT_SHARE, 5.0)
    if profile.is_motor and tags.get("junction") in ("roundabout", "circular"):
        base = min(base, 32.0)
    surface = _SURFACE_KMH.get(tags.get("surface", ""))
    if surface is not None:
        base = min(base, surface if profile.is_motor else surface * 0.6)
    return min(base, profile.top_kmh)


def _limit_kmh(tags: Mapping[str, str]) -> float | None:
    found = _NUMBER.match(tags.get("maxspeed", ""))
    if found is None:
        return None
    limit = float(found[1]) * (_MPH_KMH if found[2] == "mph" else 1.0)
    return limit if 5 <= limit <= 160 else None


def _directed(tags: Mapping[str, str], profile: RoadProfile, kind: str, speed: float) -> tuple[float, float]:
    oneway = tags.get("oneway")
    if not profile.is_motor:
        oneway = tags.get("oneway:bicycle", oneway)
        if any(tags.get(key, "").startswith("opposite") for key in ("cycleway", "cycleway:left", "cycleway:right")):
            oneway = "no"
    if oneway is None and (tags.get("junction") in ("roundabout", "circular") or kind == "motorway"):
        oneway = "yes"
    if oneway in ("yes", "true", "1"):
        return speed, 0.0
    if oneway in ("-1", "reverse"):
        return 0.0, speed
    return (0.0, 0.0) if oneway == "reversible" else (speed, speed)


def measure_of(text: str | None) -> float:
    """Return a tagged limit in metres or tonnes, infinite where there is none or nobody can tell."""
    if text is None:
        return math.inf
    if feet := _FEET.match(text):
        return int(feet[1]) * 0.3048 + int(feet[2] or 0) * 0.0254
    found = _NUMBER.match(text)
    if found is None:
        return math.inf
    scale = {"kg": 0.001, "lbs": 0.000454, "st": 0.907}.get(found[2] or "", 1.0)
    return float(found[1]) * scale
