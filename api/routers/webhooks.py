"""Webhooks: where a company's own servers are told what happens."""

import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field, model_validator

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.etags import IfMatch, seen_version, tag
from api.idempotency import IdempotencyKey, create_once
from api.paging import PageOf, Paging, opaque, page_of
from api.routers.events import place_of
from api.services import Services
from engine.webhooks.commands import Disclosed, WebhookCommands
from engine.webhooks.replay import WebhookReplay
from engine.webhooks.sender import WebhookSender
from engine.webhooks.tasks import ping_of
from models.documents.document import Flag, Instant, Shape, now
from models.documents.webhook import Webhook, WebhookAttempt, WebhookShape, WhyDisabled
from models.store.webhooks import WebhookAttemptRepository, WebhookRepository

__all__ = ["router"]

router = APIRouter(prefix="/webhooks", tags=["webhooks"])
Admin = Annotated[Principal, Depends(allowed("webhooks.manage"))]
Version = Annotated[int | None, Query(ge=1, description="The version that the caller has seen")]


class WebhookBody(WebhookShape):
    """A webhook to be made."""


class WebhookChange(WebhookShape):
    """A webhook as it is to be."""

    version: int | None = Field(None, ge=1)
    """The version that the caller has seen; if it is no longer current, the answer is 409."""


class WebhookView(WebhookShape):
    """A webhook without its secret."""

    id: str
    version: int
    why_disabled: WhyDisabled | None
    """`asked`: by a person; `gone`: it answered 410; `failing`: nothing was taken for days."""
    old_secrets_until: Instant | None
    """Until when a secret of before the last rotation goes on signing."""
    created_at: Instant


class WebhookWithSecret(WebhookView):
    """A webhook with its newest secret, which can't be seen again."""

    secret: str
    """`whsec_…`: verifies the signatures."""


class AttemptView(Shape):
    """One try to tell a webhook of one event."""

    id: str
    event_id: str
    """The same at every try, as `webhook-id` says it."""
    type: str
    time: Instant
    attempt: int
    """Its number among the tries for this event."""
    ok: bool
    """Whether the answer was one of 2xx."""
    status: int | None
    """Status of the answer, if there was one."""
    duration_ms: float
    error: str | None
    next_attempt: Instant | None
    """When it is tried again; none after a success and after the last try."""


class ReplayBody(Shape):
    """What to tell a webhook again: one of the three."""

    since: Instant | None = None
    """Everything that happened from this moment on."""
    cursor: str | None = Field(None, max_length=128)
    """Everything after this place: `next` of `GET /events`, or of an earlier replay."""
    failed: Flag = False
    """Everything that it was told of in vain and is told of no more."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum((self.since is not None, self.cursor is not None, self.failed)) != 1:
            raise ValueError("say one of since, cursor and failed")
        return self


class ReplayView(Shape):
    """What will be told again."""

    queued: int
    """Events that are on their way."""
    next: str | None
    """If there is more than is taken at once: the `cursor` of the next call."""


@router.post("", status_code=201, response_model=WebhookWithSecret)
async def create_webhook(
    request: Request, services: ServicesOf, principal: Admin, body: WebhookBody, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a webhook. The answer alone holds its secret."""

    async def create() -> WebhookWithSecret:
        return _disclosed(await _commands(services).create(principal.scope, body))

    return await create_once(request, services.database, principal, idempotency_key, create)


@router.get("", response_model=PageOf[WebhookView])
async def list_webhooks(services: ServicesOf, principal: Admin, page: Paging) -> dict[str, Any]:
    """Return the company's webhooks, oldest first."""
    return page_of(await WebhookRepository(services.database).page(principal.scope, page), _view)


@router.get("/{webhook_id}")
async def get_webhook(services: ServicesOf, principal: Admin, response: Response, webhook_id: str) -> WebhookView:
    """Return one webhook."""
    return _tagged(response, await WebhookRepository(services.database).get(principal.scope, webhook_id))


@router.put("/{webhook_id}")
async def replace_webhook(
    services: ServicesOf,
    principal: Admin,
    response: Response,
    webhook_id: str,
    body: WebhookChange,
    if_match: IfMatch = None,
) -> WebhookView:
    """Change a webhook's address, events, description, or whether it is enabled."""
    version = seen_version(if_match, body.version)
    shape = WebhookShape(**{name: getattr(body, name) for name in WebhookShape.model_fields})
    return _tagged(response, await _commands(services).change(principal.scope, webhook_id, shape, version))


@router.delete("/{webhook_id}", status_code=204)
async def delete_webhook(
    services: ServicesOf, principal: Admin, webhook_id: str, version: Version = None, if_match: IfMatch = None
) -> None:
    """Delete a webhook; what was on its way to it is dropped."""
    await _commands(services).delete(principal.scope, webhook_id, seen_version(if_match, version))


@router.post("/{webhook_id}/enable")
async def enable_webhook(services: ServicesOf, principal: Admin, response: Response, webhook_id: str) -> WebhookView:
    """Tell a webhook of events again, from now on; `replay` brings what it missed."""
    return _tagged(response, await _commands(services).enable(principal.scope, webhook_id))


@router.post("/{webhook_id}/disable")
async def disable_webhook(services: ServicesOf, principal: Admin, response: Response, webhook_id: str) -> WebhookView:
    """Tell a webhook of nothing more until it is enabled again."""
    return _tagged(response, await _commands(services).disable(principal.scope, webhook_id, "asked"))


@router.post("/{webhook_id}/rotate-secret")
async def rotate_webhook_secret(
    services: ServicesOf, principal: Admin, response: Response, webhook_id: str
) -> WebhookWithSecret:
    """Give a webhook a new secret, shown this once; the old one goes on signing beside it for 24 hours."""
    disclosed = await _commands(services).rotate(principal.scope, webhook_id)
    tag(response, disclosed.webhook.version)
    return _disclosed(disclosed)


@router.post("/{webhook_id}/test")
async def test_webhook(services: ServicesOf, principal: Admin, webhook_id: str) -> AttemptView:
    """Send a `webhook.ping` now, also to a disabled webhook, and return how it went. It is not tried again."""
    webhook = await WebhookRepository(services.database).get(principal.scope, webhook_id)
    async with WebhookSender(services.settings.webhooks) as sender:
        attempt = await ping_of(webhook, principal.scope, sender)
    await WebhookAttemptRepository(services.database).note(attempt)
    return _attempt_view(attempt)


@router.get("/{webhook_id}/deliveries", response_model=PageOf[AttemptView])
async def list_webhook_deliveries(
    services: ServicesOf,
    principal: Admin,
    page: Paging,
    webhook_id: str,
    ok: Annotated[bool | None, Query(description="Only tries that went well, or that failed")] = None,
) -> dict[str, Any]:
    """Return the tries of the last 30 days to tell a webhook something, newest first."""
    webhook = await WebhookRepository(services.database).get(principal.scope, webhook_id)
    found = await WebhookAttemptRepository(services.database).page(principal.scope, webhook.id, page, ok)
    return page_of(found, _attempt_view)


@router.post("/{webhook_id}/replay", status_code=202)
async def replay_webhook(services: ServicesOf, principal: Admin, webhook_id: str, body: ReplayBody) -> ReplayView:
    """Tell a webhook again: from a time on, after a place in the feed, or what failed for good.

    A call takes 10,000 events at most, of 100,000 that it looks at; `next` says where to go on. Each event keeps its
    `webhook-id`.
    """
    webhook = await WebhookRepository(services.database).get(principal.scope, webhook_id)
    replay = WebhookReplay(services.database)
    if body.failed:
        return ReplayView(queued=await replay.failed(principal.scope, webhook), next=None)
    place = 0 if body.cursor is None else place_of(body.cursor)
    queued, following = await replay.feed(principal.scope, webhook, since=body.since, after=place)
    return ReplayView(queued=queued, next=None if following is None else opaque(str(following)))


def _commands(services: Services) -> WebhookCommands:
    return WebhookCommands(services.database, services.settings.webhooks)


def _tagged(response: Response, webhook: Webhook) -> WebhookView:
    tag(response, webhook.version)
    return _view(webhook)


def _view(webhook: Webhook) -> WebhookView:
    return WebhookView(**_fields(webhook))


def _disclosed(disclosed: Disclosed) -> WebhookWithSecret:
    return WebhookWithSecret(**_fields(disclosed.webhook), secret=disclosed.secret)


def _fields(webhook: Webhook) -> dict[str, Any]:
    moment = now()
    until = [secret.until for secret in webhook.secrets if secret.until is not None and secret.until > moment]
    latest: datetime.datetime | None = max(until, default=None)
    shown = {name: getattr(webhook, name) for name in WebhookView.model_fields if name != "old_secrets_until"}
    return shown | {"old_secrets_until": latest}


def _attempt_view(attempt: WebhookAttempt) -> AttemptView:
    shown = {name: getattr(attempt, name) for name in AttemptView.model_fields if name != "event_id"}
    return AttemptView(**shown, event_id=attempt.event)
