"""Messages by JSON over HTTP: `POST {"id", "to", "from"?, "subject"?, "text"}` with our id as `Idempotency-Key`.

What an answer means:

| answer | is |
| --- | --- |
| 2xx with JSON or nothing | taken |
| 2xx with anything else, 409, 502, 504, a broken connection, too slow | unknown: it may have been taken |
| 401, 403, 404, 405, 408, 425, 429, 3xx, other 5xx, no connection | not taken: the gateway or its settings |
| other 4xx | refused for good: the address or the text |
"""

import json
from collections.abc import Mapping

import httpx2

from engine.providers.breaker import Breaker
from models.errors import MessageRefused, OutcomeUnknown, ProviderDown

__all__ = ["JsonGateway"]

_MAX_ANSWER_BYTES = 65_536
_UNKNOWN = frozenset({409, 502, 504})
_NOT_THE_MESSAGE = frozenset({401, 403, 404, 405, 408, 425, 429})
_LONGEST_PAUSE_S = 3600.0  # of what a gateway may ask for


class JsonGateway:
    """One HTTP endpoint that takes messages.

    Parameters
    ----------
    url
        Where to post.
    token
        Sent as `Authorization: Bearer`, if there is one.
    timeout_s
        Time limit of one call, seconds; a connection has to be there after half of it.
    breaker
        Guards the calls.
    """

    def __init__(self, url: str, token: str | None, timeout_s: float, breaker: Breaker) -> None:
        self._url, self._breaker = url, breaker
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        limits = httpx2.Timeout(timeout_s, connect=timeout_s / 2)
        self._http = httpx2.AsyncClient(headers=headers, timeout=limits, follow_redirects=False)

    async def post(self, key: str, body: Mapping[str, str]) -> None:
        """Hand a message over under an idempotency key; raises as `Sender.send` does."""
        async with self._breaker:
            try:
                request = self._http.stream("POST", self._url, json=body, headers={"Idempotency-Key": key})
                async with request as response:
                    check_answer(response.status_code, await _start_of(response), response.headers.get("Retry-After"))
            except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as fault:
                raise ProviderDown(f"{self._breaker.name} can't be reached") from fault
            except httpx2.HTTPError as fault:
                raise OutcomeUnknown(f"{self._breaker.name} broke off: {type(fault).__name__}") from fault

    async def close(self) -> None:
        """Close connections."""
        await self._http.aclose()


def check_answer(status: int, body: bytes, retry_after: str | None = None) -> None:
    """Return if a gateway's answer says that it has taken the message; raises as `Sender.send` does."""
    if status in _UNKNOWN:
        raise OutcomeUnknown(f"the gateway answered {status}")
    if 200 <= status < 300:
        if not _makes_sense(body):
            raise OutcomeUnknown(f"the gateway answered {status} and no JSON")
        return
    if 400 <= status < 500 and status not in _NOT_THE_MESSAGE:
        raise MessageRefused(f"the gateway answered {status}")
    raise ProviderDown(f"the gateway answered {status}", _pause_s(retry_after))


def _makes_sense(body: bytes) -> bool:
    try:
        return not body.strip() or json.loads(body) is not None
    except (ValueError, RecursionError):
        return False


def _pause_s(retry_after: str | None) -> float:
    return min(float(retry_after), _LONGEST_PAUSE_S) if retry_after and retry_after.isdecimal() else 0.0


async def _start_of(response: httpx2.Response) -> bytes:
    """Return the answer's body, or of a long one the start: no answer of a gateway is long."""
    read = bytearray()
    async for piece in response.aiter_bytes():
        read += piece
        if len(read) > _MAX_ANSWER_BYTES:
            break
    return bytes(read)
