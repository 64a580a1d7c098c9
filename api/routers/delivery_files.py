"""Deliveries by the file: import from CSV and JSON lines with a report by row, and export with the list's filters."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import ValidationError

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.idempotency import IdempotencyKey, create_once
from api.paging import PageOf, Paging, page_of
from api.problems import field_faults
from api.routers.deliveries import DeliveryFields, NewDelivery, WantedDeliveries
from api.services import Services
from engine.imports.commands import DeliveryImports, ImportOptions
from engine.imports.plan import Candidate, OnDuplicate, Plan
from engine.imports.table import Column, RawRow, columns_of, csv_header, csv_row, decode_table, read_csv, read_lines
from models.documents.delivery import Customer, Delivery, Place, TimeWindow
from models.documents.document import Instant, Shape
from models.documents.imports import FieldFault, Import, ImportOutcome, ImportRow
from models.errors import InvalidInput, TooLarge, UnsupportedContent
from models.store.deliveries import DeliveryRepository
from models.store.imports import ImportRepository

__all__ = ["router"]

router = APIRouter(prefix="/deliveries", tags=["deliveries"])
Planner = Annotated[Principal, Depends(allowed("deliveries.manage"))]

MAX_ROWS: Final = 10_000
_CHECKED_AT_ONCE: Final = 100  # rows between two looks at other requests: about 5 ms
_EXPORTED_AT_ONCE: Final = 200
_CSV: Final = "text/csv"
_LINES: Final = "application/x-ndjson"
_LINE_TYPES: Final = {_LINES, "application/ndjson", "application/jsonl", "application/x-jsonlines"}
_COLUMNS: Final = columns_of(NewDelivery)
_OURS: Final = ("id", "version", "status", "createdAt", "updatedAt")
"""What an export says beside and an import passes over."""
_NAMES: Final = {field.alias or name: name for name, field in NewDelivery.model_fields.items()} | {
    name: name for name in NewDelivery.model_fields
}
_PARTS: Final = {
    said: name
    for shape in (Customer, Place, TimeWindow)
    for name, field in shape.model_fields.items()
    for said in (name, field.alias or name)
}
_EXPORTED: Final = (
    Column(("id",), "text"),
    Column(("version",), "number"),
    Column(("status",), "text"),
    *_COLUMNS,
    Column(("createdAt",), "text"),
    Column(("updatedAt",), "text"),
)
_SHOWN: Final = {*DeliveryFields.model_fields, "id", "version", "status", "driver", "created_at", "updated_at"}
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string"}} for kind in (_CSV, _LINES)},
    }
}


class ImportSummary(Shape):
    """An import and how many of its rows came to what."""

    id: str | None
    """Under which it can be asked for again; none for a dry run."""
    state: Literal["running", "done", "checked"]
    """`checked` is a dry run."""
    created: int
    updated: int
    skipped: int
    failed: int
    unlocated: int
    """Deliveries whose address is still to be found on the map, which happens by itself."""
    created_at: Instant | None = None
    ended_at: Instant | None = None


class ImportReport(ImportSummary):
    """An import with what became of each row."""

    rows: Sequence[ImportRow]


@router.post("/import", status_code=201, response_model=ImportReport, openapi_extra=_BODY)
async def import_deliveries(
    request: Request,
    services: ServicesOf,
    principal: Planner,
    mode: Annotated[
        Literal["all", "valid"], Query(description="`all`: none if a row fails; `valid`: those that don't")
    ] = "all",
    on_duplicate: Annotated[
        OnDuplicate, Query(alias="onDuplicate", description="What to do with a reference that is known already")
    ] = "error",
    dry_run: Annotated[bool, Query(alias="dryRun", description="Report alone, store nothing")] = False,
    ignore_unknown: Annotated[
        bool, Query(alias="ignoreUnknown", description="Pass over columns that are no field of ours")
    ] = False,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create deliveries from a file of up to 10,000 rows: `text/csv` or `application/x-ndjson`.

    The first row of a CSV file names the columns, such as `dropoff.address`, `customer.phone`, `timeWindow.start`. If a
    row can't be taken, none is (422, with what is wrong with each row), unless `mode=valid`. Addresses without
    coordinates are looked up afterwards.
    """
    options = ImportOptions(mode, on_duplicate)
    imports = DeliveryImports(services.database, services.settings.log.partitions)

    async def checked() -> list[Candidate]:
        return await _candidates(services, principal, await _rows(request, ignore_unknown=ignore_unknown))

    if dry_run:
        plan = await imports.plan(principal.scope, await checked(), options)
        return Response(await asyncio.to_thread(_planned, plan), 200, media_type="application/json")

    async def run() -> ImportReport:
        key = None if idempotency_key is None else _digest(principal, idempotency_key)
        record = await imports.run(principal.scope, await checked(), options, key)
        return await asyncio.to_thread(_report, record)

    return await create_once(request, services.database, principal, idempotency_key, run)


@router.get("/imports", response_model=PageOf[ImportSummary])
async def list_imports(services: ServicesOf, principal: Planner, page: Paging) -> dict[str, Any]:
    """Return the company's imports of the last 30 days, newest first, without their rows."""
    return page_of(await ImportRepository(services.database).page(principal.scope, page), _summary)


@router.get("/imports/{import_id}")
async def get_import(services: ServicesOf, principal: Planner, import_id: str) -> ImportReport:
    """Return an import with what became of each row."""
    return _report(await ImportRepository(services.database).get(principal.scope, import_id))


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"content": {_CSV: {"schema": {"type": "string"}}, _LINES: {"schema": {"type": "string"}}}}},
)
async def export_deliveries(
    services: ServicesOf,
    principal: Planner,
    wanted: WantedDeliveries,
    form: Annotated[Literal["csv", "ndjson"], Query(alias="format")] = "csv",
    sort: Annotated[Literal["createdAt", "-createdAt"], Query(description="Oldest or newest first")] = "createdAt",
) -> Response:
    """Return all deliveries that the filters let through as one file, which `POST /deliveries/import` takes back.

    In CSV, a text that begins with `=`, `+`, `-`, `@` or an apostrophe carries an apostrophe before it, so that a
    spreadsheet takes no cell for a formula; the import takes it off again.
    """
    found = DeliveryRepository(services.database).each(principal.scope, wanted, newest_first=sort == "-createdAt")
    first = await anext(found, None)  # before the status goes out: a dead store is then a 503
    lines = _exported(first, found, as_csv=form == "csv")
    headers = {"Content-Disposition": f'attachment; filename="deliveries.{form}"'}
    media_type = f"{_CSV}; charset=utf-8; header=present" if form == "csv" else _LINES
    return StreamingResponse(lines, headers=headers, media_type=media_type)


async def _rows(request: Request, *, ignore_unknown: bool) -> list[RawRow]:
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    if kind != _CSV and kind not in _LINE_TYPES:
        raise UnsupportedContent(f"send {_CSV} or {_LINES}", [("Content-Type", f"{_CSV} or {_LINES}")])
    _, _, charset = parameters.partition("charset=")
    text = decode_table(await request.body(), charset.partition(";")[0].strip().strip('"') or None)
    if kind == _CSV:
        found = read_csv(text, _COLUMNS, ignored=_OURS, ignore_unknown=ignore_unknown)
    else:
        found = read_lines(text, ignored=_OURS)
    rows: list[RawRow] = []
    for row in found:
        if len(rows) == MAX_ROWS:
            raise TooLarge(f"a file may have {MAX_ROWS:,} rows at most; send the rest as another")
        rows.append(row)
        if len(rows) % _CHECKED_AT_ONCE == 0:
            await asyncio.sleep(0)
    if not rows:
        raise InvalidInput("there is no row in the file", [("", "no row")])
    return rows


async def _candidates(services: Services, principal: Principal, rows: Sequence[RawRow]) -> list[Candidate]:
    checked: list[tuple[RawRow, NewDelivery | tuple[FieldFault, ...]]] = []
    for row in rows:
        checked.append((row, _checked(row)))
        if len(checked) % _CHECKED_AT_ONCE == 0:
            await asyncio.sleep(0)
    named = {one.driver_id for _, one in checked if isinstance(one, NewDelivery) and one.driver_id is not None}
    found = await services.registry.resolve(principal.tenant, sorted(named))
    drivers = {name: driver.id for name, driver in found.items()}
    return await asyncio.to_thread(lambda: [_candidate(row, one, drivers) for row, one in checked])


def _checked(row: RawRow) -> NewDelivery | tuple[FieldFault, ...]:
    if row.fault is not None:
        return (FieldFault(field="", detail=row.fault),)
    try:
        return NewDelivery.model_validate(row.fields)
    except ValidationError as fault:
        return tuple(FieldFault(field=field, detail=detail) for field, detail in field_faults(fault.errors()))


def _candidate(row: RawRow, checked: NewDelivery | tuple[FieldFault, ...], drivers: Mapping[str, str]) -> Candidate:
    if isinstance(checked, tuple):
        return Candidate(row.row, faults=checked)
    says = {name: getattr(checked, name) for name in DeliveryFields.model_fields}
    said = {_NAMES[path[0]] for path in row.said}
    changes = tuple(name for name in says if name in said)
    parts = {name: _parts_said(row, name) for name in changes}
    if checked.driver_id is not None and checked.driver_id not in drivers:
        absent = FieldFault(field="driverId", detail=f"there is no driver {checked.driver_id}")
        return Candidate(row.row, faults=(absent,))
    return Candidate(row.row, says, changes, parts, drivers.get(checked.driver_id or ""))


def _parts_said(row: RawRow, name: str) -> frozenset[str]:
    """Return the names of those parts of a field that a file has a column for."""
    return frozenset(_PARTS[path[1]] for path in row.said if len(path) > 1 and _NAMES[path[0]] == name)


def _digest(principal: Principal, idempotency_key: str) -> str:
    return hashlib.sha256(f"{principal.subject}\n{idempotency_key}".encode()).hexdigest()


async def _exported(first: Delivery | None, rest: AsyncIterator[Delivery], *, as_csv: bool) -> AsyncIterator[str]:
    """Yield the lines of an export, some hundred at a time."""
    show = _as_csv if as_csv else _as_json
    lines = [csv_header(_EXPORTED)] if as_csv else []
    if first is not None:
        lines.append(show(first))
    async for delivery in rest:
        lines.append(show(delivery))
        if len(lines) >= _EXPORTED_AT_ONCE:
            yield "".join(lines)
            lines = []
    yield "".join(lines)


def _as_csv(delivery: Delivery) -> str:
    return csv_row(_record(delivery), _EXPORTED)


def _as_json(delivery: Delivery) -> str:
    return msgspec.json.encode(_record(delivery)).decode() + "\n"


def _record(delivery: Delivery) -> dict[str, Any]:
    """Return what an export says of a delivery, nested, named as on the wire."""
    fields = delivery.model_dump(mode="json", by_alias=True, exclude_none=True, include=_SHOWN)
    driver = fields.pop("driver", None)
    return fields | ({} if driver is None else {"driverId": driver})


def _planned(plan: Plan) -> str:
    report = ImportReport(id=None, state="checked", rows=plan.rows, **_counts(plan.rows))
    return report.model_dump_json(by_alias=True)


def _report(record: Import) -> ImportReport:
    return ImportReport(**dict(_summary(record)), rows=record.rows)


def _summary(record: Import) -> ImportSummary:
    return ImportSummary(
        id=record.id,
        state=record.state,
        created_at=record.created_at,
        ended_at=record.ended_at,
        **_counts(record.rows),
    )


def _counts(rows: Sequence[ImportRow]) -> dict[str, int]:
    counts: dict[str, int] = dict.fromkeys(get_args(ImportOutcome), 0)
    for row in rows:
        counts[row.outcome] += 1
    return counts | {"unlocated": sum(row.located is False for row in rows)}
