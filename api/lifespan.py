"""What one API process is made of, in the order of starting; stopping goes the other way."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

from fastapi import FastAPI
from pydantic import SecretStr

from api.auth.tokens import Authenticator
from api.gateway.hub import Hub
from api.services import Services
from engine.client import Engine
from engine.keys.lists import wrapping_keys
from engine.log.append import LogAppender
from engine.registry import DriverRegistry
from engine.settings import Settings
from engine.supervisor import Supervisor
from models.errors import BadSettings
from models.store.connections import connect_mongo, connect_redis

__all__ = ["lifespan_of"]


def lifespan_of(settings: Settings) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    """Return the lifespan of an app with these settings."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            app.state.services = await _start(settings, stack)
            yield

    return lifespan


async def _start(settings: Settings, stack: AsyncExitStack) -> Services:
    database = connect_mongo(
        _url("MONGO", settings.mongo_url),
        settings.database,
        wrapping_keys(settings),
        apart=settings.tenants_apart,
        patient=False,
    )
    stack.callback(database.client.close)
    await database.vault.check()
    redis = connect_redis(_url("REDIS", settings.redis_url))
    stack.push_async_callback(redis.aclose)
    registry = DriverRegistry(database, settings.log.partitions)
    appender = LogAppender(redis, settings)
    await appender.start()
    stack.push_async_callback(appender.stop)
    engine = Engine(settings, database, redis, registry)
    await engine.start()
    stack.push_async_callback(engine.stop)
    authenticator = Authenticator(settings, database, redis)
    services = Services(settings, database, redis, authenticator, registry, appender, engine, None)  # type: ignore[arg-type]  # the hub needs the others; it follows in the next line
    services.hub = Hub(services)
    stack.push_async_callback(services.geocoding.close)
    supervisor = Supervisor("api")
    supervisor.run("limits", services.limits.run)
    supervisor.run("outages", services.outages.run)
    await supervisor.start()
    stack.push_async_callback(supervisor.stop)
    await services.hub.start()
    stack.push_async_callback(services.hub.stop)
    return services


def _url(store: str, url: SecretStr | None) -> str:
    if url is None:
        raise BadSettings(f"OUTRIDER_{store}_URL is not set: `outrider up` sets it for its API workers")
    return url.get_secret_value()
