"""Tables as CSV (RFC 4180), for spreadsheets."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.responses import Response

from models.documents.document import Shape

__all__ = ["CSV", "csv_of", "csv_response", "wants_csv"]

CSV = "text/csv"

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that begins so for something to compute."""


def wants_csv(accept: str) -> bool:
    """Tell whether an `Accept` header asks for CSV."""
    return any(part.split(";")[0].strip().lower() == CSV for part in accept.split(","))


def csv_response(rows: Sequence[Shape], name: str) -> Response:
    """Return rows as a file `name.csv`."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(csv_of(rows), media_type=f"{CSV}; charset=utf-8", headers=headers)


def csv_of(rows: Sequence[Shape]) -> str:
    """Return rows as CSV with a line of column names, which are the paths of the fields: `punctuality.late`."""
    flat = [dict(_flat(row.model_dump(mode="json", by_alias=True))) for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(flat[0]) if flat else [])
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _flat(fields: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in fields.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{path}{name}.")
        else:
            found.append((path + name, _harmless(value)))
    return found


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
