"""Finds out which format a file is in, and reads it."""

from pathlib import Path
from typing import Literal

from engine.routing.formats.instance import Instance
from engine.routing.formats.pickup_delivery import read_li_lim, read_sartori_buriol
from engine.routing.formats.solomon import read_solomon
from engine.routing.formats.tsplib import read_tsplib
from engine.routing.formats.vroom import read_vroom
from engine.routing.validation import check_problem
from models.errors import InvalidInput

__all__ = ["Format", "format_of", "read_instance"]

Format = Literal["solomon", "tsplib", "li-lim", "sartori-buriol", "vroom"]


def read_instance(path: Path, *, vehicles_first: bool | None = None) -> Instance:
    """Read a problem in any of the formats.

    Parameters
    ----------
    path
        A file of Solomon or Gehring and Homberger, CVRPLIB, Li and Lim, Sartori and Buriol, or VROOM.
    vehicles_first
        Whether fewer vehicles are better at any length; None means as the set has it.

    Raises
    ------
    InvalidInput
        If the file is none of these, or its problem makes no sense.
    """
    if not path.is_file():
        raise InvalidInput(f"there is no file {path}", [("file", "does not exist")])
    kind = format_of(path)
    try:
        instance = _read(path, kind, vehicles_first)
    except (ValueError, KeyError, IndexError, TypeError, RuntimeError) as error:
        # the libraries that read these formats raise whatever they trip over
        raise InvalidInput(f"{path.name} is no sound {kind} file: {error}", [("file", str(error))]) from error
    check_problem(instance.problem)
    return instance


def format_of(path: Path) -> Format:
    """Return the format of a file, by how it begins."""
    try:
        with path.open() as file:
            text = file.read(4000)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name} is no text", [("file", "is no text")]) from error
    if text.lstrip().startswith("{"):
        return "vroom"
    if "CUST NO" in text.upper():
        return "solomon"
    if "ROUTE-TIME:" in text:
        return "sartori-buriol"
    if "DIMENSION" in text:
        return "tsplib"
    first = text.split("\n", 1)[0].split()
    if len(first) in (2, 3) and all(one.replace(".", "").isdigit() for one in first):
        return "li-lim"
    raise InvalidInput(f"{path.name} is in no format that is understood", [("file", "unknown format")])


def _read(path: Path, kind: Format, vehicles_first: bool | None) -> Instance:
    if kind == "solomon":
        return read_solomon(path)
    if kind == "tsplib":
        return read_tsplib(path)
    if kind == "vroom":
        return read_vroom(path)
    first = True if vehicles_first is None else vehicles_first
    return (read_li_lim if kind == "li-lim" else read_sartori_buriol)(path, vehicles_first=first)
