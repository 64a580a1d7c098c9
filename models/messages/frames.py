"""Parts of live frames that both the gateway and the client speak."""

import msgspec

__all__ = ["DriverState"]


class DriverState(msgspec.Struct, frozen=True, rename="camel"):
    """One driver in a JSON frame."""

    id: str
    name: str
    latitude: float
    longitude: float
    speed: float | None
    """Metres a second."""
    heading: float | None
    """Degrees from north."""
    accuracy: float | None
    """Metres."""
    battery: int | None
    """Percent."""
    motion: str
    """`moving`, `stopped` or `unknown`."""
    online: bool
    time: int
    """Fix time, epoch milliseconds."""
    received: int
    """Server time, epoch milliseconds."""
    open_stops: int
    """Planned stops that are still to do."""
