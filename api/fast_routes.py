"""Which endpoints can be called without FastAPI's work per request, and what their parameters come from.

FastAPI tries one route after the other, solves every dependency anew and looks at each parameter's declaration: half a
millisecond a request. All of that follows from the declarations, so it is worked out once here. What an endpoint needs
that is not listed here (forms, cookies, background tasks, dependencies that clean up) leaves it to FastAPI.
"""

import asyncio
import enum
import types
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin

from fastapi import FastAPI, params
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from pydantic_core import PydanticUndefined

__all__ = ["FastRoute", "FastRoutes", "NotFast", "Parameter", "Step"]

_FIXED = (str, int, float, bool, tuple, frozenset, enum.Enum, type(None))
"""Types of defaults that nobody can change, so that they need no copy."""

_MISSING: Any = object()


class NotFast(Exception):
    """Raised when a request, or an endpoint, is one for FastAPI."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Where a value comes from, and what checks it."""

    name: str
    alias: str
    """Its name in the request; of headers in lower case."""
    many: bool
    default: Any
    """`_MISSING` where the request has to give it."""
    validate: Callable[..., tuple[Any, Any]]

    def read(self, given: Mapping[str, list[str]]) -> Any:
        """Return the value that a request gives, or the default.

        Raises
        ------
        NotFast
            If it is missing or not good: FastAPI says what is wrong.
        """
        found = given.get(self.alias)
        if not found:
            if self.default is _MISSING:
                raise NotFast
            return self.default
        value, faults = self.validate(found if self.many else found[-1], {}, loc=())
        if faults:
            raise NotFast
        return value


@dataclass(frozen=True, slots=True)
class Step:
    """A function that is called for a request: the endpoint, or one that it depends on."""

    name: str
    """The parameter that gets its result; of the endpoint nothing."""
    call: Callable[..., Any]
    path: tuple[Parameter, ...]
    query: tuple[Parameter, ...]
    headers: Mapping[str, Any]
    """Defaults by parameter; a request that sends one of the headers is for FastAPI."""
    inner: tuple["Step", ...]
    request: str | None
    """The parameter that gets the request."""
    response: str | None
    """The parameter that gets an answer whose headers are added to the real one."""

    def bound(self, path: Mapping[str, list[str]], query: Mapping[str, list[str]]) -> dict[str, Any]:
        """Return arguments, of inner steps under their names; raises as `Parameter.read`."""
        values: dict[str, Any] = {one.name: one.read(path) for one in self.path}
        for one in self.query:
            values[one.name] = one.read(query)
        values.update(self.headers)
        for step in self.inner:
            values[step.name] = step.bound(path, query)
        return values


@dataclass(frozen=True, slots=True)
class FastRoute:
    """An endpoint and how it is called."""

    segments: tuple[str | None, ...]
    """Of the path; none is a parameter."""
    names: tuple[str, ...]
    """Of the parameters in the path."""
    step: Step | None
    """None leaves the route to FastAPI."""
    context: RouteContext
    headers: frozenset[bytes]
    """Those that make a request one for FastAPI."""
    body: Parameter | None
    adds_headers: bool = False
    """Whether it, or what it depends on, gets an answer to add headers to."""

    def met(self, segments: Sequence[str]) -> dict[str, list[str]] | None:
        """Return the parameters in a path of as many segments; None if it is another path."""
        found = []
        for own, given in zip(self.segments, segments, strict=True):
            if own is None:
                if not given:
                    return None
                found.append([given])
            elif own != given:
                return None
        return dict(zip(self.names, found, strict=True))


class FastRoutes:
    """All routes of an application, by method and number of segments, in the order in which FastAPI tries them."""

    def __init__(self, app: FastAPI) -> None:
        self._routes: dict[tuple[str, int], list[FastRoute]] = {}
        for context in iter_route_contexts(app.routes):
            if context.path_format is not None and context.methods:
                self._add(context, context.path_format, context.methods)

    def find(self, method: str, path: str) -> tuple[FastRoute, dict[str, list[str]]] | None:
        """Return the first route of a path with the parameters in it; None if there is none, or it is for FastAPI."""
        segments = path.split("/")
        for route in self._routes.get((method, len(segments)), ()):
            if (found := route.met(segments)) is not None:
                return (route, found) if route.step is not None else None
        return None

    def _add(self, context: RouteContext, path: str, methods: Iterable[str]) -> None:
        """Note a route; one whose parameters may hold slashes stands for no number of segments and is left out."""
        if any(type(one).__name__ != "StringConvertor" for one in context.param_convertors.values()):
            return
        parts = path.split("/")
        segments = tuple(None if part.startswith("{") else part for part in parts)
        names = tuple(part.strip("{}") for part in parts if part.startswith("{"))
        try:
            route = _fast(context, segments, names)
        except NotFast:
            route = FastRoute(segments, names, None, context, frozenset(), None)
        for method in methods:
            self._routes.setdefault((method, len(parts)), []).append(route)


def _fast(context: RouteContext, segments: tuple[str | None, ...], names: tuple[str, ...]) -> FastRoute:
    if not isinstance(context.original_route, APIRoute) or context.dependant is None:
        raise NotFast
    default = isinstance(context.response_class, DefaultPlaceholder)
    plain = not (context.response_model_exclude_unset or context.response_model_exclude_none)
    if not (default and plain) or any("{" in (part or "") for part in segments):
        raise NotFast
    dependant = context.dependant
    body = None
    if context.body_field is not None:
        infos = [field.field_info for field in dependant.body_params]
        if len(infos) != 1 or getattr(infos[0], "embed", None) or isinstance(infos[0], params.Form):
            raise NotFast
        body = Parameter(dependant.body_params[0].name, "", False, _MISSING, context.body_field.validate)
    headers: set[str] = set()
    step = _step(dependant, "", headers, may_have_body=True)
    odd = frozenset(name.encode() for name in headers)
    return FastRoute(segments, names, step, context, odd, body, _adds_headers(step))


def _adds_headers(step: Step) -> bool:
    return step.response is not None or any(map(_adds_headers, step.inner))


def _step(dependant: Dependant, name: str | None, headers: set[str], *, may_have_body: bool = False) -> Step:
    call = dependant.call
    if name is None or call is None:
        raise NotFast
    odd = (
        dependant.cookie_params,
        dependant.background_tasks_param_name,
        dependant.security_scopes_param_name,
        dependant.websocket_param_name,
        dependant.body_params and not may_have_body,
        not (asyncio.iscoroutinefunction(call) or asyncio.iscoroutinefunction(type(call).__call__)),
    )
    if any(odd):
        raise NotFast
    sent = [_parameter(field) for field in dependant.header_params]
    if any(one.default is _MISSING for one in sent):
        raise NotFast
    headers.update(alias for one in sent for alias in (one.alias.lower(), one.alias.lower().replace("_", "-")))
    return Step(
        name,
        call,
        tuple(map(_parameter, dependant.path_params)),
        tuple(map(_parameter, dependant.query_params)),
        {one.name: one.default for one in sent},
        tuple(_step(inner, inner.name, headers) for inner in dependant.dependencies),
        dependant.request_param_name or dependant.http_connection_param_name,
        dependant.response_param_name,
    )


def _parameter(field: Any) -> Parameter:
    info = field.field_info
    default = _MISSING if info.is_required() else field.get_default()
    is_model = isinstance(info.annotation, type) and hasattr(info.annotation, "model_fields")
    alias = info.validation_alias
    if info.validate_default or is_model or not (alias is None or isinstance(alias, str)):
        raise NotFast
    if default is PydanticUndefined or not (default is _MISSING or isinstance(default, _FIXED)):
        raise NotFast
    return Parameter(field.name, alias or field.alias, _takes_many(info.annotation), default, field.validate)


def _takes_many(annotation: Any) -> bool:
    """Tell whether a parameter may be given several times."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return any(map(_takes_many, get_args(annotation)))
    kind = origin or annotation
    return isinstance(kind, type) and issubclass(kind, (Sequence, Set)) and not issubclass(kind, (str, bytes))
