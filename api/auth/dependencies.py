"""Who calls, for routers: a dependency per right.

Every dependency is a coroutine function even where it awaits nothing: FastAPI sends plain functions to a thread.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.auth.principal import Principal
from api.auth.rights import RIGHTS, SCOPES, Right, may
from api.limits import is_counted
from api.services import Services
from models.errors import NotAllowed, NotAuthenticated

__all__ = ["ServicesOf", "allowed", "anyone", "services_of"]

_bearer = HTTPBearer(auto_error=False, description="An access token or an API key")


async def services_of(request: Request) -> Services:
    """Return the parts of this process."""
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(services_of)]
"""The parts of this process, in a route's signature."""


async def anyone(
    request: Request,
    services: ServicesOf,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Principal:
    """Return the verified caller, of whatever role; its request is counted.

    Raises
    ------
    NotAuthenticated
        If the `Authorization` header carries no valid token or key.
    RateLimited
        If it asks too often.
    """
    if credentials is None:
        raise NotAuthenticated("send `Authorization: Bearer` with an access token or an API key")
    principal = await services.authenticator.authenticate(credentials.credentials)
    if is_counted(request.scope["path"]):
        services.limits.take_caller(principal)
    return principal


def allowed(right: Right) -> Callable[..., Coroutine[Any, Any, Principal]]:
    """Return a dependency that lets those through who have a right, with the right as its attribute `right`."""

    async def check(principal: Annotated[Principal, Depends(anyone)]) -> Principal:
        if not may(principal, right):
            raise NotAllowed(_why_not(principal, right))
        return principal

    check.right = right  # type: ignore[attr-defined]  # for the tests that walk the table
    return check


def _why_not(principal: Principal, right: Right) -> str:
    if principal.role not in RIGHTS[right]:
        return f"a {principal.role} may not do this"
    wanted = [scope for scope, rights in SCOPES.items() if right in rights]
    return f"this key lacks the scope {' or '.join(wanted)}" if wanted else "this key's scopes do not go so far"
