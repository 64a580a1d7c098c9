"""One live connection: a task that reads what the subscriber says and one that writes what it is owed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.auth.principal import Principal
from api.auth.rights import may
from api.gateway.feed import TenantFeed
from api.gateway.frames import json_frame, message, names_message, packed_frame
from api.gateway.subscription import Subscription, Update
from api.gateway.topics import (
    Authenticate,
    ClientMessage,
    Ping,
    Resume,
    Subscribe,
    SubscribeDelivery,
    Unsubscribe,
    UnsubscribeDelivery,
    parse_message,
    parse_viewport,
)
from api.gateway.viewport import Selection
from engine.settings import FanoutSettings
from engine.telemetry import metrics
from models.errors import InvalidInput, NotAllowed, NotFound, OutriderError

if TYPE_CHECKING:
    from api.gateway.hub import Hub

__all__ = ["Closed", "Connection"]

BROKEN, FORBIDDEN, TOO_BIG, TRY_LATER = 1007, 1008, 1009, 1013
_MAX_MESSAGE_BYTES = 16 * 1024  # the longest honest message is a subscription
_SPARING = 4.0  # a frame that took 50 ms to make is followed 200 ms later at the soonest, whoever asks for it
_WAITING_REPLIES = 16  # a client that asks and never reads is read no further


class Closed(Exception):
    """Raised to end a connection with a close code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason


class Connection:
    """Serves one authenticated subscriber.

    Parameters
    ----------
    websocket
        Accepted already.
    principal
        Who subscribes; a driver sees itself and its deliveries alone.
    feed
        Live state of the subscriber's tenant.
    revoked
        Returns when the subscriber's rights end.
    packed
        Whether drivers go as binary records.
    """

    def __init__(
        self,
        websocket: WebSocket,
        principal: Principal,
        hub: "Hub",
        feed: TenantFeed,
        settings: FanoutSettings,
        revoked: Callable[[], Awaitable[None]],
        *,
        packed: bool,
    ) -> None:
        self._websocket, self._principal, self._hub, self._feed = websocket, principal, hub, feed
        self._settings = settings
        self._revoked = revoked
        self._packed = packed
        self._subscriptions: dict[str, Subscription] = {}
        self._replies: asyncio.Queue[bytes] = asyncio.Queue(_WAITING_REPLIES)
        self._wake = asyncio.Event()
        self._n = 0
        self._named: NDArray[np.int64] = np.zeros(0, np.int64)  # version of the name that was sent, per row

    async def serve(self) -> None:
        """Read and write until either side ends it.

        Raises
        ------
        Closed
            With the code to close with.
        """
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write_for_ever(), name="gateway-write")
                watch = group.create_task(self._leave_when_revoked(), name="gateway-revoked")
                await self._read_for_ever()
                writer.cancel()
                watch.cancel()
        except BaseExceptionGroup as ended:
            raise _cause(ended) from None

    async def _leave_when_revoked(self) -> None:
        await self._revoked()
        raise Closed(FORBIDDEN, "what this user or key may do has changed; connect again")

    async def _read_for_ever(self) -> None:
        while True:
            received = await self._websocket.receive()
            if received["type"] == "websocket.disconnect":
                return
            data = received.get("text") or received.get("bytes") or b""
            if len(data) > _MAX_MESSAGE_BYTES:
                raise Closed(TOO_BIG, f"a message has at most {_MAX_MESSAGE_BYTES} bytes")
            try:
                await self._follow(parse_message(data))
            except (msgspec.DecodeError, UnicodeDecodeError) as cause:
                raise Closed(BROKEN, "a message is not JSON") from cause
            except OutriderError as refusal:
                await self._reply(message("error", code=refusal.code, detail=str(refusal)))

    async def _reply(self, data: bytes) -> None:
        await self._replies.put(data)
        self._wake.set()

    async def _follow(self, said: ClientMessage) -> None:
        match said:
            case Subscribe():
                await self._subscribe(said)
            case SubscribeDelivery(delivery_id=delivery):
                await self._subscribe(Subscribe(id=delivery, topic="delivery", delivery_id=delivery))
            case Unsubscribe(id=name) | UnsubscribeDelivery(delivery_id=name):
                self._subscriptions.pop(name, None)
            case Resume():
                for subscription in self._subscriptions.values():
                    subscription.restart()
                self._wake.set()
            case Ping():
                await self._reply(message("pong"))
            case Authenticate():
                pass  # a second time changes nothing: the connection's rights are those it began with

    async def _subscribe(self, wish: Subscribe) -> None:
        if wish.id not in self._subscriptions and len(self._subscriptions) >= self._settings.max_subscriptions:
            raise InvalidInput(f"a connection has at most {self._settings.max_subscriptions} subscriptions")
        subscription = await self._resolve(wish)
        replaced = self._subscriptions.get(wish.id)
        self._subscriptions[wish.id] = subscription
        if replaced is not None:  # panning sends many of these: each keeps to the interval of the one before
            subscription.next_at = min(replaced.next_at, asyncio.get_running_loop().time() + subscription.interval_s)
        self._wake.set()

    async def _resolve(self, wish: Subscribe) -> Subscription:
        interval_s = max(wish.interval_ms, self._settings.min_interval_ms) / 1000
        subscription = Subscription(wish.id, wish.topic, interval_s, packed=self._packed, cursor=self._feed.events_end)
        own = self._principal.driver
        limited = self._principal.role in ("driver", "device")
        if limited and own is None:
            raise NotAllowed("this user is not linked to a driver")
        own_number = await self._number_of(own) if limited else None
        match wish.topic:
            case "viewport":
                subscription.selection = Selection(parse_viewport(wish.bbox), own_number)
            case "fleet":
                subscription.selection = Selection(number=own_number)
            case "driver":
                number = await self._number_of(wish.driver_id)
                if limited and number != own_number:
                    raise NotFound("driver", str(wish.driver_id))
                subscription.selection = Selection(number=number)
            case "delivery" | "alerts" if not may(self._principal, "deliveries.view"):
                raise NotAllowed("this key lacks the scope deliveries:read")
            case "job" if not may(self._principal, "routes.manage"):
                raise NotAllowed("jobs are for those who plan routes")
            case "job":
                subscription.job = await self._job(wish.job_id)
            case "delivery":
                subscription.delivery = await self._delivery(wish.delivery_id, own if limited else None)
            case "alerts":
                subscription.about = own if limited else None
        return subscription

    async def _number_of(self, driver: str | None) -> int:
        if driver is None:
            raise InvalidInput("topic driver needs driverId", [("driverId", "missing")])
        number, _ = await self._hub.driver_number(self._feed.tenant, driver)
        return number

    async def _delivery(self, delivery: str | None, only_of: str | None) -> str:
        if delivery is None:
            raise InvalidInput("topic delivery needs deliveryId", [("deliveryId", "missing")])
        await self._hub.follow_delivery(self._feed, delivery)
        if only_of is not None and self._feed.deliveries[delivery].shape["driverId"] != only_of:
            raise NotFound("delivery", delivery)
        return delivery

    async def _job(self, job: str | None) -> str:
        if job is None:
            raise InvalidInput("topic job needs jobId", [("jobId", "missing")])
        await self._hub.follow_job(self._feed, job)
        return job

    async def _write_for_ever(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            self._wake.clear()
            while not self._replies.empty():
                await self._send(self._replies.get_nowait())
            now = clock()
            due = [sub for sub in self._subscriptions.values() if sub.next_at <= now and sub.is_behind(self._feed)]
            for subscription in due:
                if self._subscriptions.get(subscription.id) is subscription:
                    await self._send_update(subscription, subscription.take_update(self._feed, clock()))
            if not due:
                await self._rest()

    async def _rest(self) -> None:
        """Wait for the next frame that is owed; when none is, for the next change."""
        owed = [sub.next_at for sub in self._subscriptions.values() if sub.is_behind(self._feed)]
        if not owed:
            self._feed.idle.add(self._wake)
            try:
                await self._wake.wait()
            finally:
                self._feed.idle.discard(self._wake)
            return
        timer = asyncio.get_running_loop().call_at(min(owed), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def _send_update(self, subscription: Subscription, update: Update) -> None:
        if not update:
            return
        metrics.FRAMES_SENT.inc()
        clock = asyncio.get_running_loop().time
        started = clock()
        if update.view is not None:
            update.view.encode(self._feed.state, packed=self._packed)
        subscription.next_at = max(subscription.next_at, started + _SPARING * (clock() - started))
        if self._packed and update.view is not None:
            await self._send_packed(subscription, update)
            return
        view = update.view
        self._n += 1
        drivers, gone = (b"[]", b"[]") if view is None else (view.drivers, view.gone)
        await self._send(
            json_frame(
                self._n,
                subscription.id,
                _now_ms(),
                full=update.full,
                drivers=drivers,
                gone=gone,
                deliveries=update.deliveries,
                events=update.events,
                jobs=update.jobs,
                missed=update.missed,
            )
        )

    async def _send_packed(self, subscription: Subscription, update: Update) -> None:
        """Send drivers as records, and what records can't carry as a JSON frame of its own."""
        view, state = update.view, self._feed.state
        if view is None:
            return
        rows = view.delta.rows
        if update.full or rows.size:
            if (unnamed := self._unnamed(rows)).size:
                await self._send(names_message(state, unnamed))
            self._n += 1
            await self._send(packed_frame(self._n, subscription.id, view.drivers, rows.size, full=update.full))
        if view.delta.gone.size or update.deliveries:
            await self._send_rest(subscription.id, view.gone, update.deliveries)

    async def _send_rest(self, name: str, gone: bytes, deliveries: Sequence[Mapping[str, object]]) -> None:
        self._n += 1
        await self._send(json_frame(self._n, name, _now_ms(), full=False, gone=gone, deliveries=deliveries))

    def _unnamed(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        state = self._feed.state
        if len(self._named) < len(state.records):
            wider = np.zeros(len(state.records), np.int64)
            wider[: len(self._named)] = self._named
            self._named = wider
        unnamed = rows[state.name_versions[rows] > self._named[rows]]
        self._named[unnamed] = state.name_versions[unnamed]
        return unnamed

    async def _send(self, data: bytes) -> None:
        """Send a message; JSON goes as text.

        Raises
        ------
        Closed
            If the subscriber took nothing for too long.
        """
        try:
            async with asyncio.timeout(self._settings.send_timeout_s):
                if data[:1] == b"{":
                    await self._websocket.send_text(data.decode())
                else:
                    await self._websocket.send_bytes(data)
        except TimeoutError as cause:
            raise Closed(FORBIDDEN, "the subscriber stopped reading") from cause
        except RuntimeError as cause:  # Starlette's word for sending on what the other side has closed
            raise WebSocketDisconnect(1006) from cause


def _cause(ended: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return why a connection ended; our own word goes before what followed from it."""
    wanted: BaseException = ended.subgroup(Closed) or ended
    while isinstance(wanted, BaseExceptionGroup):
        wanted = wanted.exceptions[0]
    return wanted


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
