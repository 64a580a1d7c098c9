"""Two companies' random traffic over every endpoint that the API describes: no byte of one reaches the other.

Requests are made from the OpenAPI document, so a new endpoint takes part without being named here. Whatever a company
writes carries its mark; ids of its things are marks too. A caller is free to name the other's ids wherever an id fits.
"""

import json
import random
import re
import string
import uuid

import pytest_asyncio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.rest import Caller, client_of, running_api

STEPS = 150
OWN_ID = re.compile(r"^[a-z]{3}_[0-9a-z]{20,}$")
LEFT_OUT = ("/api/v1/auth/", "/api/v1/health", "/api/v1/pings", "/api/v1/users/{user_id}/role")
"""About tokens, about the installation, binary, and what would take the caller's rights away."""
PLACE = {"latitude": 41.15, "longitude": -8.61}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def app(stores):
    loose = {"caller_per_s": 10_000, "company_per_s": 10_000, "address_per_s": 10_000}
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}", limits=loose) as (app, _):
        yield app


class Company:
    """A company that remembers what is its own, and what it has been answered."""

    def __init__(self, caller):
        self.caller = caller
        self.mark = f"mark{uuid.uuid4().hex[:10]}"
        self.ids, self.cursors = set(), set()

    async def settle(self):
        """Make one thing of each kind."""
        driver = await self.caller.make("drivers", {"name": self.mark, "externalId": self.mark})
        customer = {"name": self.mark, "phone": "+351 912 345 678", "email": f"{self.mark}@mail.pt"}
        place = PLACE | {"address": self.mark}
        for path, body in (
            ("deliveries", {"dropoff": place, "customer": customer, "notes": self.mark, "reference": self.mark}),
            ("deliveries", {"dropoff": place, "customer": customer, "driverId": driver["id"]}),
            ("vehicles", {"name": self.mark, "externalId": self.mark}),
            ("depots", {"name": self.mark, "place": PLACE}),
            ("closures", {"name": self.mark, "kind": "line", "points": [PLACE, {"latitude": 41.2, "longitude": -8.6}]}),
            ("geofences", {"name": self.mark, "kind": "circle", "points": [PLACE], "radiusM": 100}),
            ("keys", {"kind": "gateway", "name": self.mark}),
            ("webhooks", {"url": f"https://93.184.216.34/{self.mark}", "enabled": False}),
            ("users/invitations", {"email": f"{self.mark}@mail.pt", "role": "planner"}),
            ("privacy/erasures", {"email": f"{self.mark}@nowhere.pt"}),
        ):
            self.learn(await self.caller.make(path, body))
        await self.caller.ask("PATCH", "tenant", json={"name": self.mark})
        self.learn(driver)

    def learn(self, answer):
        """Remember the ids and cursors in an answer."""
        if isinstance(answer, dict):
            for name, value in answer.items():
                if name == "id" and isinstance(value, str) and OWN_ID.match(value):
                    self.ids.add(value)
                elif name == "next" and isinstance(value, str):
                    self.cursors.add(value)
                self.learn(value)
        elif isinstance(answer, list):
            for value in answer:
                self.learn(value)


class Traffic:
    """Random requests of one company, which knows the other's ids."""

    def __init__(self, document, dice, mine, theirs):
        self.schemas, self.dice, self.mine, self.theirs = document["components"]["schemas"], dice, mine, theirs

    def request(self, method, path, operation):
        """Return method, path and options of one request."""
        named = re.findall(r"{(\w+)}", path)
        filled = path.removeprefix("/api/v1/").format(**{name: self.identifier() for name in named})
        options = {"params": self.parameters(operation)}
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            options["json"] = self.value(content["application/json"]["schema"], "")
        elif content:
            kind = next(iter(content))
            options |= {"content": f"reference,dropoff.address\n{self.mine.mark},{self.mine.mark}\n".encode()}
            options["headers"] = {"Content-Type": kind}
        return method.upper(), filled, options

    def parameters(self, operation):
        found = {}
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "query" and (parameter.get("required") or self.dice.random() < 0.3):
                found[parameter["name"]] = self.value(parameter["schema"], parameter["name"])
        return {name: value for name, value in found.items() if value is not None}

    def identifier(self):
        pool = self.mine.ids if self.dice.random() < 0.5 else self.theirs.ids
        return self.dice.choice(sorted(pool))

    def value(self, schema, name):
        if "$ref" in schema:
            return self.value(self.schemas[schema["$ref"].rpartition("/")[2]], name)
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                return self.value(self.dice.choice(schema[choice]), name)
        if "enum" in schema:
            return self.dice.choice(schema["enum"])
        if "const" in schema:
            return schema["const"]
        kind = schema.get("type")
        made = getattr(self, f"_{kind}", None)
        return made(schema, name) if made is not None else None

    def _object(self, schema, _):
        wanted = set(schema.get("required", ()))
        return {
            name: self.value(inner, name)
            for name, inner in schema.get("properties", {}).items()
            if name in wanted or self.dice.random() < 0.4
        }

    def _array(self, schema, name):
        count = max(schema.get("minItems", 0), self.dice.randrange(3))
        return [self.value(schema["items"], name) for _ in range(count)]

    def _string(self, schema, name):
        lowered = name.lower()
        if lowered != "externalid" and lowered.endswith(
            ("id", "ids", "entity", "aggregate", "actor", "deliveries", "stops")
        ):
            return self.identifier()
        if lowered == "cursor":
            return self.dice.choice(sorted(self.mine.cursors | self.theirs.cursors) or ["x"])
        if schema.get("format") == "date-time" or lowered in ("from", "to", "at"):
            return f"2026-0{self.dice.randrange(1, 9)}-01T00:00:00Z"
        if "email" in lowered:
            return f"{self.mine.mark}{self.dice.randrange(99)}@mail.pt"
        return {"phone": "+351 912 345 678", "url": "https://93.184.216.34/", "password": "long enough, surely"}.get(
            lowered, f"{self.mine.mark} {self.dice.choice(string.ascii_letters)}"
        )

    def _integer(self, schema, _):
        low = int(schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1))
        return self.dice.randint(low, min(int(schema.get("maximum", low + 9)), low + 9))

    def _number(self, schema, name):
        near = {"latitude": 41.15, "lat": 41.15, "longitude": -8.61, "lon": -8.61}
        return near.get(name, schema.get("minimum", schema.get("exclusiveMinimum", 0)) + self.dice.random() * 9)

    def _boolean(self, _, __):
        return self.dice.random() < 0.5


def assert_nothing_of(theirs, sent, answer):
    """Check that an answer holds no mark of the other company that was not in the request."""
    told = answer.content + repr(answer.headers).encode()
    crossed = [mark for mark in {theirs.mark, *theirs.ids} if mark not in sent and mark.encode() in told]
    assert crossed == [], f"{sent}: {answer.text[:500]}"


async def send(mine, theirs, method, path, options):
    answer = await mine.caller.ask(method, path, **options)
    sent = f"{method} {path} {options}"
    assert answer.status_code < 500 or answer.status_code == 503, f"{sent}: {answer.text}"
    assert_nothing_of(theirs, sent, answer)
    if answer.is_success and "json" in answer.headers.get("content-type", "") and "ndjson" not in sent:
        try:
            mine.learn(answer.json())
            mine.ids -= theirs.ids  # an answer may repeat what it was asked with
        except json.JSONDecodeError:
            return


@given(seed=st.integers(0, 2**32))
@settings(max_examples=3, phases=[Phase.explicit, Phase.generate])  # another seed is no smaller one
async def test_no_byte_of_one_company_reaches_another(app, seed):
    dice, document = random.Random(seed), app.openapi()
    endpoints = [
        (method, path, operation)
        for path, operations in document["paths"].items()
        if not path.startswith(LEFT_OUT)
        for method, operation in operations.items()
        if "responses" in operation
    ]
    async with client_of(app) as http:
        companies = [Company(await Caller(http).registered()) for _ in range(2)]
        for company in companies:
            await company.settle()
        for _ in range(STEPS):
            mine, theirs = dice.sample(companies, 2)
            request = Traffic(document, dice, mine, theirs).request(*dice.choice(endpoints))
            await send(mine, theirs, *request)
        lists = [path for method, path, _ in endpoints if method == "get" and "{" not in path]
        for mine, theirs in (companies, companies[::-1]):
            for path in lists:
                await send(mine, theirs, "GET", path.removeprefix("/api/v1/"), {})
