"""The short way to an endpoint answers what FastAPI's own way answers, whatever is asked."""

import datetime
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import httpx2
import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Form, Header, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from api.fast_path import FastPathMiddleware
from api.fast_routes import FastRoutes


class Thing(BaseModel):
    """A body, and an answer."""

    name: Annotated[str, Field(max_length=5)]
    count: int = 0
    at: datetime.datetime | None = None
    tags: tuple[Literal["a", "b"], ...] = ()


class Refused(Exception):
    """Raised by an endpoint, and answered by a handler."""


async def page(limit: Annotated[int, Query(ge=1, le=9)] = 5, cursor: str | None = None) -> tuple[int, str | None]:
    return limit, cursor


async def caller(request: Request) -> str:
    if (name := request.headers.get("x-name")) == "nobody":
        raise Refused
    return name or "somebody"


router = APIRouter(prefix="/things", tags=["things"])


@router.get("/special")
def special() -> str:
    return "not in a coroutine"


@router.get("")
async def find(
    paging: Annotated[tuple[int, str | None], Depends(page)],
    who: Annotated[str, Depends(caller)],
    kind: Annotated[Sequence[Literal["x", "y"]], Query()] = (),
    since: Annotated[datetime.date | None, Query(alias="sinceDay")] = None,
) -> dict[str, Any]:
    return {"paging": paging, "who": who, "kind": kind, "since": since}


@router.get("/{number}")
async def get(number: int, response: Response, tag: Annotated[str | None, Header(alias="If-Match")] = None) -> Thing:
    response.headers["ETag"] = f'"{number}"'
    if number == 404:
        raise HTTPException(404, "gone", headers={"X-Why": "gone"})
    return Thing(name="thing", count=number, tags=("a",) if tag else ())


@router.post("/{number}", status_code=201)
async def put(number: int, body: Thing, who: Annotated[str, Depends(caller)]) -> Thing:
    return body.model_copy(update={"count": number + len(who)})


@router.post("", response_model=Thing)
async def echo(request: Request, body: Annotated[list[Thing], Body(max_length=2)]) -> Response:
    return JSONResponse({"sent": (await request.body()).decode(), "names": [one.name for one in body]}, 202)


@router.delete("/{number}", status_code=204)
async def drop(number: int, who: Annotated[str, Depends(caller)]) -> None:
    """Answer without a body."""


@router.put("/{number}")
async def form(number: int, name: Annotated[str, Form()]) -> str:
    return f"{name} {number}"


async def refuse(_: Request, fault: Exception) -> Response:
    return JSONResponse({"refused": True}, 418)


def an_app(*, fast: bool) -> FastAPI:
    app = FastAPI(exception_handlers={Refused: refuse})
    if fast:
        app.add_middleware(FastPathMiddleware)
    app.include_router(router, prefix="/api")
    return app


APPS = [an_app(fast=False), an_app(fast=True)]
THING = {"name": "ab", "count": 3, "at": "2026-01-01T00:00:00Z", "tags": ["a", "b"]}
PATHS = ["", "/", "/7", "/404", "/x", "/%37", "/7/", "/a%2Fb", "/special", "//"]
QUERIES = [
    "",
    "limit=3",
    "limit=0",
    "limit=",
    "limit=2&limit=4",
    "kind=x&kind=y",
    "kind=z",
    "sinceDay=2026-02-03",
    "since=1",
]
HEADERS = [{}, {"If-Match": "1"}, {"X-Name": "nobody"}, {"X-Name": "ana"}]
BODIES: list[dict[str, Any]] = [
    {},
    {"json": THING},
    {"json": [THING]},
    {"json": [THING] * 3},
    {"json": THING | {"name": "much too long"}},
    {"json": THING | {"count": True, "at": 5}},
    {"content": b"{", "headers": {"Content-Type": "application/json"}},
    {"content": b'{"name": "a"}', "headers": {"Content-Type": "application/json; charset=UTF-8"}},
    {"content": b'{"name": "a"}', "headers": {"Content-Type": "application/vnd.x+json"}},
    {"content": b'{"name": "a"}', "headers": {"Content-Type": "text/plain"}},
    {"content": b"null", "headers": {"Content-Type": "application/json"}},
    {"data": {"name": "ana"}},
]


async def answers(method: str, path: str, **options: Any) -> list[tuple[int, bytes, list[tuple[str, str]]]]:
    found = []
    for app in APPS:
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            answer = await http.request(method, path, **options)
        found.append((answer.status_code, answer.content, sorted(answer.headers.items())))
    return found


@given(
    st.sampled_from(["GET", "POST", "PUT", "HEAD", "DELETE"]),
    st.sampled_from(PATHS),
    st.sampled_from(QUERIES),
    st.sampled_from(HEADERS),
    st.sampled_from(BODIES),
)
async def test_both_ways_answer_alike(method, path, query, headers, body):
    options = body | {"headers": {**headers, **body.get("headers", {})}}
    usual, fast = await answers(method, f"/api/things{path}?{query}", **options)
    assert fast == usual


async def test_an_answer_without_a_body_has_none():
    usual, fast = await answers("DELETE", "/api/things/7")
    assert fast == usual
    assert (fast[0], fast[1]) == (204, b"")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("GET", "/7"), ("POST", "/7"), ("POST", ""), ("DELETE", "/7")]
)
def test_what_is_usual_takes_the_short_way(method, path):
    assert FastRoutes(APPS[1]).find(method, f"/api/things{path}") is not None


@pytest.mark.parametrize(("method", "path"), [("GET", "/special"), ("PUT", "/7"), ("PATCH", "/7"), ("GET", "/7/8")])
def test_what_only_fastapi_does_does_not(method, path):
    assert FastRoutes(APPS[1]).find(method, f"/api/things{path}") is None
