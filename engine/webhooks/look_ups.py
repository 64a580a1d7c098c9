"""Looking up the names of webhooks, so that one company's dead names hold up nobody else's.

The system's resolver blocks, for ten seconds and more where a name server says nothing. So names are looked up on
threads of their own, of which each company has a share, and a name that led nowhere is not asked for again for a while.
What a name leads to is never remembered: elsewhere a moment later, it would have to be looked at anew.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial

from cachetools import TTLCache

__all__ = ["LOOK_UPS", "LookUps", "Resolver", "asking_for"]

_THREADS = 16
_SHARE = 4  # of these for one tenant
_FIRST_PAUSE_S = 4.0  # a webhook's second try comes 5 s after the first, and shall ask again
_LONGEST_PAUSE_S = 300.0
_GROWTH = 3.0  # of the pause, with every failure in a row
_MOST_DEAD = 4096  # names; they take 2 MB

_tenant: ContextVar[str] = ContextVar("tenant", default="")

Resolver = Callable[[str], list[str]]
"""Returns the addresses that a name leads to, blocking; raises OSError if it leads nowhere."""


@contextlib.contextmanager
def asking_for(tenant: str) -> Iterator[None]:
    """Let what this task looks up inside the block count to a tenant's share of the threads."""
    token = _tenant.set(tenant)
    try:
        yield
    finally:
        _tenant.reset(token)


def _resolved(name: str) -> list[str]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except UnicodeError as fault:  # a label that no name has
        raise socket.gaierror(socket.EAI_NONAME, "not a name") from fault
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class _Dead:
    """Of a name that led nowhere: when it may be looked up again by the clock, and the pause until then, seconds."""

    until: float
    pause_s: float


class LookUps:
    """Looks names up and remembers for a while which led nowhere: for 4 s at first, for five minutes at last.

    Parameters
    ----------
    resolve
        The resolver.
    clock
        A clock that never goes back, seconds.
    """

    def __init__(self, resolve: Resolver = _resolved, clock: Callable[[], float] = time.monotonic) -> None:
        self._resolve = resolve
        self._clock = clock
        self._threads = _SharedThreads()
        self._lock = threading.Lock()
        self._dead: TTLCache[str, _Dead] = TTLCache(_MOST_DEAD, 2 * _LONGEST_PAUSE_S, timer=clock)

    async def addresses_of(self, host: str) -> list[str]:
        """Return the IP addresses that a name leads to now, in the system's order of preference.

        Raises
        ------
        OSError
            If it leads nowhere, or led nowhere a while ago.
        """
        name = host.strip("[]")
        self._refuse_dead(name)
        return await asyncio.wrap_future(self._threads.submit(_tenant.get(), partial(self._look_up, name)))

    def _look_up(self, name: str) -> list[str]:
        self._refuse_dead(name)  # while this one waited for its turn
        with self._lock:
            if (dead := self._dead.get(name)) is not None:  # one tries, and the others wait for how it goes
                self._dead[name] = replace(dead, until=self._clock() + dead.pause_s)
        try:
            addresses = self._resolve(name)
        except OSError:
            with self._lock:
                pause_s = _FIRST_PAUSE_S if dead is None else min(dead.pause_s * _GROWTH, _LONGEST_PAUSE_S)
                self._dead[name] = _Dead(self._clock() + pause_s, pause_s)
            raise
        with self._lock:
            self._dead.pop(name, None)
        return addresses

    def _refuse_dead(self, name: str) -> None:
        with self._lock:
            dead = self._dead.get(name)
        if dead is not None and self._clock() < dead.until:
            raise socket.gaierror(socket.EAI_AGAIN, "it was not found a moment ago")


class _SharedThreads:
    """Threads of which nobody has more than a share at once. What goes over a share waits for its owner's own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="look-up")
        self._lock = threading.Lock()  # of what follows
        self._busy: Counter[str] = Counter()
        self._waiting: dict[str, deque[tuple[Future[list[str]], Callable[[], list[str]]]]] = {}

    def submit(self, owner: str, work: Callable[[], list[str]]) -> "Future[list[str]]":
        """Return what `work` will return. It is not begun if that is cancelled before its turn comes."""
        future: Future[list[str]] = Future()
        with self._lock:
            self._waiting.setdefault(owner, deque()).append((future, work))
            self._begin(owner)
        return future

    def _begin(self, owner: str) -> None:
        """Hand to the threads what an owner has waiting, up to its share; the caller holds the lock."""
        waiting = self._waiting[owner]
        while waiting and self._busy[owner] < _SHARE:
            self._threads.submit(self._run, owner, *waiting.popleft())
            self._busy[owner] += 1
        if not waiting and not self._busy[owner]:
            del self._waiting[owner], self._busy[owner]

    def _run(self, owner: str, future: "Future[list[str]]", work: Callable[[], list[str]]) -> None:
        try:
            if future.set_running_or_notify_cancel():
                future.set_result(work())
        except Exception as fault:  # noqa: BLE001 - told to whoever waits
            future.set_exception(fault)
        finally:
            with self._lock:
                self._busy[owner] -= 1
                self._begin(owner)


LOOK_UPS = LookUps()
"""Those of this process."""
