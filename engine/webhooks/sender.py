"""Posting one event to one address, within limits of time and size. Decides nothing about what comes after."""

import asyncio
import datetime
import email.utils
import functools
import re
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from types import TracebackType
from typing import Self

import httpx2

from engine.settings import WebhookSettings
from engine.webhooks.addresses import GuardedTransport
from engine.webhooks.look_ups import LOOK_UPS, LookUps, asking_for
from engine.webhooks.signing import signed_headers
from models.documents.document import now
from models.documents.event import Event

__all__ = ["Reply", "WebhookSender", "body_of"]

_GONE = 410
_MAX_ANSWER_BYTES = (
    16 * 1024
)  # nothing in an answer is of use; a short one is read so that the connection can serve again
_KEEP_ALIVE_S = 30.0
_SECONDS = re.compile(r"^\d{1,9}$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reply:
    """How a try went."""

    ok: bool
    duration_ms: float
    status: int | None = None
    """Status of the answer, if there was one."""
    error: str | None = None
    """What went wrong, in a few words."""
    retry_after_s: float | None = None
    """What the receiver asked us to wait."""

    @property
    def gone(self) -> bool:
        """Whether the receiver wants no more."""
        return self.status == _GONE


def body_of(event: Event) -> str:
    """Return an event as it is posted: as the pull feed shows it."""
    return event.model_dump_json(by_alias=True, exclude={"tenant", "number"})


class WebhookSender:
    """Posts events. Redirects are not followed, and addresses are checked at every connection.

    Parameters
    ----------
    settings
        Limits, and whether private addresses may be asked.
    look_ups
        Who finds the addresses of names.
    """

    def __init__(self, settings: WebhookSettings, look_ups: LookUps = LOOK_UPS) -> None:
        self._settings = settings
        limits = httpx2.Limits(
            max_connections=settings.at_once, max_keepalive_connections=settings.at_once, keepalive_expiry=_KEEP_ALIVE_S
        )
        self._client = httpx2.AsyncClient(
            transport=GuardedTransport(limits, _context(), look_ups, allow_private=settings.allow_private),
            timeout=httpx2.Timeout(settings.timeout_s, connect=settings.connect_timeout_s),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "Outrider-Webhooks/1", "Content-Type": "application/json"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up everywhere. May be called twice."""
        await self._client.aclose()

    async def send(self, url: str, secrets: Sequence[str], event: Event) -> Reply:
        """Post an event, signed with every secret, and return how it went, whatever the receiver does."""
        body = body_of(event)
        headers = signed_headers(secrets, event.id, now(), body)
        began = time.perf_counter()
        try:
            with asking_for(event.tenant):
                async with asyncio.timeout(self._settings.timeout_s):
                    status, wait = await self._post(url, headers, body)
        except TimeoutError:
            return Reply(ok=False, duration_ms=_since(began), error=f"no answer within {self._settings.timeout_s:g} s")
        except httpx2.TimeoutException as fault:
            return Reply(ok=False, duration_ms=_since(began), error=str(fault) or "no answer in time")
        except (httpx2.HTTPError, httpx2.InvalidURL) as fault:
            return Reply(ok=False, duration_ms=_since(began), error=_in_short(fault))
        ok = httpx2.codes.is_success(status)
        return Reply(
            ok=ok,
            duration_ms=_since(began),
            status=status,
            error=None if ok else f"answered {status}",
            retry_after_s=wait,
        )

    async def _post(self, url: str, headers: dict[str, str], body: str) -> tuple[int, float | None]:
        async with self._client.stream("POST", url, content=body.encode(), headers=headers) as answer:
            taken = 0
            async for part in answer.aiter_raw():
                taken += len(part)
                if taken > _MAX_ANSWER_BYTES:
                    break  # leaving the block closes the connection
            return answer.status_code, _wait_of(answer.headers.get("Retry-After"))


@functools.cache
def _context() -> ssl.SSLContext:
    """Return what certificates are checked with: the system's, or those of SSL_CERT_FILE. Reading them takes time."""
    return ssl.create_default_context()


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)


def _in_short(fault: Exception) -> str:
    return (str(fault) or type(fault).__name__)[:200]


def _wait_of(header: str | None) -> float | None:
    """Return what `Retry-After` asks for in seconds (RFC 9110, section 10.2.3): a number, or a date."""
    if header is None:
        return None
    if _SECONDS.match(header):
        return float(header)
    try:
        until = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.datetime.now(tz=UTC)).total_seconds())
