"""Identifiers that sort by time: a prefix that names the kind and 26 characters of Crockford base 32.

The 128 bits are a UUID version 7 (RFC 9562), so two processes never need to ask each other.
"""

import uuid_utils

__all__ = ["new_id"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SHIFTS = tuple(range(125, -1, -5))


def new_id(prefix: str) -> str:
    """Return a new identifier such as `drv_01k0…`; those made later sort later."""
    number = uuid_utils.uuid7().int
    return prefix + "_" + "".join([_ALPHABET[(number >> shift) & 31] for shift in _SHIFTS])
