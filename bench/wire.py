"""Frames and requests as bytes, made ahead of sending, so that the load costs its sender next to nothing.

WebSocket frames follow RFC 6455 with a masking key of zero: the payload goes out as it is, and the server does the same
work as with any other key. A tool that measures may do so; a client may not.
"""

import base64
import os
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.messages.fixes import DEGREE

__all__ = ["FrameReader", "client_frame", "handshake", "http_request", "json_rows", "packed_head", "packed_rows"]

BINARY = 0x2
TEXT = 0x1
CLOSE = 0x8
PING = 0x9
PONG = 0xA


def client_frame(opcode: int, *parts: bytes) -> bytes:
    """Return one whole client frame."""
    length = sum(map(len, parts))
    first = 0x80 | opcode
    if length < 126:
        head = bytes((first, 0x80 | length))
    elif length < 65536:
        head = bytes((first, 0xFE)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + length.to_bytes(8, "big")
    return b"".join((head, b"\0\0\0\0", *parts))


def handshake(host: str, port: int, path: str, token: str) -> bytes:
    """Return the request that opens a WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()


def http_request(host: str, port: int, path: str, token: str, content_type: str, body: bytes) -> bytes:
    """Return one POST request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {content_type}\r\nAccept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class FrameReader:
    """Splits the bytes of a server into messages; servers don't mask."""

    def __init__(self) -> None:
        self._rest = b""
        self._parts: list[bytes] = []
        self._opcode = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return the messages that are complete with `data`, as pairs of opcode and payload."""
        buffer = self._rest + data if self._rest else data
        at, messages = 0, []
        while (span := _frame_at(buffer, at)) is not None:
            start, end = span
            first = buffer[at]
            at = end
            opcode, payload = first & 0x0F, buffer[start:end]
            if opcode >= CLOSE:
                messages.append((opcode, payload))
                continue
            self._opcode = opcode or self._opcode
            self._parts.append(payload)
            if first & 0x80:
                messages.append((self._opcode, b"".join(self._parts)))
                self._parts = []
        self._rest = buffer[at:]
        return messages


def _frame_at(buffer: bytes, at: int) -> tuple[int, int] | None:
    """Return (start, end) of the payload of the frame that begins at `at`, or None while it is not whole."""
    if len(buffer) < at + 2:
        return None
    length, start = buffer[at + 1] & 0x7F, at + 2
    if length > 125:
        wide = 2 if length == 126 else 8
        if len(buffer) < start + wide:
            return None
        length, start = int.from_bytes(buffer[start : start + wide], "big"), start + wide
    return (start, start + length) if len(buffer) >= start + length else None


def packed_head(drivers: Sequence[str], payload_length: int) -> tuple[bytes, bytes]:
    """Return the msgpack before and after the number in a frame `{"seq", "drivers", "packed"}`; records follow."""
    before = b"\x83" + msgspec.msgpack.encode("seq") + b"\xce"
    after = msgspec.msgpack.encode("drivers") + msgspec.msgpack.encode(list(drivers)) + msgspec.msgpack.encode("packed")
    return before, after + b"\xc6" + payload_length.to_bytes(4, "big")


def packed_rows(fixes: NDArray[np.void], drivers: Sequence[str]) -> bytes:
    """Return an array of pings as rows in msgpack. All driver ids must be of one length below 32.

    Rows of one layout have one length, so they are columns of a structured array with the constant bytes filled in.
    """
    width = len(drivers[0])
    fields: list[tuple[str, str]] = []
    constant: dict[str, bytes] = {}

    def key(name: str, mark: bytes) -> None:
        text = msgspec.msgpack.encode(name) + mark
        constant[f"_{name}"] = text
        fields.append((f"_{name}", f"V{len(text)}"))

    columns = {
        "time": (b"\xcf", ">u8", fixes["time"]),
        "latitude": (b"\xcb", ">f8", fixes["lat"] / DEGREE),
        "longitude": (b"\xcb", ">f8", fixes["lon"] / DEGREE),
        "speed": (b"\xca", ">f4", fixes["speed"]),
        "heading": (b"\xca", ">f4", fixes["heading"]),
        "accuracy": (b"\xca", ">f4", fixes["accuracy"]),
        "sequence": (b"\xcf", ">u8", fixes["seq"]),
    }
    fields.append(("_map", "V1"))
    key("driverId", bytes((0xA0 | width,)))
    fields.append(("driver", f"S{width}"))
    for name, (mark, kind, _) in columns.items():
        key(name, mark)
        fields.append((name, kind))
    rows = np.zeros(len(fixes), np.dtype(fields))
    rows["_map"] = np.void(bytes((0x80 | len(columns) + 1,)))
    for name, text in constant.items():
        rows[name] = np.void(text)
    rows["driver"] = np.array([name.encode() for name in drivers])[fixes["driver"]]
    for name, (_, _, values) in columns.items():
        rows[name] = values
    return b"\xdd" + len(fixes).to_bytes(4, "big") + rows.tobytes()


def json_rows(fixes: NDArray[np.void], drivers: Sequence[str]) -> bytes:
    """Return pings as a JSON body of rows, for the plain alternative."""
    return msgspec.json.encode(
        {
            "pings": [
                {
                    "driverId": drivers[fix["driver"]],
                    "time": int(fix["time"]),
                    "latitude": float(fix["lat"]) / DEGREE,
                    "longitude": float(fix["lon"]) / DEGREE,
                    "speed": float(fix["speed"]),
                    "heading": float(fix["heading"]),
                    "accuracy": float(fix["accuracy"]),
                    "sequence": int(fix["seq"]),
                }
                for fix in fixes
            ]
        }
    )
