"""Request bodies, whole and unpacked: gzip and zstd, never more than the limit in memory."""

import asyncio
import io
import zlib

import zstandard
from starlette.requests import Request

from models.errors import InvalidInput, Malformed, TooLarge

__all__ = ["read_body", "unpack"]

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_MAX_ZSTD_WINDOW = 8 * 2**20  # what RFC 9659 lets senders use over HTTP
_INLINE_BYTES = 64 * 2**10  # up to here unpacking takes well under a millisecond; above, a thread does it


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the body of a request, unpacked.

    Raises
    ------
    TooLarge
        If it, or what it unpacks to, is larger than `max_bytes`.
    Malformed
        If it is cut off or not what `Content-Encoding` says.
    InvalidInput
        If the encoding is one that we don't know.
    """
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        chunks.append(chunk)
    body = b"".join(chunks)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        return body
    if size <= _INLINE_BYTES:
        return unpack(body, encoding, max_bytes)
    return await asyncio.to_thread(unpack, body, encoding, max_bytes)


def unpack(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Return what a packed body holds; raises as `read_body`."""
    try:
        if encoding in ("gzip", "x-gzip"):
            return _gunzip(body, max_bytes)
        if encoding == "zstd":
            return _unzstd(body, max_bytes)
    except (zlib.error, zstandard.ZstdError) as error:
        raise Malformed(f"the body is not {encoding}") from error
    raise InvalidInput(
        f"the encoding {encoding[:20]!r} is not known", [("Content-Encoding", "one of identity, gzip, zstd")]
    )


def _gunzip(body: bytes, max_bytes: int) -> bytes:
    unzip = zlib.decompressobj(_GZIP_WINDOW)
    plain = unzip.decompress(body, max_bytes + 1)
    if len(plain) > max_bytes:
        raise _too_large(max_bytes)
    if not unzip.eof:
        raise Malformed("the gzip body is cut off")
    if unzip.unused_data:
        raise Malformed("the gzip body goes on after its end")
    return plain


def _unzstd(body: bytes, max_bytes: int) -> bytes:
    unzstd = zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW)
    # The stream reader unpacks no more than it is asked for, and the one-go object alone knows of a cut: both passes.
    with unzstd.stream_reader(io.BytesIO(body)) as reader:
        if len(reader.read(max_bytes + 1)) > max_bytes:
            raise _too_large(max_bytes)
    whole = unzstd.decompressobj()
    plain = whole.decompress(body)
    if not whole.eof:
        raise Malformed("the zstd body is cut off")
    if whole.unused_data:
        raise Malformed("the zstd body goes on after its end")
    return plain


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"a body may have {max_bytes} bytes at most, unpacked")
