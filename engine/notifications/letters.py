"""What it takes to write to a person: addresses, language and values, looked up at the moment of sending."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from engine.notifications.addresses import addresses_of_customer, addresses_of_driver
from engine.notifications.choice import is_overtaken
from engine.notifications.links import CustomerLinks
from engine.notifications.texts import LANGUAGES, Text, Value, text_of
from engine.settings import Settings
from models.documents.delivery import Delivery
from models.documents.document import now
from models.documents.language import Language
from models.documents.notification import Channel, Notification, Template
from models.documents.tenant import Tenant
from models.errors import NotFound
from models.phones import normal_phone
from models.store.accounts import AccountRepository
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository
from models.store.drivers import DriverRepository
from models.store.scope import Scope
from models.store.users import UserRepository

__all__ = ["Letter", "Letters", "language_named", "values_of_delivery"]


@dataclass(frozen=True, slots=True)
class Letter:
    """A message before it is put into words."""

    tenant: Tenant
    addresses: Mapping[Channel, str]
    language: Language
    values: Mapping[str, Value]
    overtaken: bool = False
    """Whether it is of no use any more."""

    def text(self, template: Template, channel: Channel) -> Text:
        """Return it in words; raises as `text_of` does."""
        return text_of(template, self.language, channel, self.values, self.tenant.settings.time_zone)


class Letters:
    """Looks up what letters are made of."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._accounts = AccountRepository(database)
        self._deliveries = DeliveryRepository(database)
        self._drivers = DriverRepository(database, settings.log.partitions)
        self._users = UserRepository(database)
        self._links = CustomerLinks(database, settings)

    async def letter(self, notification: Notification, payload: Mapping[str, Any]) -> Letter:
        """Return the letter of a notification.

        Parameters
        ----------
        notification
            Whom it is for, and about what.
        payload
            Of its task; mails about accounts have their address and values there and nowhere else.

        Raises
        ------
        NotFound
            If the person, the delivery or the company is gone.
        """
        scope = Scope(notification.tenant, "engine")
        tenant = await self._accounts.tenant(scope)
        bare = Letter(tenant, {}, notification.language or tenant.settings.language, {"company": tenant.name})
        if notification.delivery is not None:
            letter = await self._about_delivery(scope, notification, bare)
        elif notification.user is not None:
            letter = await self._to_admin(scope, notification, bare)
        else:
            letter = replace(bare, addresses=_addresses(payload), values={**bare.values, **_values(payload)})
        if (phone := letter.addresses.get("sms")) is None:
            return letter
        dialled = normal_phone(phone, tenant.settings.country)
        return replace(letter, addresses={**letter.addresses, "sms": dialled})

    async def _about_delivery(self, scope: Scope, notification: Notification, bare: Letter) -> Letter:
        delivery = await self._deliveries.get(scope, notification.delivery or "")
        values = {**bare.values, **values_of_delivery(delivery)}
        if notification.minutes is not None:
            values["minutes"] = notification.minutes
        letter = replace(bare, values=values, overtaken=is_overtaken(notification, delivery, now()))
        if notification.driver is None:
            chosen = notification.language or delivery.customer.language or bare.language
            values |= {"link": await self._links.to(scope, delivery.id)}
            return replace(letter, addresses=addresses_of_customer(delivery), language=chosen, values=values)
        driver = await self._drivers.get(scope, notification.driver)
        values |= {"name": driver.name, "address": _address(delivery)}
        chosen = notification.language or driver.language or bare.language
        return replace(letter, addresses=addresses_of_driver(driver), language=chosen, values=values)

    async def _to_admin(self, scope: Scope, notification: Notification, bare: Letter) -> Letter:
        user = await self._users.get(scope, notification.user or "")
        if user.role != "admin":
            raise NotFound("admin", user.id)
        values: dict[str, Value] = {"kind": notification.about or "", "attempts": notification.attempts or 1}
        if user.name is not None:
            values["name"] = user.name
        return replace(bare, addresses={"email": user.email}, values={**bare.values, **values})


def values_of_delivery(delivery: Delivery) -> dict[str, Value]:
    """Return what a delivery itself says."""
    values: dict[str, Value] = {"reference": delivery.reference or delivery.id}
    if delivery.customer.name is not None:
        values["name"] = delivery.customer.name
    if delivery.time_window is not None:
        values |= {"windowStart": delivery.time_window.start, "windowEnd": delivery.time_window.end}
    return values


def _address(delivery: Delivery) -> str:
    place = delivery.dropoff
    return place.address or f"{place.latitude:.5f}, {place.longitude:.5f}"


def _addresses(payload: Mapping[str, Any]) -> dict[Channel, str]:
    """Return the addresses that a task names: `to: {"email", "phone", "push"}`."""
    to = payload.get("to")
    if not isinstance(to, Mapping):
        return {}
    names: dict[Channel, str] = {"email": "email", "sms": "phone", "push": "push"}
    return {channel: str(to[name]) for channel, name in names.items() if to.get(name)}


def _values(payload: Mapping[str, Any]) -> dict[str, Value]:
    values = payload.get("values")
    if not isinstance(values, Mapping):
        return {}
    return {str(name): value for name, value in values.items() if isinstance(value, get_args(Value))}


def language_named(payload: Mapping[str, Any]) -> Language | None:
    """Return the language that a task names, if it is one of ours."""
    named = payload.get("language")
    return next((language for language in LANGUAGES if language == named), None)
