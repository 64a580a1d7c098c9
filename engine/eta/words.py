"""What makes an arrival later or earlier, in words. Pure."""

from collections.abc import Mapping

from models.eta.cold_start import Factor

__all__ = ["words_of"]

_PARTS: Mapping[str, str] = {
    "driving": "Driving takes {minutes}",
    "stops_before": "Stops before it take {minutes}",
    "break": "The driver's break takes {minutes}",
    "waiting": "Waiting until it may be delivered takes {minutes}",
}
_REASONS: Mapping[str, str] = {
    "distance": "The way",
    "direction": "The direction",
    "time_of_day": "The time of day",
    "place": "The area",
    "traffic": "Traffic",
    "progress": "How the way has gone so far",
    "route": "The place in the route",
    "load": "The load",
    "weather": "The weather",
    "driver": "The driver's usual pace",
    "today": "What the fleet met in the last hours",
    "usual": "What such ways usually take beyond the free road",
}


def words_of(factor: Factor) -> str:
    """Return a part of the time, or a reason that changes it, as a sentence without its full stop."""
    minutes = f"{abs(factor.minutes):.1f} min"
    if factor.name in _PARTS:
        return _PARTS[factor.name].format(minutes=minutes)
    reason = _REASONS.get(factor.name, factor.name)
    return f"{reason} adds {minutes}" if factor.minutes > 0 else f"{reason} saves {minutes}"
