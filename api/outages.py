"""An answer in time while MongoDB does not answer: requests that wait for it are broken off with a 503.

A server that was killed refuses connections, and the driver says so within its own limit. One that hangs (stopped, or
behind a dead network) says nothing, and an operation that has been sent would wait for ever. A limit on each operation
would also end honest long ones, so the server is asked every half second whether it is there, and only when it is not
are requests broken off, those that have run for longer than any needs that does not wait for it.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem_response
from models.errors import StoreUnavailable

__all__ = ["OutageMiddleware", "OutageWatch"]

log = structlog.get_logger(__name__)

_EVERY_S = 0.5
_GLANCE_S, _GLANCES = 0.1, 9  # with the pause before it: a hanging server is known to hang after 1.4 s
_SLOW_S = 0.5  # a request that needs no MongoDB is done long before
_AGAIN_S = 0.1
_RETRY_AFTER_S = 2.0
_OWN_WAYS = ("/api/v1/pings", "/api/v1/devices/", "/api/v1/health", "/metrics")
"""Paths that go on without MongoDB, or say themselves that it is away."""


class OutageWatch:
    """Knows the requests that run, and breaks them off while MongoDB does not answer.

    Parameters
    ----------
    ping
        Asks MongoDB for an answer and blocks; it gets a thread of its own, because the driver's may all hang.
    """

    def __init__(self, ping: Callable[[], None]) -> None:
        self._ping = ping
        self._running: dict[asyncio.Task[object], float] = {}
        self._given_up: dict[asyncio.Task[object], int] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="outage-watch")
        try:
            while True:
                answer = asyncio.get_running_loop().run_in_executor(thread, self._ping)
                for _ in range(_GLANCES):  # one each time that we run: while we are held up, nobody else is to blame
                    if not answer.done():
                        await asyncio.wait([answer], timeout=_GLANCE_S)
                if not answer.done():
                    log.warning("mongo.silent", after_s=_GLANCES * _GLANCE_S)
                while not answer.done():
                    self._give_up()
                    await asyncio.wait([answer], timeout=_AGAIN_S)
                answer.exception()  # a server that is gone is met by each operation itself
                await asyncio.sleep(_EVERY_S)
        finally:
            thread.shutdown(wait=False, cancel_futures=True)

    def enter(self, task: "asyncio.Task[object]") -> None:
        """Note a request that begins."""
        self._running[task] = time.monotonic()

    def broke_off(self, task: "asyncio.Task[object]") -> bool:
        """Tell whether it was us who cancelled a request."""
        return task in self._given_up

    def leave(self, task: "asyncio.Task[object]") -> None:
        """Note a request that ends; its task is as if it had never been cancelled by us."""
        del self._running[task]
        for _ in range(self._given_up.pop(task, 0)):
            task.uncancel()

    def _give_up(self) -> None:
        """Break off what waits; again, where somebody cleans up by asking MongoDB once more."""
        latest = time.monotonic() - _SLOW_S
        for task, began in self._running.items():
            if began < latest and not task.done():
                self._given_up[task] = self._given_up.get(task, 0) + 1
                task.cancel()


class OutageMiddleware:
    """Answers 503 for requests that the watch has broken off; WebSockets and positions pass untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request (ASGI)."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None or scope["path"].startswith(_OWN_WAYS):
            await self._app(scope, receive, send)
            return
        watch: OutageWatch = scope["app"].state.services.outages
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        watch.enter(task)
        try:
            await self._app(scope, receive, answer)
        except asyncio.CancelledError:
            if begun or not watch.broke_off(task):
                raise
        else:
            return
        finally:
            watch.leave(task)
        away = StoreUnavailable("MongoDB does not answer at the moment", _RETRY_AFTER_S)
        await problem_response(away, scope.get("request_id"))(scope, receive, send)
