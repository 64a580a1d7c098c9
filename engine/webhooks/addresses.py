"""Which addresses a webhook may be sent to.

A webhook makes this server ask an address that a stranger chose. So none is asked that is not out on the internet:
whoever asks `http://169.254.169.254/` from inside a data centre is shown its keys. A name can lead anywhere, and
elsewhere a moment later, so the check stands where the connection is made and not only where a webhook is.
"""

import asyncio
import functools
import ipaddress
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpcore2
import httpx2

if TYPE_CHECKING:
    import ssl

__all__ = ["GuardedTransport", "addresses_of", "is_public"]

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # the last 32 bits are an IPv4 address that a gateway goes on to
# Not the loop's own: uvloop looks up a few names at once and goes on with those that nobody waits for any more. A few
# that hang would stop everybody's webhooks, and the end of the process.
_LOOK_UPS = ThreadPoolExecutor(16, thread_name_prefix="look-up")
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


async def addresses_of(host: str, port: int) -> list[str]:
    """Return the IP addresses that a name leads to now, in the system's order of preference.

    Raises
    ------
    OSError
        If it leads nowhere.
    """
    look_up = functools.partial(socket.getaddrinfo, host.strip("[]"), port, type=socket.SOCK_STREAM)
    try:
        found = await asyncio.get_running_loop().run_in_executor(_LOOK_UPS, look_up)
    except UnicodeError as fault:  # a label that no name has
        raise socket.gaierror(socket.EAI_NONAME, "not a name") from fault
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """An HTTP transport that connects to public addresses alone, unless private ones are allowed."""

    def __init__(self, limits: httpx2.Limits, context: "ssl.SSLContext", *, allow_private: bool) -> None:
        super().__init__(verify=context, trust_env=False)
        # httpx2 has no parameter for the network backend of its pool; httpcore2's pool has
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_GuardedBackend(allow_private=allow_private),
        )


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves a name itself, looks at what it found, and connects to exactly that."""

    def __init__(self, *, allow_private: bool) -> None:
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
                addresses = await addresses_of(host, port)
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
