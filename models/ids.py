"""Identifiers that sort by time: a prefix that names the kind and 26 characters of Crockford base 32.

The 128 bits are a UUID version 7 (RFC 9562), so two processes never need to ask each other.
"""

import datetime
import hashlib

import uuid_utils

__all__ = ["derived_id", "new_id"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)  # two at a time, in half the time
_SHIFTS = tuple(range(120, -1, -10))
_DERIVED_BITS = 80  # below the 48 of the milliseconds, where a UUID has version, counter and chance


def new_id(prefix: str) -> str:
    """Return a new identifier such as `drv_01k0…`; those made later sort later."""
    return _spelled(prefix, uuid_utils.uuid7().int)


def derived_id(prefix: str, moment: datetime.datetime, *parts: str) -> str:
    """Return the identifier of what follows from `parts`: always the same, and sorted by `moment` as others are."""
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=_DERIVED_BITS // 8).digest()
    milliseconds = int(moment.timestamp() * 1000) & (1 << 48) - 1
    return _spelled(prefix, milliseconds << _DERIVED_BITS | int.from_bytes(digest))


def _spelled(prefix: str, number: int) -> str:
    return prefix + "_" + "".join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS])
