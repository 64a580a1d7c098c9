"""One ingest stream after its caller is known: frames in, cumulative acknowledgements out. Holds no socket.

Everything that a frame usually needs happens in one synchronous call (`take`). Only when a driver has to be looked up
does the frame wait for `settle`, and nothing of the connection is read meanwhile.
"""

from collections import deque
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from api.ingest.admit import Admission
from api.ingest.decode import Decoder, Message
from api.ingest.sessions import Session
from api.ingest.validate import Refusal
from engine.log.watermark import Commit
from models.errors import InvalidInput, Malformed, TooLarge, TryLater
from models.messages.fixes import Source

if TYPE_CHECKING:
    from api.ingest.doors import Door

__all__ = ["BROKEN", "FORBIDDEN", "RESTARTED", "TOO_BIG", "TRY_LATER", "IngestConnection", "Outlet", "encode"]

FORBIDDEN, BROKEN, TOO_BIG, RESTARTED, TRY_LATER = 1008, 1007, 1009, 1012, 1013  # RFC 6455 section 7.4

_MAX_PINGS_ON_THE_WAY = 20_000
_MAX_FRAMES_ON_THE_WAY = 4096


class Outlet(Protocol):
    """The socket's side of a connection."""

    def write(self, data: bytes, *, text: bool) -> None:
        """Send one message; never waits."""

    def close(self, code: int, reason: str) -> None:
        """Say goodbye."""

    def pause(self) -> None:
        """Stop reading: too much is on its way to the log."""

    def resume(self) -> None:
        """Go on reading."""


class Ack(msgspec.Struct, tag="ack", tag_field="type"):
    """Every frame up to `seq` is accepted, up to `durable` durable."""

    seq: int
    durable: int
    refused: list[dict[str, str | int]]


class IngestConnection:
    """The protocol of one stream.

    Parameters
    ----------
    door
        What all streams of the process share.
    admission
        The caller's rights and limits.
    session
        Where the stream stands.
    outlet
        The socket.
    tenant
        For the counts.
    """

    def __init__(self, door: "Door", admission: Admission, session: Session, outlet: Outlet, tenant: str) -> None:
        self.session = session
        self.ended = False
        """Whether it has said goodbye."""
        self._door = door
        self._decoder: Decoder = door.decoder
        self._admission = admission
        self._outlet = outlet
        self._tenant = tenant
        self._text = True
        self._seq = 0
        self._stuck: Message | None = None
        self._refused: list[dict[str, str | int]] = []
        self._on_the_way: deque[tuple[int, int]] = deque()
        self._pings_on_the_way = 0
        self._paused = False

    def take(self, data: bytes, *, text: bool) -> bool:
        """Take one message of the client. False: it waits, call `settle` before the next one."""
        self._text = text
        try:
            message = self._decoder.json(data) if text else self._decoder.msgpack(data)
            if message.seq is None or (message.rows is None and message.packed is None):
                self._take_other(message)
                return True
            if message.seq <= self._seq:
                raise Malformed(f"seq has to rise: {message.seq} follows {self._seq}", [("seq", "does not rise")])
            self._seq = message.seq
            if self._admission.drivers_of(message):
                self._stuck = message
                return False
            self._offer(message)
        except TooLarge as error:
            self.end(TOO_BIG, str(error))
        except InvalidInput as error:
            self.end(BROKEN, str(error))
        except TryLater as error:
            self._busy(error)
        return True

    async def settle(self) -> None:
        """Look up the drivers of the frame that waits, and take it."""
        message, self._stuck = self._stuck, None
        if message is None:
            return
        try:
            while unknown := self._admission.drivers_of(message):
                await self._admission.roster.learn(unknown)
            if not self.ended:
                self._offer(message)
        except TooLarge as error:
            self.end(TOO_BIG, str(error))
        except InvalidInput as error:
            self.end(BROKEN, str(error))
        except TryLater as error:
            self._busy(error)

    def committed(self, commit: Commit, token: int) -> None:
        """Acknowledge the frames up to `token` (`engine.log.append.CommitListener`)."""
        on_the_way = self._on_the_way
        while on_the_way and on_the_way[0][0] <= token:
            self._pings_on_the_way -= on_the_way.popleft()[1]
        self.session.note_accepted(token, commit.number)
        if self.ended:
            return
        self.acknowledge()
        if self._paused and self._pings_on_the_way <= _MAX_PINGS_ON_THE_WAY // 2:
            self._paused = False
            self._outlet.resume()

    def failed(self, error: TryLater) -> None:
        """Give up: something was not accepted, and what follows it must not be acknowledged over it."""
        self._busy(error)

    def acknowledge(self) -> None:
        """Tell the client how far it is."""
        self.session.advance(self._door.durable_commit)
        refused, self._refused = self._refused, []
        self._write(Ack(self.session.accepted, self.session.durable, refused))

    def lost(self) -> None:
        """End the stream because the log may have lost something: the client sends again what is not durable."""
        self.end(RESTARTED, "the ingest log has restarted: send again what is not durable")

    def end(self, code: int, reason: str) -> None:
        """Close with a reason."""
        if not self.ended:
            self.ended = True
            self._outlet.close(code, reason)

    def _take_other(self, message: Message) -> None:
        match message.type:
            case "ping":
                self._write({"type": "pong"})
            case "authenticate":
                return  # a client that sends its token twice, in a header and as a message
            case _:
                raise Malformed("a message needs `seq` and `pings` or `packed`", [("seq", "missing")])

    def _offer(self, message: Message) -> None:
        admitted = self._admission.admit(message, Source.WEBSOCKET)
        seq = message.seq or 0
        self._door.appender.offer(admitted.fixes, admitted.partitions, self, seq)
        good = admitted.count
        if admitted.refused:
            self._note(seq, admitted.refused)
        self._door.count(self._tenant, good, len(admitted.refused))
        self._on_the_way.append((seq, good))
        self._pings_on_the_way += good
        if self._pings_on_the_way > _MAX_PINGS_ON_THE_WAY or len(self._on_the_way) > _MAX_FRAMES_ON_THE_WAY:
            self._paused = True
            self._outlet.pause()

    def _note(self, seq: int, refused: list[Refusal]) -> None:
        self._refused += [{"seq": seq, **refusal.to_wire()} for refusal in refused]

    def _busy(self, error: TryLater) -> None:
        if not self.ended:
            self._write({"type": "busy", "retryAfter": error.retry_after_s})
            self.end(TRY_LATER, str(error))

    def _write(self, message: object) -> None:
        self._outlet.write(encode(message, text=self._text), text=self._text)


def encode(message: object, *, text: Literal[True, False]) -> bytes:
    """Return a message in the encoding of the client's last frame."""
    return msgspec.json.encode(message) if text else msgspec.msgpack.encode(message)
