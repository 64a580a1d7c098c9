"""What a subscriber may say, and how it is checked. Pure."""

from typing import Literal

import msgspec

from api.gateway.viewport import Bbox
from models.errors import InvalidInput

__all__ = [
    "Authenticate",
    "ClientMessage",
    "Ping",
    "Resume",
    "Subscribe",
    "SubscribeDelivery",
    "Topic",
    "Unsubscribe",
    "UnsubscribeDelivery",
    "parse_message",
    "parse_viewport",
]

Topic = Literal["viewport", "fleet", "driver", "delivery", "job", "alerts"]

_MAX_NAME = 64  # characters of a subscription's id; it comes back in each frame


class Authenticate(msgspec.Struct, tag="authenticate"):
    """The first message of a client that could send no header."""

    token: str


class Subscribe(msgspec.Struct, tag="subscribe", rename="camel"):
    """Look at something from now on; the same `id` again replaces it."""

    id: str
    topic: Topic
    bbox: tuple[float, float, float, float] | None = None
    """South, west, north, east."""
    driver_id: str | None = None
    delivery_id: str | None = None
    job_id: str | None = None
    interval_ms: float = 100.0


class Unsubscribe(msgspec.Struct, tag="unsubscribe"):
    """Stop looking."""

    id: str


class SubscribeDelivery(msgspec.Struct, tag="subscribe_delivery", rename="camel"):
    """Short form of a `delivery` subscription, whose id is the delivery's."""

    delivery_id: str


class UnsubscribeDelivery(msgspec.Struct, tag="unsubscribe_delivery", rename="camel"):
    """End of a short form."""

    delivery_id: str


class Resume(msgspec.Struct, tag="resume"):
    """The client lost frames after number `n`: everything in full, please."""

    n: int = 0


class Ping(msgspec.Struct, tag="ping"):
    """Ask for a `pong`."""


ClientMessage = Authenticate | Subscribe | Unsubscribe | SubscribeDelivery | UnsubscribeDelivery | Resume | Ping

_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)


def parse_message(data: bytes | str) -> ClientMessage:
    """Return what a client said.

    Raises
    ------
    msgspec.DecodeError
        If it is not JSON at all.
    InvalidInput
        If it is JSON of a wrong shape, with what is wrong.
    """
    try:
        message = _decoder.decode(data)
    except msgspec.ValidationError as cause:
        raise InvalidInput(str(cause)) from cause
    if isinstance(message, Subscribe):
        if not 1 <= len(message.id) <= _MAX_NAME:
            raise InvalidInput(f"a subscription's id has 1 to {_MAX_NAME} characters", [("id", "wrong length")])
        if not message.interval_ms >= 0:
            raise InvalidInput("intervalMs is not a number of milliseconds", [("intervalMs", "out of range")])
    return message


def parse_viewport(corners: tuple[float, float, float, float] | None) -> Bbox:
    """Return the box of a `viewport` subscription.

    Raises
    ------
    InvalidInput
        If there is none, or a corner is no place on earth.
    """
    if corners is None:
        raise InvalidInput("topic viewport needs bbox: [south, west, north, east]", [("bbox", "missing")])
    south, west, north, east = corners
    if not (-90 <= south <= north <= 90):
        raise InvalidInput("bbox latitudes go from south to north within -90 to 90", [("bbox", "out of range")])
    if not (-180 <= west <= 180 and -180 <= east <= 180):
        raise InvalidInput("bbox longitudes lie within -180 to 180", [("bbox", "out of range")])
    return Bbox(south, west, north, east)
