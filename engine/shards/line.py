"""A direct line to a shard: questions and answers over a TCP socket of its own. Both ends are here.

A call of a Ray actor passes some six threads, and on a machine whose cores are busy each of them waits its turn: at
250,000 pings/s on two cores a question took 14 ms in the middle and 50 ms at 95 %. Over this line it is answered by the
loop that reads it. Where the line can't be had, the caller asks through Ray (`engine.asking`).

A message is its length (u32, little-endian) and msgpack. The first one is the secret, which stands with the address in
Redis: who may read there may ask. Then questions `[number, method, arguments]` and answers `[number, answer]`.
"""

import abc
import asyncio
import hmac
import itertools
import secrets
from collections.abc import Callable
from typing import Any, cast

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

__all__ = ["AnswerServer", "ShardLine", "lines_key"]

log = structlog.get_logger(__name__)

_LENGTH_BYTES = 4
_MOST_QUESTION_BYTES = 16 * 2**20  # a million driver numbers are 5 MB
_MOST_ANSWER_BYTES = 2**31  # ten million drivers are 480 MB
_TELL_EVERY_S = 2.0  # a Redis that came back without its data hears the address again

_question: msgspec.msgpack.Decoder[tuple[int, str, list[Any]]] = msgspec.msgpack.Decoder(tuple[int, str, list[Any]])
_answer: msgspec.msgpack.Decoder[tuple[int, Any]] = msgspec.msgpack.Decoder(tuple[int, Any])


def lines_key(prefix: str) -> str:
    """Return the hash in which shards leave `host port secret` of their lines, by index."""
    return f"{prefix}:lines"


class _Framed(asyncio.Protocol, abc.ABC):
    """Messages with their length in front, over any transport."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._unread = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        """Hand every whole message on."""
        unread = self._unread
        unread += data
        while len(unread) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(unread[:_LENGTH_BYTES], "little")
            if end > self._most_bytes:
                self.close()
                return
            if len(unread) < end:
                return
            message = bytes(unread[_LENGTH_BYTES:end])
            del unread[:end]
            self.take(message)

    @abc.abstractmethod
    def take(self, message: bytes) -> None:
        """Take one whole message."""

    def send(self, message: bytes) -> None:
        """Send one message."""
        if self._transport is not None:
            self._transport.write(len(message).to_bytes(_LENGTH_BYTES, "little") + message)

    def close(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()


class AnswerServer:
    """The shard's end.

    Parameters
    ----------
    index
        Which shard answers.
    answer
        Is called with a method and its arguments; answers at once.
    host
        Address of this node for the others.
    """

    def __init__(self, index: int, answer: Callable[..., Any], redis: "Redis", prefix: str, host: str) -> None:
        self._index, self._answer, self._redis, self._prefix, self._host = index, answer, redis, prefix, host
        self._secret = secrets.token_hex(16)
        self._callers: set[_Caller] = set()

    async def run(self) -> None:
        """Listen, and keep the address known, for ever."""
        server = await asyncio.get_running_loop().create_server(self._caller, self._host, 0)
        address = f"{self._host} {server.sockets[0].getsockname()[1]} {self._secret}"
        try:
            while True:
                try:
                    await self._redis.hset(lines_key(self._prefix), str(self._index), address)  # type: ignore[misc]  # typed for both
                except (RedisError, OSError, TimeoutError) as error:
                    log.warning("line.untold", shard=self._index, error=str(error))
                await asyncio.sleep(_TELL_EVERY_S)
        finally:
            server.close()
            for caller in list(self._callers):
                caller.close()

    def _caller(self) -> "_Caller":
        return _Caller(self._secret, self._answer, self._callers)


class _Caller(_Framed):
    """One connection of a caller, as the shard sees it."""

    def __init__(self, secret: str, answer: Callable[..., Any], callers: "set[_Caller]") -> None:
        super().__init__(_MOST_QUESTION_BYTES)
        self._secret, self._answer, self._callers = secret.encode(), answer, callers
        self._is_known = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join those who may ask."""
        super().connection_made(transport)
        self._callers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave."""
        del exc
        self._callers.discard(self)

    def take(self, message: bytes) -> None:
        """Take the secret, then answer questions. A fault drops the connection, and the caller hears it through Ray."""
        if not self._is_known:
            self._is_known = hmac.compare_digest(message, self._secret)
            if not self._is_known:
                self.close()
            return
        number, method, arguments = _question.decode(message)
        self.send(msgspec.msgpack.encode((number, self._answer(method, *arguments))))


class ShardLine(_Framed):
    """The caller's end; made by `connect`."""

    def __init__(self) -> None:
        super().__init__(_MOST_ANSWER_BYTES)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.is_lost = False
        """Whether the connection has ended."""

    @classmethod
    async def connect(cls, address: str) -> "ShardLine":
        """Return a line to the shard at an address from the hash of lines.

        Raises
        ------
        OSError
            If nobody listens there.
        ValueError
            If it is no address.
        """
        host, port, secret = address.split(" ")
        _, line = await asyncio.get_running_loop().create_connection(cls, host, int(port))
        line.send(secret.encode())
        return line

    async def ask(self, method: str, *arguments: Any) -> Any:
        """Ask and return the answer.

        Raises
        ------
        ConnectionError
            If the line is lost before the answer has come.
        """
        if self.is_lost:
            raise ConnectionResetError("the line is lost")
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        self.send(msgspec.msgpack.encode((number, method, arguments)))
        try:
            return await future
        finally:
            self._waiting.pop(number, None)

    def take(self, message: bytes) -> None:
        """Hand an answer to who waits for it; nobody does after a time-out."""
        number, answer = _answer.decode(message)
        future = self._waiting.get(number)
        if future is not None and not future.done():
            future.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all who wait."""
        del exc
        self.is_lost = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionResetError("the line was lost"))
