"""How long a change of status takes to a webhook's first attempt and to a subscriber's frame, and whether each arrives.

Open loop: a change is asked for when it is due, whatever the answers do, and the time counts from that moment, so the
request itself is in the figure. Receiver and subscriber are in this process, so all times are of one clock.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx2
import msgspec
import numpy as np
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from bench.report import console, heading
from bench.stack import Account, Stack, running_stack
from outrider.client.live import LiveStream

__all__ = ["measure_events"]

DRIVERS = 100
STEPS = ("accepted", "picked_up", "in_transit", "arrived", "delivered")
"""What each delivery goes through after its assignment."""
WARM_UP_S = 2.0
SETTLE_S = 20.0
INTERVAL_MS = 20
_BULK = 500
_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"

_Change = tuple[str, int]
"""Delivery, and number of the event among its own."""


class _Receiver:
    """A webhook's receiver, and a subscriber to alerts: when each change came in first, and how often."""

    def __init__(self) -> None:
        self.posted: dict[_Change, float] = {}
        self.shown: dict[_Change, float] = {}
        self.repeated = 0
        self.requests: list[tuple[dict[str, str], bytes]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests of one connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:]
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                arrived = time.perf_counter()
                writer.write(_ANSWER)
                event = msgspec.json.decode(body)
                change = (event["aggregate"], event["sequence"])
                self.repeated += change in self.posted
                self.posted.setdefault(change, arrived)
                self.requests.append((headers, body))
        writer.close()

    async def watch(self, live: LiveStream) -> None:
        """Note the events of frames."""
        async for frame in live:
            arrived = time.perf_counter()
            for event in frame.events:
                self.shown.setdefault((event["aggregate"], event["sequence"]), arrived)

    def forged(self, secret: str) -> int:
        """Return how many requests were not signed as they should be."""
        verifier, wrong = Webhook(secret), 0
        for headers, body in self.requests:
            try:
                verifier.verify(body, headers, json_parse=False)
            except WebhookVerificationError:
                wrong += 1
        return wrong


async def measure_events(*, rate: float, seconds: float, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Measure and return the figures of `outrider bench events`."""
    settings = {"OUTRIDER_WEBHOOKS__ALLOW_PRIVATE": "true"} | dict(variables or {})
    async with running_stack(settings) as stack, contextlib.AsyncExitStack() as opened:
        account = await stack.open_account(DRIVERS)
        headers = {"Authorization": f"Bearer {account.token}"}
        http = httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=60.0, trust_env=False)
        await opened.enter_async_context(http)
        deliveries = await _deliveries(http, account, int(rate * (seconds + WARM_UP_S) / len(STEPS)) + 1)
        receiver = _Receiver()
        secret = await opened.enter_async_context(_listening(http, receiver, stack, account))
        console.print(f"stack at {stack.url}; {rate:g} changes/s for {seconds:g} s")
        due, answered = await _change_all(http, deliveries, rate)
        await _settle(receiver, due)
    measured = _measured(due, WARM_UP_S)
    return heading("events", seconds=seconds, repeats=1) | {
        "rate": rate,
        "changes": len(measured),
        **_percentiles("answer", measured, answered),
        **_percentiles("webhook", measured, receiver.posted),
        **_percentiles("live", measured, receiver.shown),
        "lost": len(due.keys() - receiver.posted.keys()) + len(due.keys() - receiver.shown.keys()),
        "repeated": receiver.repeated,
        "forged": receiver.forged(secret),
    }


async def _deliveries(http: httpx2.AsyncClient, account: Account, count: int) -> list[str]:
    """Make deliveries that drivers have already, and return their ids."""
    made: list[str] = []
    bodies = [
        {"dropoff": {"latitude": 41.15, "longitude": -8.61}, "driverId": account.drivers[place % DRIVERS]}
        for place in range(count)
    ]
    for first in range(0, count, _BULK):
        answer = await http.post("/api/v1/deliveries/bulk", json=bodies[first : first + _BULK])
        answer.raise_for_status()
        made += [delivery["id"] for delivery in msgspec.json.decode(answer.content)]
    return made


@contextlib.asynccontextmanager
async def _listening(
    http: httpx2.AsyncClient, receiver: _Receiver, stack: Stack, account: Account
) -> AsyncIterator[str]:
    """Register the receiver, subscribe, and yield the webhook's secret."""
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    body = {"url": f"http://127.0.0.1:{port}/hook", "events": ["delivery.*"]}
    answer = await http.post("/api/v1/webhooks", json=body)
    answer.raise_for_status()
    secret: str = msgspec.json.decode(answer.content)["secret"]
    async with server, LiveStream(stack.url, account.token) as live, asyncio.TaskGroup() as group:
        live.add("alerts", interval_ms=INTERVAL_MS)
        watching = group.create_task(receiver.watch(live), name="watch")
        yield secret
        watching.cancel()


async def _change_all(
    http: httpx2.AsyncClient, deliveries: Sequence[str], rate: float
) -> tuple[dict[_Change, float], dict[_Change, float]]:
    """Bring all deliveries through their steps; return when each change was due and when it was answered."""
    due: dict[_Change, float] = {}
    answered: dict[_Change, float] = {}

    async def change(delivery: str, status: str, moment: float) -> None:
        answer = await http.patch(f"/api/v1/deliveries/{delivery}/status", json={"status": status})
        answer.raise_for_status()
        place = (delivery, int(msgspec.json.decode(answer.content)["version"]))
        due[place], answered[place] = moment, time.perf_counter()

    began = time.perf_counter() + 1 / rate
    async with asyncio.TaskGroup() as group:
        for step, status in enumerate(STEPS):
            for place, delivery in enumerate(deliveries):
                moment = began + (step * len(deliveries) + place) / rate
                await asyncio.sleep(max(0.0, moment - time.perf_counter()))
                group.create_task(change(delivery, status, moment), name="change")
    return due, answered


async def _settle(receiver: _Receiver, due: Mapping[_Change, float]) -> None:
    """Wait until all has arrived, or for as long as a late one may take."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_S):
            while due.keys() - receiver.posted.keys() or due.keys() - receiver.shown.keys():  # noqa: ASYNC110  # counts
                await asyncio.sleep(0.1)


def _measured(due: Mapping[_Change, float], warm_up_s: float) -> dict[_Change, float]:
    first = min(due.values()) + warm_up_s
    return {change: moment for change, moment in due.items() if moment >= first}


def _percentiles(name: str, due: Mapping[_Change, float], came: Mapping[_Change, float]) -> dict[str, float]:
    delays_ms = [(came[change] - moment) * 1000 for change, moment in due.items() if change in came]
    p50, p99 = np.percentile(delays_ms or [np.nan], [50, 99])
    return {f"{name}_p50_ms": round(float(p50), 1), f"{name}_p99_ms": round(float(p99), 1)}
