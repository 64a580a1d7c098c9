"""GET and POST of JSON at a server of others, with limits on time and size, and one kind of failure."""

from typing import Any

import httpx2
import msgspec

from models.errors import ProviderDown

__all__ = ["JsonServer", "json_of"]

_LONGEST_PAUSE_S = 3600.0  # of what a server may ask for


class JsonServer:
    """One server that answers in JSON.

    Parameters
    ----------
    name
        For errors.
    url
        Its root.
    timeout_s
        Time limit of one question, seconds; a connection has to be there after half of it.
    max_bytes
        Longest answer.
    """

    def __init__(self, name: str, url: str, timeout_s: float, max_bytes: int) -> None:
        self._name, self._url, self._max_bytes = name, url.rstrip("/"), max_bytes
        timeout = httpx2.Timeout(timeout_s, connect=timeout_s / 2)
        self._http = httpx2.AsyncClient(timeout=timeout, follow_redirects=False)

    async def get(self, path: str, parameters: dict[str, str]) -> tuple[int, Any]:
        """Return status (200 or 400) and answer.

        Raises
        ------
        ProviderDown
            If there is no such answer.
        """
        return await self._asked("GET", path, params=parameters)

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        """Return status (200 or 400) and answer; raises as `get`."""
        return await self._asked("POST", path, json=body)

    async def close(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def _asked(self, method: str, path: str, **content: Any) -> tuple[int, Any]:
        try:
            async with self._http.stream(method, self._url + path, **content) as response:
                if response.status_code not in (200, 400):
                    wait = response.headers.get("Retry-After", "")
                    pause_s = min(float(wait), _LONGEST_PAUSE_S) if wait.isdecimal() else 1.0
                    raise ProviderDown(f"{self._name} answered {response.status_code}", pause_s)
                body = bytearray()
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > self._max_bytes:
                        raise ProviderDown(f"{self._name} answered far too much")
        except httpx2.HTTPError as fault:
            raise ProviderDown(f"{self._name} can't be reached: {type(fault).__name__}") from fault
        return response.status_code, json_of(self._name, body)


def json_of(name: str, body: bytes | bytearray) -> Any:
    """Return what a server says in JSON (RFC 8259: no NaN, no infinity; whole numbers may be of any size).

    Raises
    ------
    ProviderDown
        If it is none.
    """
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError) as fault:
        raise ProviderDown(f"{name} answered no JSON") from fault
