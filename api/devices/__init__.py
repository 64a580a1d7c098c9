"""Ways in for ordinary phone apps and trackers, each by its own protocol."""

from api.devices.router import router

__all__ = ["router"]
