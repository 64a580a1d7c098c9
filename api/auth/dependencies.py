"""Who calls, for routers: a dependency per set of roles.

Every dependency is a coroutine function even where it awaits nothing: FastAPI sends plain functions to a thread.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.auth.principal import Principal, Role
from api.services import Services
from models.errors import NotAllowed, NotAuthenticated

__all__ = ["ServicesOf", "admin", "anyone", "only", "people", "planners", "services_of"]

_bearer = HTTPBearer(auto_error=False, description="An access token or an API key")


async def services_of(request: Request) -> Services:
    """Return the parts of this process."""
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(services_of)]
"""The parts of this process, in a route's signature."""


async def anyone(
    services: ServicesOf, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    """Return the verified caller, of whatever role.

    Raises
    ------
    NotAuthenticated
        If the `Authorization` header carries no valid token or key.
    """
    if credentials is None:
        raise NotAuthenticated("send `Authorization: Bearer` with an access token or an API key")
    return await services.authenticator.authenticate(credentials.credentials)


def only(*roles: Role) -> Callable[..., Coroutine[Any, Any, Principal]]:
    """Return a dependency that lets only these roles through."""

    async def check(principal: Annotated[Principal, Depends(anyone)]) -> Principal:
        if principal.role not in roles:
            raise NotAllowed(f"a {principal.role} may not do this")
        return principal

    return check


admin = only("admin")
planners = only("admin", "planner")
people = only("admin", "planner", "driver")
