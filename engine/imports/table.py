"""Deliveries as a table of text: CSV and JSON lines to raw fields, and fields to CSV.

Pure. The columns follow from the fields of the shape that the REST API takes, nested ones with a dot
(`dropoff.latitude`), so a new field is a new column by itself. What a cell may hold is the shape's business, not ours.
"""

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from pydantic import BaseModel

from models.errors import InvalidInput, Malformed

__all__ = ["Column", "RawRow", "columns_of", "csv_header", "csv_row", "decode_table", "read_csv", "read_lines"]

LIST_SEPARATOR: Final = "|"
"""Between the values of one cell."""

_GUARDED: Final = "=+-@\t\r'"
"""A text that begins with one of these gets an apostrophe before it: a spreadsheet would take it for a formula."""
_DELIMITERS: Final = ",;\t"
_FORMULA_TEXT = re.compile(r'^="(.*)"$', re.DOTALL)  # how spreadsheets are told that 00123 is no number
_DECIMAL_COMMA = re.compile(r"^[+-]?[0-9]+,[0-9]+$")
_CHARSETS: Final = {"utf-8", "utf8", "us-ascii", "utf-16", "windows-1252", "cp1252", "iso-8859-1", "latin-1"}
_BOMS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table."""

    path: tuple[str, ...]
    """Steps to the field as the wire calls it, `("dropoff", "latitude")`."""
    kind: Literal["number", "text", "list"]

    @property
    def name(self) -> str:
        """Its heading, `dropoff.latitude`."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row of a file, not yet checked."""

    row: int
    """As a spreadsheet counts: the heading is row 1. In JSON lines: the line."""
    fields: Mapping[str, Any]
    """Nested fields by their names on the wire."""
    said: frozenset[tuple[str, ...]] = frozenset()
    """Paths that the file has a column for, whether or not the cell is empty."""
    fault: str | None = None
    """Why it can't be read, if it can't."""


def columns_of(shape: type[BaseModel]) -> tuple[Column, ...]:
    """Return the columns of a shape, those of nested shapes in place of the field that holds them."""
    return tuple(_columns(shape, ()))


def decode_table(body: bytes, charset: str | None) -> str:
    """Return a file's text; a byte order mark goes before `charset`, and UTF-8 is what is meant without either.

    Raises
    ------
    Malformed
        If it is not text in its charset, or the charset is not one that we read.
    """
    name = next((name for mark, name in _BOMS if body.startswith(mark)), (charset or "utf-8").lower())
    if name not in {*_CHARSETS, "utf-8-sig"}:
        raise Malformed(f"the charset {name[:40]} is not read here; send UTF-8")
    try:
        return body.decode(name)
    except UnicodeDecodeError as fault:
        raise Malformed(
            f"byte {fault.start} is not {name}; save the file as UTF-8, or name its charset in Content-Type"
        ) from fault


def read_csv(
    text: str, columns: Sequence[Column], *, ignored: Collection[str] = (), ignore_unknown: bool = False
) -> Iterator[RawRow]:
    """Yield the rows of a CSV file that are not empty.

    Headings are taken whatever their case and however their words are joined: `dropoff.radiusM`, `dropoff_radius_m`,
    `Dropoff radius m`. The delimiter is `,`, `;` or a tab, whichever the heading has most of, or what a first line
    `sep=;` says. An empty cell means that nothing is said.

    Parameters
    ----------
    ignored
        Headings of further columns that are passed over.
    ignore_unknown
        Whether columns of unknown heading are passed over too.

    Raises
    ------
    InvalidInput
        If there is no heading, or it has a column that is unknown or comes twice.
    Malformed
        If a quote is never closed, or something follows one.
    """
    text, delimiter = _delimiter(text)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    try:
        heading = next(rows, [])
        number = 1
        places = _places(heading, columns, ignored, ignore_unknown=ignore_unknown)
        for number, cells in enumerate(rows, start=2):  # the number is for the message below
            if any(cell.strip() for cell in cells):
                yield _row(number, cells, places, len(heading))
    except csv.Error as fault:
        raise Malformed(f"row {number + 1} can't be read: {fault}") from fault


def read_lines(text: str, *, ignored: Collection[str] = ()) -> Iterator[RawRow]:
    """Yield the rows of a file of JSON lines that are not empty; `ignored` fields are passed over."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            fields = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError):
            yield RawRow(number, {}, fault="this line is not JSON")
            continue
        if not isinstance(fields, dict):
            yield RawRow(number, {}, fault="this line is no JSON object")
            continue
        kept = {name: value for name, value in fields.items() if name not in ignored}
        yield RawRow(number, kept, frozenset(_paths(kept)))


def csv_header(columns: Sequence[Column]) -> str:
    """Return the first line of a CSV file."""
    return _line([column.name for column in columns])


def csv_row(fields: Mapping[str, Any], columns: Sequence[Column]) -> str:
    """Return nested fields, named as on the wire, as one line of a CSV file."""
    return _line([_shown(_at(fields, column.path), column) for column in columns])


def _paths(fields: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in fields.items():
        yield (*before, name)
        if isinstance(value, Mapping):
            yield from _paths(value, (*before, name))


def _columns(shape: type[BaseModel], before: tuple[str, ...]) -> Iterator[Column]:
    for name, field in shape.model_fields.items():
        path = (*before, field.alias or name)
        kind = _plain(field.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _columns(kind, path)
        elif get_origin(kind) in (tuple, list):
            yield Column(path, "list")
        else:
            yield Column(path, "number" if kind in (int, float) else "text")


def _plain(annotation: Any) -> Any:
    """Return a type without its being optional and its rules."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        [*kinds] = [kind for kind in get_args(annotation) if kind is not type(None)]
        return _plain(kinds[0]) if len(kinds) == 1 else str
    return annotation


def _delimiter(text: str) -> tuple[str, str]:
    first, _, rest = text.partition("\n")
    if (said := re.match(r"^sep=([,;\t])\r?$", first)) is not None:
        return rest, said[1]
    return text, max(_DELIMITERS, key=first.count)


def _places(
    heading: Sequence[str], columns: Sequence[Column], ignored: Collection[str], *, ignore_unknown: bool
) -> list[Column | None]:
    """Return which column each cell of a row belongs to; None for those that are passed over."""
    known: dict[str, Column | None] = {_key(column.name): column for column in columns}
    known |= {_key(name): None for name in ignored}
    faults: list[tuple[str, str]] = []
    places: list[Column | None] = []
    for title in heading:
        key = _key(title)
        column = known.get(key)
        if key not in known and key and not ignore_unknown:
            faults.append((title.strip()[:80], "there is no such column"))
        elif column is not None and column in places:
            faults.append((column.name, "comes twice"))
        places.append(column)
    if not any(places):
        faults.append(("", "the first row names the columns, such as dropoff.address"))
    if faults:
        raise InvalidInput(f"{faults[0][0] or 'heading'}: {faults[0][1]}", faults)
    return places


def _key(title: str) -> str:
    return re.sub(r"[\W_]+", "", title).lower()


def _row(number: int, cells: Sequence[str], places: Sequence[Column | None], width: int) -> RawRow:
    if any(cell.strip() for cell in cells[width:]):
        return RawRow(number, {}, fault=f"there are {len(cells)} cells and {width} headings")
    fields: dict[str, Any] = {}
    for column, cell in zip(places, cells, strict=False):
        if column is None or not (said := cell.strip()):
            continue
        *way, last = column.path
        holder = fields
        for step in way:
            holder = holder.setdefault(step, {})
        holder[last] = _read(said, column)
    return RawRow(number, fields, frozenset(column.path for column in places if column is not None))


def _read(cell: str, column: Column) -> Any:
    if (text := _FORMULA_TEXT.match(cell)) is not None:
        cell = text[1].replace('""', '"')
    if column.kind == "number":
        return cell.replace(",", ".") if _DECIMAL_COMMA.match(cell) else cell
    if len(cell) > 1 and cell[0] == "'" and cell[1] in _GUARDED:
        cell = cell[1:]
    return cell.split(LIST_SEPARATOR) if column.kind == "list" else cell


def _shown(value: Any, column: Column) -> str:
    if value is None:
        return ""
    if column.kind == "number":
        return repr(value)
    text = LIST_SEPARATOR.join(value) if column.kind == "list" else str(value)
    return "'" + text if text[:1] and text[0] in _GUARDED else text


def _at(fields: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = fields
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _line(cells: Sequence[str]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line).writerow(cells)
    return line.getvalue()
