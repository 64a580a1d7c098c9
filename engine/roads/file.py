"""The file of a road network: a header in JSON and NumPy arrays behind it, read by memory map and so shared on a node.

`OUTROADS`, the length of the header (u32 LE), the header, then the arrays at multiples of 64 bytes. The header holds
`format`, `about` (region, date, attribution, profiles) and for each array its dtype, shape and offset.
"""

import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import BadSettings
from models.replacing import replacing

__all__ = ["FORMAT", "read_network", "write_network"]

FORMAT = 2
"""Rises when what is stored changes; other files are refused."""

_MAGIC = b"OUTROADS"
_ALIGNED = 64


def write_network(path: Path, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a file, replaced in one step when all is well."""
    shapes, offset = {}, 0
    for name, array in arrays.items():
        shapes[name] = {"dtype": array.dtype.str, "shape": array.shape, "offset": offset}
        offset += -(-array.nbytes // _ALIGNED) * _ALIGNED
    header = json.dumps({"format": FORMAT, "about": about, "arrays": shapes}).encode()
    with replacing(path) as partial, partial.open("wb") as file:
        file.write(_MAGIC + len(header).to_bytes(4, "little") + header)
        begin = -(-file.tell() // _ALIGNED) * _ALIGNED
        for name, array in arrays.items():
            file.seek(begin + int(shapes[name]["offset"]))  # type: ignore[call-overload]  # of a mixed mapping
            file.write(np.ascontiguousarray(array).tobytes())
        file.truncate(max(file.tell(), begin + offset))


def read_network(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what a file says about itself, and its arrays, mapped.

    Raises
    ------
    BadSettings
        If it is missing, no road network, or of another release's format.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC) + 4)
            size = int.from_bytes(start[len(_MAGIC) :], "little")
            header = json.loads(file.read(size)) if start.startswith(_MAGIC) else {}
            begin = -(-(len(start) + size) // _ALIGNED) * _ALIGNED
            if header.get("format") != FORMAT:
                raise BadSettings(
                    f"{path} is no road network of this release; make it anew with `outrider roads build`"
                )
            # pages are shared until somebody writes; compiled code knows read-only arrays as another type
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except OSError as cause:
        raise BadSettings(f"the road network {path} can't be read: {cause.strerror}") from cause
    except ValueError as cause:
        raise BadSettings(f"{path} is no road network: {cause}") from cause
    arrays = {}
    for name, one in header["arrays"].items():
        count = int(np.prod(one["shape"], dtype=np.int64))
        array = np.frombuffer(mapped, np.dtype(one["dtype"]), count, begin + one["offset"])
        arrays[name] = array.reshape(one["shape"])
    return header["about"], arrays
