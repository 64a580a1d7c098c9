"""Which addresses a webhook may be sent to.

A webhook makes this server ask an address that a stranger chose. So none is asked that is not out on the internet:
whoever asks `http://169.254.169.254/` from inside a data centre is shown its keys. A name can lead anywhere, and
elsewhere a moment later, so the check stands where the connection is made and not only where a webhook is.
"""

import asyncio
import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

import httpcore2
import httpx2

from engine.webhooks.look_ups import LookUps

if TYPE_CHECKING:
    import ssl

__all__ = ["GuardedTransport", "is_public"]

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # the last 32 bits are an IPv4 address that a gateway goes on to
_SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the internet: not private, loopback, link-local or anything of its kind."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if found.is_site_local:
            return False
    return found.is_global and not found.is_multicast


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """An HTTP transport that connects to public addresses alone, unless private ones are allowed."""

    def __init__(
        self, limits: httpx2.Limits, context: "ssl.SSLContext", look_ups: LookUps, *, allow_private: bool
    ) -> None:
        super().__init__(verify=context, trust_env=False)
        # httpx2 has no parameter for the network backend of its pool; httpcore2's pool has
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_GuardedBackend(look_ups, allow_private=allow_private),
        )


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves a name itself, looks at what it found, and connects to exactly that."""

    def __init__(self, look_ups: LookUps, *, allow_private: bool) -> None:
        self._look_ups = look_ups
        self._allow_private = allow_private
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[_SocketOption] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._look_ups.addresses_of(host)
        except TimeoutError as fault:
            raise httpcore2.ConnectTimeout("the name was not resolved in time") from fault
        except OSError as fault:
            raise httpcore2.ConnectError(f"the name leads nowhere: {fault.strerror}") from fault
        if not self._allow_private and not all(map(is_public, addresses)):
            raise httpcore2.ConnectError("the name leads to an address that is not public")
        return await self._first_of(addresses, port, timeout, local_address, socket_options)

    async def _first_of(
        self,
        addresses: list[str],
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Iterable[_SocketOption] | None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address that answers."""
        for address in addresses[:-1]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
