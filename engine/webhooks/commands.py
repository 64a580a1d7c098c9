"""Changes of webhooks: load, decide, store with the event in one transaction."""

import asyncio
import datetime
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from engine.settings import WebhookSettings
from engine.webhooks.addresses import is_public
from engine.webhooks.look_ups import LOOK_UPS, asking_for
from engine.webhooks.signing import new_secret
from models.documents.document import now
from models.documents.event import Event
from models.documents.webhook import LOOPBACK_NAMES, Webhook, WebhookSecret, WebhookShape, WhyDisabled
from models.errors import Conflict, InvalidInput, check_version
from models.ids import new_id
from models.store.connections import Database
from models.store.outbox import Announcement
from models.store.scope import Scope
from models.store.webhooks import WebhookRepository

__all__ = ["OLD_SECRET_TTL", "Disclosed", "WebhookCommands"]

OLD_SECRET_TTL = datetime.timedelta(hours=24)
"""How long a secret goes on signing beside the one that has replaced it."""

_MOST_SECRETS = 5  # each adds a signature to every request
_LOOK_UP_WITHIN_S = 2.0  # a name server that says nothing holds up nobody: the name is looked at again when it is asked

_Kind = Literal[
    "webhook.created",
    "webhook.changed",
    "webhook.enabled",
    "webhook.disabled",
    "webhook.secret_rotated",
    "webhook.deleted",
]


@dataclass(frozen=True, slots=True)
class Disclosed:
    """A webhook with its newest secret, which is shown this once."""

    webhook: Webhook
    secret: str


class WebhookCommands:
    """What can be done to webhooks."""

    def __init__(self, database: Database, settings: WebhookSettings) -> None:
        self._webhooks = WebhookRepository(database)
        self._settings = settings

    async def create(self, scope: Scope, shape: WebhookShape) -> Disclosed:
        """Store a new webhook with a new secret.

        Raises
        ------
        InvalidInput
            If its address may not be asked.
        Conflict
            If the tenant has as many as it may.
        """
        await self._check_address(scope, shape.url)
        secret = new_secret()
        webhook = Webhook(
            **dict(shape),
            id=new_id("whk"),
            tenant=scope.tenant,
            secrets=(WebhookSecret(value=secret),),
            why_disabled=None if shape.enabled else "asked",
        )
        await self._webhooks.create(webhook, _announced(scope, None, webhook, "webhook.created"))
        return Disclosed(webhook, secret)

    async def change(self, scope: Scope, webhook: str, shape: WebhookShape, version: int | None) -> Webhook:
        """Replace what a person says of a webhook.

        Raises
        ------
        NotFound
            If the tenant has no such webhook.
        InvalidInput
            If its new address may not be asked.
        VersionConflict
            If `version` is no longer current, or somebody else was faster.
        """
        before = await self._seen(scope, webhook, version)
        if shape.url != before.url:
            await self._check_address(scope, shape.url)
        after = _switched(before.model_copy(update=dict(shape)), before, "asked")
        return await self._replace(scope, before, after, "webhook.changed")

    async def enable(self, scope: Scope, webhook: str, version: int | None = None) -> Webhook:
        """Tell a webhook of events again; raises as `change`. One that is enabled stays as it is."""
        before = await self._seen(scope, webhook, version)
        if before.enabled:
            return before
        after = _switched(before.model_copy(update={"enabled": True}), before, "asked")
        return await self._replace(scope, before, after, "webhook.enabled")

    async def disable(self, scope: Scope, webhook: str, why: WhyDisabled, version: int | None = None) -> Webhook:
        """Tell a webhook of nothing more; raises as `change`. One that is disabled stays as it is."""
        before = await self._seen(scope, webhook, version)
        if not before.enabled:
            return before
        after = _switched(before.model_copy(update={"enabled": False}), before, why)
        return await self._replace(scope, before, after, "webhook.disabled")

    async def rotate(self, scope: Scope, webhook: str, version: int | None = None) -> Disclosed:
        """Give a webhook a new secret; the old one goes on signing for a day. Raises as `change`.

        Raises
        ------
        Conflict
            If too many secrets of the last day still sign.
        """
        before = await self._seen(scope, webhook, version)
        moment = now()
        valid = [secret for secret in before.secrets if secret.until is None or secret.until > moment]
        if len(valid) >= _MOST_SECRETS:
            raise Conflict(f"{_MOST_SECRETS} secrets are valid; wait until the oldest is a day old")
        until = moment + OLD_SECRET_TTL
        kept = [secret.model_copy(update={"until": secret.until or until}) for secret in valid]
        secret = new_secret()
        after = before.model_copy(update={"secrets": (WebhookSecret(value=secret), *kept)})
        return Disclosed(await self._replace(scope, before, after, "webhook.secret_rotated"), secret)

    async def delete(self, scope: Scope, webhook: str, version: int | None) -> None:
        """Delete a webhook; raises as `change`."""
        before = await self._seen(scope, webhook, version)
        await self._webhooks.delete(before, _announced(scope, before, None, "webhook.deleted"))

    async def _replace(self, scope: Scope, before: Webhook, after: Webhook, kind: _Kind) -> Webhook:
        after = after.model_copy(update={"version": before.version + 1})
        await self._webhooks.replace(after, before.version, _announced(scope, before, after, kind))
        return after

    async def _seen(self, scope: Scope, webhook: str, version: int | None) -> Webhook:
        found = await self._webhooks.get(scope, webhook)
        check_version(webhook, version, found.version)
        return found

    async def _check_address(self, scope: Scope, url: str) -> None:
        """Refuse an address that may not be asked; a name that leads nowhere yet is looked at when it is asked."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_loopback = self._settings.allow_private and parts.netloc.rpartition(":")[0] in LOOPBACK_NAMES
        if parts.scheme != "https" and not self._settings.allow_http and not is_loopback:
            raise InvalidInput("url: only https addresses are allowed here", [("url", "only https is allowed here")])
        if self._settings.allow_private:
            return
        try:
            with asking_for(scope.tenant):
                async with asyncio.timeout(_LOOK_UP_WITHIN_S):
                    addresses = await LOOK_UPS.addresses_of(host)
        except OSError:
            return
        if not all(map(is_public, addresses)):
            detail = "leads to an address that is not public"
            raise InvalidInput(f"url: {detail}", [("url", detail)])


def _switched(after: Webhook, before: Webhook, why: WhyDisabled) -> Webhook:
    """Return a webhook with what follows from its being enabled or disabled."""
    if after.enabled == before.enabled:
        return after
    if after.enabled:
        return after.model_copy(update={"why_disabled": None, "enabled_at": now()})
    return after.model_copy(update={"why_disabled": why})


def _announced(scope: Scope, before: Webhook | None, after: Webhook | None, kind: _Kind) -> Announcement:
    webhook = after or before
    assert webhook is not None  # noqa: S101 - one of the two is given
    event = Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=now(),
        type=kind,
        aggregate=webhook.id,
        sequence=webhook.version + (after is None),
        actor=scope.actor,
        data={
            "webhookId": webhook.id,
            "url": webhook.url,
            "enabled": after is not None and after.enabled,
            "whyDisabled": webhook.why_disabled,
            "version": webhook.version + (after is None),
        },
    )
    return Announcement(event, before=before, after=after)
