"""Fan-out of one API process: from Redis and the shards into a feed per tenant that has subscribers here."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import structlog
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from api.gateway.feed import TenantFeed
from api.job_view import job_view
from engine.routing.progress import JOB_BELL
from engine.supervisor import Supervisor
from models.errors import NotFound, OutriderError, StoreUnavailable
from models.messages.live import LIVE
from models.store.deliveries import DeliveryRepository
from models.store.jobs import JobRepository
from models.store.scope import Scope

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub

    from api.services import Services
    from models.documents.delivery import Delivery

__all__ = ["Hub", "estimate_shape", "shape_delivery"]

log = structlog.get_logger(__name__)

_WATCH_TTL_S = 30.0  # shards stop publishing this long after the last word from here
_RENEW_S = 10.0  # three chances within the time above
_REFRESH_PAUSE_S = 0.25  # a burst of gaps is one snapshot
_RETRY_S = 0.5
_QUIET_S = 10.0  # channels that say nothing for so long are followed by the question whether the server lives
_NAMED_AT_ONCE = 2000  # some milliseconds of work between two turns of the event loop
_LENGTH_BYTES = 2


class _Header(msgspec.Struct):
    shard: int
    boot: str
    n: int


_header_decoder = msgspec.msgpack.Decoder(_Header)
_events_decoder = msgspec.msgpack.Decoder(list[dict[str, Any]])


class Hub:
    """Feeds of live state for this process's subscribers.

    A tenant costs nothing until somebody subscribes: then its channel is joined, and its shards are asked for a
    snapshot and to publish for a while, again and again until the last subscriber has left.
    """

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._prefix = f"{services.settings.prefix}:live:"
        self._feeds: dict[str, TenantFeed] = {}
        self._keepers: dict[str, Supervisor] = {}
        self._pubsub: PubSub | None = None
        self._joined = asyncio.Event()
        self._listener = Supervisor("gateway")
        self._listener.run("gateway-listen", self._listen_for_ever)

    async def start(self) -> None:
        """Start listening; returns at once, and keeps trying while Redis is away."""
        await self._listener.start()

    async def stop(self) -> None:
        """Leave all channels. May be called twice."""
        keepers, self._keepers = self._keepers, {}
        for supervisor in (*keepers.values(), self._listener):
            await supervisor.stop()
        await self._hang_up()

    @contextlib.asynccontextmanager
    async def feed(self, tenant: str) -> AsyncIterator[TenantFeed]:
        """Hold a tenant's feed for one connection."""
        feed = self._feeds.setdefault(tenant, TenantFeed(tenant))
        feed.subscribers += 1
        try:
            if tenant not in self._keepers:
                await self._keep(feed)
            yield feed
        finally:
            feed.subscribers -= 1
            if not feed.subscribers:
                await self._drop(feed)

    async def driver_number(self, tenant: str, driver: str) -> tuple[int, str]:
        """Return number and id of a driver, by its id or external id.

        Raises
        ------
        NotFound
            If the tenant has no such driver.
        """
        found = await self._services.registry.resolve(tenant, [driver])
        if driver not in found:
            raise NotFound("driver", driver)
        return found[driver].number, found[driver].id

    async def follow_delivery(self, feed: TenantFeed, delivery: str) -> None:
        """Read a delivery into the feed, which follows it from now on.

        Raises
        ------
        NotFound
            If the tenant has no such delivery.
        StoreUnavailable
            If MongoDB does not answer.
        """
        repository = DeliveryRepository(self._services.database)
        try:
            document = await repository.get(Scope(feed.tenant, "gateway"), delivery)
        except PyMongoError as error:
            raise StoreUnavailable("the store of deliveries does not answer", 2.0) from error
        number = None
        if document.driver is not None:
            with contextlib.suppress(NotFound):
                number, _ = await self.driver_number(feed.tenant, document.driver)
        feed.take_delivery(shape_delivery(document), number)
        if document.driver is not None and feed.deliveries[delivery].shape["eta"] is None:
            await self._estimate(feed, document.driver, delivery)

    async def _estimate(self, feed: TenantFeed, driver: str, delivery: str) -> None:
        """Ask for the estimate that was told before anybody watched."""
        ref = (await self._services.registry.resolve(feed.tenant, [driver])).get(driver)
        if ref is not None:
            answer = await self._services.engine.shards.ask_owner(ref.partition, "eta", ref.number, delivery)
            if answer is not None:
                feed.take_estimate(delivery, estimate_shape(answer))

    async def follow_job(self, feed: TenantFeed, job: str) -> None:
        """Read a job into the feed, which follows it from now on.

        Raises
        ------
        NotFound
            If the tenant has no such job.
        StoreUnavailable
            If MongoDB does not answer.
        """
        try:
            found = await JobRepository(self._services.database).get(Scope(feed.tenant, "gateway"), job)
        except PyMongoError as error:
            raise StoreUnavailable("the store of jobs does not answer", 2.0) from error
        feed.take_job(job_view(found).model_dump(mode="json", by_alias=True))

    async def _drop(self, feed: TenantFeed) -> None:
        if self._feeds.get(feed.tenant) is not feed:
            return
        del self._feeds[feed.tenant]
        if (keeper := self._keepers.pop(feed.tenant, None)) is not None:
            await keeper.stop()
        if self._pubsub is not None and feed.tenant not in self._feeds:  # else somebody came meanwhile
            with contextlib.suppress(RedisError, OSError):
                await self._pubsub.unsubscribe(self._prefix + feed.tenant)

    async def _keep(self, feed: TenantFeed) -> None:
        """Start what keeps a feed current. The snapshot is asked for again once the channel is joined."""
        supervisor = self._keepers[feed.tenant] = Supervisor(f"feed-{feed.tenant}")
        supervisor.run("gateway-join", lambda: self._join(feed))
        supervisor.run("gateway-watch", lambda: self._watch(feed))
        supervisor.run("gateway-name", lambda: self._name(feed))
        supervisor.run("gateway-follow", lambda: self._follow(feed))
        await supervisor.start()

    async def _join(self, feed: TenantFeed) -> None:
        while True:
            await self._joined.wait()
            try:
                if self._pubsub is not None:
                    await self._pubsub.subscribe(self._prefix + feed.tenant)
                    feed.to_refresh.set()
                    return
            except (RedisError, OSError):
                await asyncio.sleep(_RETRY_S)  # the listener notices as well, and joins all channels again

    async def _watch(self, feed: TenantFeed) -> None:
        while True:
            feed.to_refresh.clear()
            try:
                for shard, boot, n, records in await self._services.engine.watch(feed.tenant, _WATCH_TTL_S):
                    feed.take_snapshot(shard, boot, n, records)
            except OutriderError as error:
                log.warning("gateway.watch_failed", tenant=feed.tenant, error=str(error))
                await asyncio.sleep(_RETRY_S)
                feed.to_refresh.set()
            await asyncio.sleep(_REFRESH_PAUSE_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RENEW_S - _REFRESH_PAUSE_S):
                    await feed.to_refresh.wait()

    async def _name(self, feed: TenantFeed) -> None:
        while True:
            await feed.to_name.wait()
            feed.to_name.clear()
            try:
                await self._name_drivers(feed, [*feed.state.unnamed(), *feed.renamed])
                feed.renamed.clear()
            except StoreUnavailable:
                await asyncio.sleep(_RETRY_S)
                feed.to_name.set()

    async def _name_drivers(self, feed: TenantFeed, numbers: list[int]) -> None:
        for start in range(0, len(numbers), _NAMED_AT_ONCE):
            found = await self._services.registry.by_number(numbers[start : start + _NAMED_AT_ONCE])
            entries = [(ref.number, ref.id, ref.name) for ref in found.values() if ref.tenant == feed.tenant]
            if entries:
                feed.state.name(entries)
                feed.wake()

    async def _follow(self, feed: TenantFeed) -> None:
        while True:
            await feed.to_follow.wait()
            feed.to_follow.clear()
            await self._follow_all(feed, feed.changed_deliveries, self.follow_delivery)
            await self._follow_all(feed, feed.changed_jobs, self.follow_job)

    async def _follow_all(
        self, feed: TenantFeed, changed: set[str], follow: Callable[[TenantFeed, str], Awaitable[None]]
    ) -> None:
        """Read what has changed; what the store does not give stays for another time."""
        for subject in list(changed):
            changed.discard(subject)  # before the read: what changes while it goes on is a change anew
            try:
                await follow(feed, subject)
            except NotFound:
                continue
            except StoreUnavailable:
                changed.add(subject)
                await asyncio.sleep(_RETRY_S)
                feed.to_follow.set()

    async def _listen_for_ever(self) -> None:
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                log.warning("gateway.redis_lost", error=str(error))
            await self._hang_up()
            await asyncio.sleep(_RETRY_S)

    async def _listen(self) -> None:
        pubsub = self._services.redis.pubsub(ignore_subscribe_messages=True)
        # a channel of our own keeps the connection subscribed, hence open, while no tenant is
        await pubsub.subscribe(self._prefix)
        self._pubsub = pubsub
        for feed in list(self._feeds.values()):
            await pubsub.subscribe(self._prefix + feed.tenant)
            feed.to_refresh.set()
        self._joined.set()
        while True:
            # not `listen`, which takes a channel that is quiet for the socket's time limit for a lost one
            message = await pubsub.get_message(timeout=_QUIET_S)
            if message is None:
                await self._services.redis.ping()  # type: ignore[misc]  # typed for both clients
            elif message["type"] == "message":
                self._take(message["channel"].decode()[len(self._prefix) :], message["data"])

    async def _hang_up(self) -> None:
        self._joined.clear()
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            with contextlib.suppress(RedisError, OSError):
                await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py leaves it bare

    def _take(self, tenant: str, data: bytes) -> None:
        feed = self._feeds.get(tenant)
        if feed is None:
            return
        try:
            if data[:1] == b"L":
                start = 1 + _LENGTH_BYTES
                end = start + int.from_bytes(data[1:start], "little")
                header = _header_decoder.decode(data[start:end])
                feed.take_published(header.shard, header.boot, header.n, np.frombuffer(data, LIVE, offset=end))
            elif data[:1] == b"T":
                for estimate in _events_decoder.decode(data[1:]):
                    feed.take_estimate(estimate["delivery"], estimate_shape(estimate))
            elif data[:1] == b"E":
                for event in _events_decoder.decode(data[1:]):
                    self._take_event(feed, event)
            elif data[:1] == JOB_BELL:
                self._take_job_news(feed, data[1:].decode())
        except (msgspec.DecodeError, ValueError):
            log.exception("gateway.publication_unreadable", tenant=tenant)

    def _take_event(self, feed: TenantFeed, event: Mapping[str, Any]) -> None:
        feed.take_event(event)
        kind, subject = str(event.get("type", "")), str(event.get("aggregate", ""))
        if subject in feed.deliveries:
            feed.changed_deliveries.add(subject)
            feed.to_follow.set()
        elif kind.startswith("job."):
            self._take_job_news(feed, subject)
        elif kind == "driver.positions_erased":
            feed.state.erase(int(event["data"]["number"]))
            feed.wake()
        elif kind in ("driver.changed", "driver.deleted"):
            self._services.registry.forget(feed.tenant, subject)
            self._take_driver_change(feed, kind, int(event["data"]["number"]))

    def _take_job_news(self, feed: TenantFeed, job: str) -> None:
        if job in feed.jobs:
            feed.changed_jobs.add(job)
            feed.to_follow.set()

    def _take_driver_change(self, feed: TenantFeed, kind: str, number: int) -> None:
        if kind == "driver.deleted":
            feed.state.hide(number)
            feed.wake()
        else:
            feed.renamed.add(number)
            feed.to_name.set()


def shape_delivery(document: "Delivery") -> dict[str, Any]:
    """Return a delivery as frames carry it."""
    return {
        "id": document.id,
        "status": document.status,
        "version": document.version,
        "driverId": document.driver,
        "updatedAt": document.updated_at,
        "eta": None,
    }


def estimate_shape(estimate: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return an estimate as frames carry it, instants as epoch milliseconds; None for one of a pickup."""
    if estimate["stop"] != "dropoff":
        return None
    names = ("estimated", "earliest", "latest", "confidence", "updated", "lateRisk", "atRisk")
    return {name: estimate[name] for name in names}
