"""The OpenAPI document: what FastAPI knows of the routes, completed by what all of them share.

Routers say what goes in and what comes out. Here, in one place and for every route alike, stand the tags' descriptions,
the error answers and the examples, so that a router can't forget them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI

from api.examples import EXAMPLES
from api.problems import MEDIA_TYPE, Problem

__all__ = ["TAGS", "DescribedApi", "completed"]

TAGS: Mapping[str, str] = {
    "auth": "Signing up, signing in, and who one is.",
    "tenant": "The caller's own company and its settings.",
    "users": "People of the company, each with a role.",
    "drivers": "Who moves: drivers, where they are, where they were.",
    "routes": "Plans: which stops in which order, made by hand or by optimisation.",
    "jobs": "Optimisations under way: how far they are, and what they found.",
    "deliveries": "What is to be fetched here and brought there, and how far it has come.",
    "vehicles": "What carries deliveries: capacity, shift, skills and cost, for plans.",
    "depots": "Where vehicles start, load and end.",
    "closures": "Streets and zones that plans, lines and estimates go around for a while.",
    "offers": "Asking drivers nearby whether they take a delivery.",
    "proof of delivery": "Photos and signatures, and what names them.",
    "driver app": "What a phone on the road needs, in few bytes.",
    "geocode": "Where an address is.",
    "tracking": "One delivery seen live.",
    "geofences": "Places that drivers enter and leave.",
    "keys": "Keys of devices and gateways.",
    "analytics": "Counts, times and distances by day, driver and route.",
    "events": "What happened, to be pulled in order: the same events as webhooks bring.",
    "audit": "Who changed what, and how it was before.",
    "dead letters": "What could not be done after all attempts, to be tried again.",
    "notifications": "What customers and drivers were told, by which rules, and in which words.",
    "webhooks": "Events posted to servers of the company's own, signed by the Standard Webhooks specification.",
    "privacy": "What is held about a person: to be seen, and to be erased.",
    "ingest": "Positions in batches.",
    "devices": "Phones and trackers that are not known yet.",
    "health": "Whether the service and its parts are well.",
}
"""What each part of the API is about, in the order of the document."""

_ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("Malformed", "The body can't be read"),
    401: ("NotAuthenticated", "No valid token or key"),
    403: ("NotAllowed", "Not among the caller's rights"),
    404: ("NotFound", "Not there, or another company's"),
    409: ("Conflict", "The world has moved on: `current` is the version that is current"),
    413: ("TooLarge", "The body is too large"),
    415: ("UnsupportedContent", "The body is of a content type that is not taken here"),
    422: ("InvalidInput", "The request has to change: `errors` names the fields"),
    429: ("RateLimited", "Asked too often: try again after `Retry-After`"),
    503: ("TryLater", "Try again after `Retry-After`"),
}
"""Status → name and description of the error answer that it is for."""

_RETRY_AFTER = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer", "minimum": 1}}}
_WRITING = frozenset({"post", "put", "patch", "delete"})


class DescribedApi(FastAPI):
    """An application whose OpenAPI document is complete."""

    def openapi(self) -> dict[str, Any]:
        """Return the document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = completed(super().openapi())
        return self.openapi_schema


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of FastAPI's with tags, error answers and examples."""
    used = {tag for _, operation in _operations(document) for tag in operation.get("tags", ())}
    document["servers"] = [{"url": "/", "description": "This installation"}]
    document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items() if name in used]
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.update(_problem_schemas())
    components["responses"] = {name: _response(status, text) for status, (name, text) in _ERRORS.items()}
    for method, operation in _operations(document):
        _describe_errors(method, operation)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for name, example in EXAMPLES.items():
        if name in schemas:
            schemas[name]["examples"] = [example]
    return document


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in document["paths"].values():
        yield from ((method, operation) for method, operation in path.items() if "responses" in operation)


def _describe_errors(method: str, operation: dict[str, Any]) -> None:
    """Add the error answers that an operation of this form can give; what its router says itself stays."""
    answers = operation["responses"]
    answers.pop("422", None)  # FastAPI's own form, which is not ours
    for status in sorted(_statuses(method, operation)):
        answers.setdefault(str(status), {"$ref": f"#/components/responses/{_ERRORS[status][0]}"})


def _statuses(method: str, operation: Mapping[str, Any]) -> set[int]:
    found = {429, 503}
    if "requestBody" in operation:
        found |= {400, 413, 415, 422}
    if operation.get("parameters"):
        found |= {422}
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", ())):
        found |= {404}
    if operation.get("security"):
        found |= {401, 403, 404, 409}
    elif "requestBody" in operation:
        found |= {401}  # the body itself holds what one signs in with
    if method in _WRITING:
        found |= {409}
    return found


def _response(status: int, description: str) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    return answer | ({"headers": _RETRY_AFTER} if status in (429, 503) else {})


def _problem_schemas() -> dict[str, Any]:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    parts: dict[str, Any] = schema.pop("$defs")
    return parts | {"Problem": schema}
