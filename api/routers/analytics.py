"""Figures of deliveries, drivers and routes, by the company's own days.

What each figure means is said in `docs/explanation/analytics.md`. Tables also come as CSV, with `Accept: text/csv`.
"""

import asyncio
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import Response
from pydantic import Field

from api.auth.dependencies import ServicesOf, allowed
from api.auth.principal import Principal
from api.paging import Paging, opaque
from api.services import Services
from api.tables import CSV, csv_response, wants_csv
from engine.analytics.days import Days, Grain, Period, periods
from engine.analytics.figures import figures_of, status_figures_of
from engine.analytics.questions import FLEET, FigureQuestions, Reading, Subject
from models.documents.analytics import Amounts
from models.documents.analytics_figures import Figures, StatusFigures
from models.documents.delivery import Status
from models.documents.document import Instant, Shape
from models.errors import InvalidInput, NotFound
from models.store.drivers import DriverRepository
from models.store.paging import PageRequest

__all__ = ["router"]

router = APIRouter(prefix="/analytics", tags=["analytics"])
Admin = Annotated[Principal, Depends(allowed("analytics.view"))]
Office = Annotated[Principal, Depends(allowed("analytics.routes"))]
Person = Annotated[Principal, Depends(allowed("analytics.personal"))]
Accept = Annotated[str, Header(include_in_schema=False)]
GroupBy = Annotated[Grain, Query(alias="groupBy", description="Length of the periods; weeks are those of ISO 8601")]

_DEFAULT_DAYS = 30
_MOST_DAYS = 3660
_MOST_PERIODS = 400
_MOST_CSV_ROWS = 5000
_FIRST_DAY, _LAST_DAY = datetime.date(2000, 1, 1), datetime.date(2199, 12, 31)
_AS_TABLE: dict[int | str, dict[str, Any]] = {200: {"content": {CSV: {"schema": {"type": "string"}}}}}


class Between(Shape):
    """Local days of the company, both included."""

    first: datetime.date = Field(alias="from")
    last: datetime.date = Field(alias="to")


class Answer(Between):
    """What every answer says of itself."""

    time_zone: str
    """The time zone that its days are of."""
    as_of: Instant
    """Everything that was stored before is counted."""


class PeriodFigures(Between, Figures):
    """The figures of one period, as far as it lies in the days that were asked for."""

    period: str
    """`2026-11-25`, `2026-W48` or `2026-11`."""


class StatusRow(StatusFigures):
    """The deliveries of one status."""

    status: Status


class DriverFigures(Figures):
    """The figures of one driver."""

    driver_id: str
    name: str | None
    """None for a driver that was deleted."""


class RouteFigures(Figures):
    """The figures of one route."""

    route_id: str


class ByPeriod(Answer):
    """Figures by period."""

    group_by: Grain
    items: Sequence[PeriodFigures]


class ByStatus(Answer):
    """Figures by status."""

    group_by: Literal["status"]
    items: Sequence[StatusRow]


class ByDriver(Answer):
    """One page of drivers."""

    items: Sequence[DriverFigures]
    next: str | None
    """Cursor of the next page, if there is one."""


class ByRoute(Answer):
    """One page of routes."""

    items: Sequence[RouteFigures]
    next: str | None
    """Cursor of the next page, if there is one."""


class FleetFigures(Answer):
    """The company as a whole."""

    figures: Figures
    before: Figures
    """The same of as many days just before."""
    drivers: int
    """Drivers who had a delivery or drove in these days."""


class PersonalFigures(Answer):
    """One driver as a whole, and by period."""

    driver_id: str | None
    name: str | None
    figures: Figures
    group_by: Grain
    items: Sequence[PeriodFigures]


@dataclass(frozen=True, slots=True)
class Asked:
    """The days that a query names."""

    first: datetime.date | None
    last: datetime.date | None

    def days(self, today: datetime.date) -> Days:
        """Return the days; by default the last thirty, up to today.

        Raises
        ------
        InvalidInput
            If they are too many, out of order, or out of this world.
        """
        last = self.last or max(today, self.first or today)
        first = self.first or last - datetime.timedelta(days=_DEFAULT_DAYS - 1)
        if first < _FIRST_DAY or last > _LAST_DAY:
            raise InvalidInput(f"days lie between {_FIRST_DAY} and {_LAST_DAY}", [("from", "out of range")])
        if first > last:
            raise InvalidInput("from lies after to", [("from", "lies after to")])
        if (last - first).days >= _MOST_DAYS:
            raise InvalidInput(f"at most {_MOST_DAYS} days at once", [("from", "too long before to")])
        return Days(first, last)


async def _asked(
    first: Annotated[
        datetime.date | None, Query(alias="from", description="First local day; 30 days by default")
    ] = None,
    last: Annotated[datetime.date | None, Query(alias="to", description="Last local day; today by default")] = None,
) -> Asked:
    return Asked(first, last)


Range = Annotated[Asked, Depends(_asked)]


@router.get("/deliveries", response_model=ByPeriod | ByStatus, responses=_AS_TABLE)
async def delivery_analytics(
    services: ServicesOf,
    principal: Admin,
    asked: Range,
    group_by: Annotated[Literal["day", "week", "month", "status"], Query(alias="groupBy")] = "day",
    driver_id: Annotated[str | None, Query(alias="driverId", max_length=80)] = None,
    route_id: Annotated[str | None, Query(alias="routeId", max_length=80)] = None,
    accept: Accept = "",
) -> Response:
    """Return counts, distances, durations and rates by day, week, month or status; of a driver or a route, if named."""
    questions, reading, days = await _opened(services, principal, asked)
    subject = _subject(driver_id, route_id)
    rows: Sequence[PeriodFigures] | Sequence[StatusRow]
    if group_by == "status":
        amounts = await questions.total(reading.book, days, subject)
        rows = [StatusRow(status=status, **dict(status_figures_of(amounts, status))) for status in Status]
    else:
        rows = await _by_period(questions, reading, days, group_by, subject)
    if wants_csv(accept):
        return csv_response(rows, f"deliveries-by-{group_by}")
    kind = ByStatus if group_by == "status" else ByPeriod
    return await _written(kind.model_validate(_said(reading, days) | {"group_by": group_by, "items": rows}))


@router.get("/fleet")
async def fleet_analytics(services: ServicesOf, principal: Admin, asked: Range) -> FleetFigures:
    """Return the figures of the whole company, beside those of the same number of days before."""
    questions, reading, days = await _opened(services, principal, asked)
    figures, before, drivers = await asyncio.gather(
        questions.total(reading.book, days),
        questions.total(reading.book, days.before),
        questions.count_drivers(reading.book, days),
    )
    told = {"figures": figures_of(figures), "before": figures_of(before), "drivers": drivers}
    return FleetFigures.model_validate(_said(reading, days) | told)


@router.get("/drivers", response_model=ByDriver, responses=_AS_TABLE)
async def driver_analytics(
    services: ServicesOf, principal: Admin, asked: Range, page: Paging, accept: Accept = ""
) -> Response:
    """Return the figures of each driver who had a delivery or drove in these days, in the order of their making."""
    questions, reading, days = await _opened(services, principal, asked)
    as_csv = wants_csv(accept)
    found, following = await _page(questions, reading, days, "driver", page, as_csv=as_csv)
    names = await _names(services, principal, [driver for driver, _ in found])
    rows = await asyncio.to_thread(
        lambda: [
            DriverFigures(driver_id=driver, name=names.get(driver), **dict(figures_of(amounts)))
            for driver, amounts in found
        ]
    )
    if as_csv:
        return await asyncio.to_thread(csv_response, rows, "drivers")
    return await _written(ByDriver.model_validate(_said(reading, days) | {"items": rows, "next": following}))


@router.get("/drivers/{driver_id}", response_model=PersonalFigures)
async def one_driver_analytics(
    services: ServicesOf, principal: Admin, asked: Range, driver_id: str, group_by: GroupBy = "day"
) -> Response:
    """Return the figures of one driver, also of one that was deleted since."""
    questions, reading, days = await _opened(services, principal, asked)
    name = (await _names(services, principal, [driver_id])).get(driver_id)
    if name is None and not await questions.knows(reading.book, Subject("driver", driver_id)):
        raise NotFound("driver", driver_id)
    return await _personal(questions, reading, days, group_by, driver_id, name)


@router.get("/me", response_model=PersonalFigures)
async def my_analytics(services: ServicesOf, principal: Person, asked: Range, group_by: GroupBy = "day") -> Response:
    """Return the figures of the driver who asks."""
    questions, reading, days = await _opened(services, principal, asked)
    driver = principal.driver
    names = await _names(services, principal, [driver] if driver is not None else [])
    return await _personal(questions, reading, days, group_by, driver, names.get(driver or ""))


@router.get("/routes", response_model=ByRoute, responses=_AS_TABLE)
async def route_analytics(
    services: ServicesOf, principal: Office, asked: Range, page: Paging, accept: Accept = ""
) -> Response:
    """Return the figures of each route whose deliveries changed in these days, in the order of their making."""
    questions, reading, days = await _opened(services, principal, asked)
    as_csv = wants_csv(accept)
    found, following = await _page(questions, reading, days, "route", page, as_csv=as_csv)
    rows = await asyncio.to_thread(
        lambda: [RouteFigures(route_id=route, **dict(figures_of(amounts))) for route, amounts in found]
    )
    if as_csv:
        return await asyncio.to_thread(csv_response, rows, "routes")
    return await _written(ByRoute.model_validate(_said(reading, days) | {"items": rows, "next": following}))


async def _opened(services: Services, principal: Principal, asked: Asked) -> tuple[FigureQuestions, Reading, Days]:
    questions = FigureQuestions(services.database, principal.scope)
    reading = await questions.open()
    return questions, reading, asked.days(reading.today)


def _subject(driver: str | None, route: str | None) -> Subject:
    if driver is not None and route is not None:
        raise InvalidInput("figures are of a driver or of a route", [("routeId", "not together with driverId")])
    if driver is not None:
        return Subject("driver", driver)
    return FLEET if route is None else Subject("route", route)


async def _by_period(
    questions: FigureQuestions, reading: Reading, days: Days, grain: Grain, subject: Subject
) -> list[PeriodFigures]:
    if len(periods(days, grain)) > _MOST_PERIODS:
        raise InvalidInput(f"at most {_MOST_PERIODS} periods at once", [("groupBy", "too short for so many days")])
    return await asyncio.to_thread(_period_rows, await questions.by_period(reading.book, days, grain, subject))


def _period_rows(found: Sequence[tuple[Period, Amounts]]) -> list[PeriodFigures]:
    return [
        PeriodFigures(period=period.name, first=period.days.first, last=period.days.last, **dict(figures_of(amounts)))
        for period, amounts in found
    ]


async def _page(
    questions: FigureQuestions,
    reading: Reading,
    days: Days,
    level: Literal["driver", "route"],
    page: PageRequest,
    *,
    as_csv: bool,
) -> tuple[Sequence[tuple[str, Amounts]], str | None]:
    """Return one page and the cursor of the next; a file holds all rows from the cursor on."""
    limit = _MOST_CSV_ROWS if as_csv else page.limit
    found = await questions.by_key(reading.book, days, level, after=page.after or "", limit=limit + 1)
    shown = found[:limit]
    return shown, opaque(shown[-1][0]) if len(found) > limit else None


async def _personal(
    questions: FigureQuestions, reading: Reading, days: Days, grain: Grain, driver: str | None, name: str | None
) -> Response:
    subject = Subject("driver", driver or "")  # nobody's figures are under the empty key
    told: dict[str, Any] = {
        "driver_id": driver,
        "name": name,
        "figures": figures_of(await questions.total(reading.book, days, subject)),
        "group_by": grain,
        "items": await _by_period(questions, reading, days, grain, subject),
    }
    return await _written(PersonalFigures.model_validate(_said(reading, days) | told))


async def _written(answer: Answer) -> Response:
    """Return an answer as JSON, written by pydantic itself: FastAPI's own way takes ten times as long for a year."""
    text = await asyncio.to_thread(answer.model_dump_json, by_alias=True)
    return Response(text, media_type="application/json")


async def _names(services: Services, principal: Principal, drivers: Sequence[str]) -> dict[str, str]:
    repository = DriverRepository(services.database, services.settings.log.partitions)
    found = await repository.get_many(principal.scope, drivers)
    return {identifier: driver.name for identifier, driver in found.items()}


def _said(reading: Reading, days: Days) -> dict[str, Any]:
    return {"first": days.first, "last": days.last, "time_zone": reading.book.zone, "as_of": reading.as_of}
