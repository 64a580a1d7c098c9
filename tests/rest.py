"""The REST application on the session's stores, in this process and without Ray, and callers for it."""

import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
from fastapi import FastAPI
from pydantic import SecretStr

from api.app import create_app
from api.auth.tokens import Authenticator
from api.gateway.hub import Hub
from api.services import Services
from engine.client import Engine
from engine.log.append import LogAppender
from engine.registry import DriverRegistry
from engine.settings import Settings
from models.store.connections import connect_mongo, connect_redis
from models.store.indexes import ensure_indexes
from tests.stack import MASTER_KEYS, Stores

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Caller:
    """A tenant's admin, or whoever's token it holds."""

    http: httpx2.AsyncClient
    token: str | None = None

    async def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send one request under `/api/v1`."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        return await self.http.request(method, f"/api/v1/{path}", headers=headers, **options)

    async def make(self, path: str, body: Any) -> Any:
        """Create something and return the answer's body."""
        answer = await self.ask("POST", path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def with_token(self, token: str | None) -> "Caller":
        """Return another caller."""
        return Caller(self.http, token)

    async def registered(self) -> "Caller":
        """Return the admin of a new tenant."""
        email = f"{uuid.uuid4().hex}@test.pt"
        body = {"tenant": "Test", "email": email, "password": PASSWORD}
        return self.with_token((await self.make("auth/register", body))["accessToken"])


@contextlib.asynccontextmanager
async def running_api(stores: Stores, prefix: str, **fields: Any) -> AsyncIterator[tuple[FastAPI, Services]]:
    """Run the application's parts, but for the shards and their live feeds, with these settings beside the usual."""
    usual = {
        "database": "outrider_test",
        "jwt_secret": SecretStr("0123456789abcdef" * 4),
        "master_keys": MASTER_KEYS,
    }
    settings = Settings(prefix=prefix, **(usual | fields))
    database = connect_mongo(stores.mongo_url, settings.database, settings.master_keys, apart=settings.tenants_apart)
    redis = connect_redis(stores.redis_url)
    await ensure_indexes(database)
    registry, appender = DriverRegistry(database, settings.log.partitions), LogAppender(redis, settings)
    await appender.start()
    engine = Engine(settings, database, redis, registry)
    services = Services(
        settings,
        database,
        redis,
        Authenticator(settings, database, redis),
        registry,
        appender,
        engine,
        None,  # type: ignore[arg-type]  # next line
    )
    services.hub = Hub(services)
    try:
        yield create_app(settings, services), services
    finally:
        await appender.stop()
        await redis.aclose()
        database.client.close()


def client_of(app: FastAPI) -> httpx2.AsyncClient:
    """Return a client that talks to the application in this process."""
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://test")
