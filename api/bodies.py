"""JSON that no endpoint takes, whatever it is about: refused before anything reads it, with the path of each field.

Refused are keys that MongoDB could read as operators or paths (`$set`, `a.b`), null bytes and halves of surrogate pairs
in strings, nesting without end, keys that come twice, NaN, infinity and numbers that don't fit 64 bits, and bytes that
are not UTF-8. A good body is decoded once and not walked through; only one that looks odd is.
"""

import itertools
import json
import math
import re
from collections.abc import Iterator
from typing import Final, NoReturn

from models.errors import InvalidInput, Malformed

__all__ = ["MAX_DEPTH", "check_json", "check_text"]

MAX_DEPTH: Final = 32
"""Containers within containers; what we take has six at most."""

_MAX_FAULTS = 50
_MAX_KEY = 64
_MAX_INT = 2**63
_FOLD = bytes.maketrans(b"123456789E", b"000000000e")
_ODD = (b"\\u", b"0" * 19, b"0e00", b"0e+00")  # folded: a null or a surrogate, or too large a number, may be there
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Suspect(Exception):
    """Raised by the quick look when the long one is needed."""


class _Object(list[tuple[str, object]]):
    """A JSON object as it was written, with keys that come twice."""


def check_json(body: bytes) -> None:
    """Refuse a body that no endpoint takes.

    Raises
    ------
    Malformed
        If it is not JSON, or nested too deeply to be looked at.
    InvalidInput
        With the paths of the fields at fault.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as fault:
        raise Malformed(f"the body is not UTF-8 at byte {fault.start}") from fault
    try:
        folded = body.translate(_FOLD)  # many times as quick as one regular expression
        if not any(odd in folded for odd in _ODD):
            value = _QUICK.decode(text)
            if body.count(b"{") + body.count(b"[") <= MAX_DEPTH or not _is_deep(value):
                return
    except _Suspect:
        pass
    except (ValueError, RecursionError) as fault:
        raise _malformed(fault) from fault
    _look_closely(text)


def check_text(text: str) -> str | None:
    """Return what is wrong with a string that has come in, if anything."""
    if "\x00" in text:
        return "holds a null byte"
    if not text.isascii() and _SURROGATE.search(text) is not None:
        return "holds half of a surrogate pair"
    return None


def _look_closely(text: str) -> None:
    try:
        tree = _LONG.decode(text)
    except (ValueError, RecursionError) as fault:
        raise _malformed(fault) from fault
    if faults := list(itertools.islice(_faults(tree), _MAX_FAULTS)):
        raise InvalidInput(f"{faults[0][0] or 'body'}: {faults[0][1]}", faults)


def _faults(tree: object) -> Iterator[tuple[str, str]]:
    """Yield the path of each field at fault, and what is wrong with it."""
    waiting: list[tuple[object, str, int]] = [(tree, "", 0)]
    while waiting:
        value, path, depth = waiting.pop()
        if isinstance(value, str):
            if (wrong := check_text(value)) is not None:
                yield path, wrong
        elif isinstance(value, int | float):
            if not math.isfinite(value) if isinstance(value, float) else not -_MAX_INT <= value < _MAX_INT:
                yield path, "is no number of 64 bits"
        elif isinstance(value, list):
            if depth >= MAX_DEPTH:
                yield path, f"is nested more than {MAX_DEPTH} deep"
                continue
            if isinstance(value, _Object):
                yield from _odd_keys(value, path)
                steps: list[tuple[str, object]] = value
            else:
                steps = [(str(index), child) for index, child in enumerate(value)]
            waiting += [(child, _joined(path, key), depth + 1) for key, child in reversed(steps)]


def _odd_keys(pairs: _Object, path: str) -> Iterator[tuple[str, str]]:
    seen = set()
    for key, _ in pairs:
        if key in seen:
            yield _joined(path, key), "comes twice"
        seen.add(key)
        if key.startswith("$") or "." in key:
            yield _joined(path, key), "is no name of a field: it begins with $ or holds a dot"
        elif (wrong := check_text(key)) is not None:
            yield _joined(path, key), f"its name {wrong}"


def _joined(path: str, key: str) -> str:
    shown = key[:_MAX_KEY].replace("\x00", "\ufffd").encode(errors="replace").decode()
    return f"{path}.{shown}" if path else shown


def _is_deep(value: object) -> bool:
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            if type(node) in (dict, list)
            for child in (node.values() if type(node) is dict else node)  # type: ignore[attr-defined]  # line above
            if type(child) in (dict, list)
        ]
        if not level:
            return False
    return True


def _quick_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Suspect
    keys = "".join(found)  # one look at all of them; which it is, the long look says
    if "." in keys or "$" in keys:
        raise _Suspect
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _malformed(fault: Exception) -> Malformed:
    if isinstance(fault, RecursionError):
        return Malformed(f"the body is nested more than {MAX_DEPTH} deep")
    if isinstance(fault, json.JSONDecodeError):
        return Malformed(f"the body is not valid JSON: line {fault.lineno}, column {fault.colno}")
    return Malformed("the body is not valid JSON")


_QUICK: Final = json.JSONDecoder(object_pairs_hook=_quick_object, parse_constant=_no_constant)
_LONG: Final = json.JSONDecoder(object_pairs_hook=_Object, parse_constant=_no_constant)
