"""Who calls, for routers: a dependency per right.

Every dependency is a coroutine function even where it awaits nothing: FastAPI sends plain functions to a thread.
"""

from collections.abc import Callable, Coroutine
from functools import cache
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.requests import HTTPConnection
from fastapi.security.base import SecurityBase
from fastapi.security.utils import get_authorization_scheme_param

from api.auth.principal import Principal
from api.auth.rights import RIGHTS, SCOPES, Right, may
from api.limits import is_counted
from api.services import Services
from models.errors import NotAllowed, NotAuthenticated

__all__ = ["ServicesOf", "allowed", "anyone", "services_of"]


async def services_of(request: Request) -> Services:
    """Return the parts of this process."""
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(services_of)]
"""The parts of this process, in a route's signature."""


class _Caller(SecurityBase):
    """Finds the verified caller of a request, and counts the request.

    One dependency does it all, and it is the security scheme of the OpenAPI document as well: FastAPI takes its time
    for every dependency of a dependency.

    Parameters
    ----------
    right
        What the caller must have; None lets everybody through who has a valid token or key.
    """

    def __init__(self, right: Right | None = None) -> None:
        self.model = HTTPBearer(description="An access token or an API key")
        self.scheme_name = "HTTPBearer"
        self.right = right

    async def __call__(self, request: HTTPConnection) -> Principal:
        """Return the caller.

        Raises
        ------
        NotAuthenticated
            If the `Authorization` header carries no valid token or key.
        RateLimited
            If it asks too often.
        NotAllowed
            If it lacks the right.
        """
        scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
        if not token or scheme.lower() != "bearer":
            raise NotAuthenticated("send `Authorization: Bearer` with an access token or an API key")
        services: Services = request.app.state.services
        principal = await services.authenticator.authenticate(token)
        if is_counted(request.scope["path"]):
            services.limits.take_caller(principal)
        if self.right is not None and not may(principal, self.right):
            raise NotAllowed(_why_not(principal, self.right))
        return principal


anyone: Callable[..., Coroutine[Any, Any, Principal]] = _Caller()
"""Gives the verified caller, of whatever role."""


@cache
def allowed(right: Right) -> Callable[..., Coroutine[Any, Any, Principal]]:
    """Return a dependency that lets those through who have a right, with the right as its attribute `right`."""
    return _Caller(right)


def _why_not(principal: Principal, right: Right) -> str:
    if principal.role not in RIGHTS[right]:
        return f"a {principal.role} may not do this"
    wanted = [scope for scope, rights in SCOPES.items() if right in rights]
    return f"this key lacks the scope {' or '.join(wanted)}" if wanted else "this key's scopes do not go so far"
