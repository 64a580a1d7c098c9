"""Where people can be reached, by channel. Pure."""

from collections.abc import Mapping

from models.documents.delivery import Delivery
from models.documents.driver import Driver
from models.documents.notification import Channel

__all__ = ["addresses_of_customer", "addresses_of_driver"]


def addresses_of_customer(delivery: Delivery) -> dict[Channel, str]:
    """Return where a delivery's customer can be reached."""
    return _given({"sms": delivery.customer.phone, "email": delivery.customer.email})


def addresses_of_driver(driver: Driver) -> dict[Channel, str]:
    """Return where a driver can be reached."""
    return _given({"sms": driver.phone, "email": driver.email, "push": driver.push_token})


def _given(addresses: Mapping[Channel, str | None]) -> dict[Channel, str]:
    return {channel: address for channel, address in addresses.items() if address}
