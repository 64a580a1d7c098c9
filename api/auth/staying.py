"""Connections that stay open for hours: the rights of who opened one are looked at again and again."""

import asyncio

from api.auth.principal import Principal
from api.services import Services

__all__ = ["until_revoked"]


async def until_revoked(services: Services, principal: Principal) -> None:
    """Return when a caller, let in just now, would no longer be let in as the same.

    That is after a deletion, another role or driver, a new password, or the end of a key. An access token that has
    merely run out ends nothing.
    """
    while True:
        await asyncio.sleep(services.settings.api.recheck_s)
        if not await services.authenticator.is_current(principal):
            return
