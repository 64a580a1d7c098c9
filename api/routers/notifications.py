"""Notifications: what customers, drivers and admins were told, and by which rules."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field, field_validator

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.etags import IfMatch, seen_version, tag
from api.idempotency import IdempotencyKey, create_once
from api.paging import PageOf, Paging, page_of
from engine.notifications.commands import NotificationCommands
from engine.notifications.letters import values_of_delivery
from engine.notifications.links import CustomerLinks
from engine.notifications.texts import Value, text_of
from models.documents.document import Instant, Shape
from models.documents.language import Language
from models.documents.notification import (
    Audience,
    Channel,
    Notification,
    NotificationState,
    Outcome,
    Template,
)
from models.documents.notification_rules import DEFAULT_RULES, NotificationRules, Rule
from models.store.accounts import AccountRepository
from models.store.deliveries import DeliveryRepository
from models.store.notifications import (
    NotificationFilter,
    NotificationRepository,
    NotificationRulesRepository,
)

__all__ = ["router"]

router = APIRouter(tags=["notifications"])
Office = Annotated[Principal, Depends(allowed("notifications.view"))]
Admin = Annotated[Principal, Depends(allowed("notifications.manage"))]

_MOST_VALUES = 20


class TryView(Shape):
    """One attempt to send over one channel."""

    channel: Channel
    at: Instant
    outcome: Outcome
    """`begun`: handed over, and nothing heard yet; `down`: the provider did not take it; `refused`: it never will."""
    detail: str | None


class NotificationView(Shape):
    """What one person was told about one thing, without words and address."""

    id: str
    template: Template
    audience: Audience
    state: NotificationState
    """`unsent`: nobody is set up to send it, or there is no address; `unknown`: it may have been sent."""
    channels: tuple[Channel, ...]
    """Those that may be used, the best first."""
    channel: Channel | None
    """The one it was sent over, or last tried."""
    reason: str | None
    """Why it is `unsent`, `failed` or `unknown`."""
    delivery_id: str | None
    driver_id: str | None
    user_id: str | None
    event_id: str | None
    resends: str | None
    """The notification that was sent once more by this one."""
    tries: tuple[TryView, ...]
    created_at: Instant
    updated_at: Instant


class RulesView(Shape):
    """Who is told what, and over which channels."""

    version: int
    rules: Mapping[Template, Rule]


class RulesBody(Shape):
    """Rules as they are to be; kinds of messages that are left out have the usual ones."""

    rules: dict[Template, Rule]
    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""

    @field_validator("rules")
    @classmethod
    def _can_be_chosen(cls, rules: dict[Template, Rule]) -> dict[Template, Rule]:
        fixed = sorted(rules.keys() - DEFAULT_RULES.keys())
        if fixed:
            raise ValueError(f"{fixed[0]} has no rule: it goes out by e-mail")
        return rules


class PreviewBody(Shape):
    """A message to be put into words."""

    template: Template
    channel: Channel = "sms"
    """A mail greets and takes its leave."""
    language: Language | None = None
    """None takes the company's."""
    delivery_id: str | None = None
    """Takes reference, name, time window and link from a delivery."""
    values: dict[str, str | int] = Field(default_factory=dict, max_length=_MOST_VALUES)
    """What the message tells of, such as `reference` and `minutes`; goes before what the delivery says."""


class PreviewView(Shape):
    """A message in words."""

    language: Language
    subject: str
    """Of a mail or a push message."""
    text: str


@router.get("/notifications", response_model=PageOf[NotificationView])
async def list_notifications(
    services: ServicesOf,
    principal: Office,
    page: Paging,
    delivery_id: Annotated[str | None, Query(alias="deliveryId", max_length=80)] = None,
    state: NotificationState | None = None,
    channel: Channel | None = None,
    template: Template | None = None,
) -> dict[str, Any]:
    """Return what people were told, newest first."""
    wanted = NotificationFilter(delivery_id, state, channel, template)
    return page_of(await NotificationRepository(services.database).page(principal.scope, page, wanted), _view)


@router.post("/notifications/preview")
async def preview_notification(services: ServicesOf, principal: Office, body: PreviewBody) -> PreviewView:
    """Put a message into words without sending it."""
    tenant = await AccountRepository(services.database).tenant(principal.scope)
    values: dict[str, Value] = {"company": tenant.name}
    language = body.language or tenant.settings.language
    if body.delivery_id is not None:
        delivery = await DeliveryRepository(services.database).get(principal.scope, body.delivery_id)
        values |= values_of_delivery(delivery)
        values["link"] = await CustomerLinks(services.database, services.settings).to(principal.scope, delivery.id)
        language = body.language or delivery.customer.language or language
    text = text_of(body.template, language, body.channel, values | body.values, tenant.settings.time_zone)
    return PreviewView(language=language, subject=text.subject, text=text.text)


@router.get("/notifications/{notification_id}")
async def get_notification(services: ServicesOf, principal: Office, notification_id: str) -> NotificationView:
    """Return one notification."""
    return _view(await NotificationRepository(services.database).get(principal.scope, notification_id))


@router.post("/notifications/{notification_id}/resend", status_code=201, response_model=NotificationView)
async def resend_notification(
    request: Request,
    services: ServicesOf,
    principal: Admin,
    notification_id: str,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Send a notification once more, whatever became of it, also in quiet hours."""

    async def create() -> NotificationView:
        return _view(await NotificationCommands(services.database).resend(principal.scope, notification_id))

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("/notification-rules")
async def get_notification_rules(response: Response, services: ServicesOf, principal: Office) -> RulesView:
    """Return who is told what, and over which channels, with the version as `ETag`."""
    return _rules_view(response, await NotificationRulesRepository(services.database).shown(principal.scope))


@router.put("/notification-rules")
async def replace_notification_rules(
    response: Response, services: ServicesOf, principal: Admin, body: RulesBody, if_match: IfMatch = None
) -> RulesView:
    """Replace the rules; a kind of message without channels is turned off."""
    version = seen_version(if_match, body.version)
    commands = NotificationCommands(services.database)
    return _rules_view(response, await commands.choose(principal.scope, body.rules, version))


def _rules_view(response: Response, rules: NotificationRules) -> RulesView:
    tag(response, rules.version)
    return RulesView(version=rules.version, rules={template: rules.rule(template) for template in DEFAULT_RULES})


def _view(notification: Notification) -> NotificationView:
    same = ("id", "template", "audience", "state", "channels", "channel", "reason", "resends")
    fields = {name: getattr(notification, name) for name in (*same, "created_at", "updated_at")}
    return NotificationView(
        **fields,
        delivery_id=notification.delivery,
        driver_id=notification.driver,
        user_id=notification.user,
        event_id=notification.event,
        tries=tuple(TryView.model_validate(dict(one)) for one in notification.tries),
    )
