"""The REST API, typed."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

from outrider.client.errors import ApiProblem
from outrider.client.ingest import IngestStream
from outrider.client.live import LiveStream
from outrider.client.shapes import Delivery, Driver, ImportReport, LiveDriver, Place, Session

__all__ = ["OutriderClient"]

_T = TypeVar("_T")
_PIECE_BYTES = 65_536
_MAX_BULK = 1000  # the API's own limit


class OutriderClient:
    """A tenant's access to a running Outrider.

    Parameters
    ----------
    url
        Address of the front door, such as `http://127.0.0.1:8000`.
    token
        An access token or API key; `register` and `login` get one.
    timeout_s
        Limit of each request, seconds.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout_s: float = 30.0) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self._http = httpx2.AsyncClient(base_url=self.url + "/api/v1", timeout=timeout_s, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. Streams are closed on their own."""
        await self._http.aclose()

    async def register(self, tenant: str, email: str, password: str) -> Session:
        """Create a tenant with its first admin, who is signed in from now on."""
        body = {"tenant": tenant, "email": email, "password": password}
        return self._sign_in(await self._ask("POST", "/auth/register", Session, body))

    async def login(self, email: str, password: str) -> Session:
        """Sign in."""
        return self._sign_in(await self._ask("POST", "/auth/login", Session, {"email": email, "password": password}))

    async def refresh(self, session: Session) -> Session:
        """Exchange a session's refresh token for a new session, which is used from now on."""
        return self._sign_in(await self._ask("POST", "/auth/refresh", Session, {"refreshToken": session.refresh_token}))

    async def create_key(self, kind: str, name: str, *, driver: str | None = None) -> str:
        """Create a `device` or `gateway` key and return its token, which can't be seen again."""
        body = {"kind": kind, "name": name} | ({} if driver is None else {"driverId": driver})
        answer = await self._ask("POST", "/keys", dict[str, Any], body)
        return str(answer["key"])

    async def create_driver(self, name: str, *, external_id: str | None = None) -> Driver:
        """Create one driver."""
        return await self._ask("POST", "/drivers", Driver, _driver(name, external_id))

    async def create_drivers(self, drivers: Mapping[str, str]) -> list[Driver]:
        """Create drivers from external ids and names; any number."""
        bodies = [_driver(name, external) for external, name in drivers.items()]
        created: list[Driver] = []
        for start in range(0, len(bodies), _MAX_BULK):
            created += await self._ask("POST", "/drivers/bulk", list[Driver], bodies[start : start + _MAX_BULK])
        return created

    async def drivers(self) -> AsyncIterator[Driver]:
        """Yield all drivers."""
        async for driver in self._pages("/drivers", Driver):
            yield driver

    async def change_driver(self, driver: str, *, version: int | None = None, **changes: Any) -> Driver:
        """Change fields of a driver, named as in the API."""
        body = changes | ({} if version is None else {"version": version})
        return await self._ask("PATCH", f"/drivers/{_part(driver)}", Driver, body)

    async def delete_driver(self, driver: str) -> None:
        """Delete a driver that has no open deliveries."""
        await self._ask("DELETE", f"/drivers/{_part(driver)}", type(None))

    async def create_delivery(
        self,
        dropoff: Place,
        *,
        pickup: Place | None = None,
        driver: str | None = None,
        reference: str | None = None,
        **more: Any,
    ) -> Delivery:
        """Create a delivery, and assign it at once if a driver is given; `more` are the API's further fields."""
        return await self._ask("POST", "/deliveries", Delivery, _delivery(dropoff, pickup, driver, reference, more))

    async def create_deliveries(
        self, deliveries: Sequence[tuple[str, Place, Place] | Mapping[str, Any]]
    ) -> list[Delivery]:
        """Create deliveries from (reference, pickup, dropoff) or from the API's fields; any number."""
        bodies = [
            one if isinstance(one, Mapping) else _delivery(one[2], one[1], None, one[0], {}) for one in deliveries
        ]
        created: list[Delivery] = []
        for start in range(0, len(bodies), _MAX_BULK):
            created += await self._ask("POST", "/deliveries/bulk", list[Delivery], bodies[start : start + _MAX_BULK])
        return created

    async def import_deliveries(
        self,
        file: bytes,
        kind: Literal["text/csv", "application/x-ndjson"] = "text/csv",
        *,
        options: Mapping[str, str | bool] | None = None,
        key: str | None = None,
        timeout_s: float = 300.0,
        sent: Callable[[int], None] | None = None,
    ) -> ImportReport:
        """Create deliveries from a file and return what became of each row.

        Parameters
        ----------
        options
            `mode`, `onDuplicate`, `dryRun`, `ignoreUnknown`, as in the API.
        key
            `Idempotency-Key`: the same file sent again under it comes in once.
        sent
            Told how many bytes have gone out, again and again.

        Raises
        ------
        ApiProblem
            Of code `import-refused`, with `rows`, if a row can't be taken and all or none were wanted.
        """
        headers = self._authorization() | {"Content-Type": kind, "Content-Length": str(len(file))}
        headers |= {} if key is None else {"Idempotency-Key": key}
        answer = await self._http.request(
            "POST",
            "/deliveries/import",
            content=_pieces(file, sent),
            headers=headers,
            params=dict(options or {}),
            timeout=timeout_s,
        )
        if answer.is_success:
            return msgspec.json.decode(answer.content, type=ImportReport)
        raise _problem(answer)

    async def export_deliveries(
        self, form: Literal["csv", "ndjson"] = "csv", **filters: str | bool
    ) -> AsyncIterator[bytes]:
        """Yield the pieces of a file of deliveries; the filters are those of the API's list."""
        asked = self._http.stream(
            "GET", "/deliveries/export", headers=self._authorization(), params={"format": form, **filters}
        )
        async with asked as answer:
            if not answer.is_success:
                await answer.aread()
                raise _problem(answer)
            async for piece in answer.aiter_bytes():
                yield piece

    async def delivery(self, delivery: str) -> Delivery:
        """Return one delivery."""
        return await self._ask("GET", f"/deliveries/{_part(delivery)}", Delivery)

    async def assign(self, delivery: str, driver: str, *, version: int | None = None) -> Delivery:
        """Give a delivery to a driver."""
        body = {"driverId": driver} | ({} if version is None else {"version": version})
        return await self._ask("PUT", f"/deliveries/{_part(delivery)}/assignment", Delivery, body)

    async def set_status(self, delivery: str, status: str, *, version: int | None = None) -> Delivery:
        """Bring a delivery to another status."""
        body = {"status": status} | ({} if version is None else {"version": version})
        return await self._ask("PATCH", f"/deliveries/{_part(delivery)}/status", Delivery, body)

    async def tracking(self, delivery: str) -> dict[str, Any]:
        """Return status and live position of a delivery."""
        return await self._ask("GET", f"/tracking/{_part(delivery)}", dict[str, Any])

    async def delivery_track(self, delivery: str, from_ms: int, to_ms: int) -> dict[str, Any]:
        """Return where a delivery was, as columns: the fixes of whoever had it."""
        span = {"from": from_ms, "to": to_ms}
        return await self._ask("GET", f"/tracking/{_part(delivery)}/track", dict[str, Any], parameters=span)

    async def live(self, driver: str) -> LiveDriver:
        """Return where a driver is now."""
        return await self._ask("GET", f"/drivers/{_part(driver)}/live", LiveDriver)

    async def live_at(self, driver: str, at_ms: int) -> LiveDriver:
        """Return where a driver was at an instant, and what it did."""
        return await self._ask("GET", f"/drivers/{_part(driver)}/live", LiveDriver, parameters={"at": at_ms})

    async def track(self, driver: str, from_ms: int, to_ms: int) -> dict[str, Any]:
        """Return where a driver was, as columns."""
        span = {"from": from_ms, "to": to_ms}
        return await self._ask("GET", f"/drivers/{_part(driver)}/track", dict[str, Any], parameters=span)

    async def trips(self, driver: str, from_ms: int, to_ms: int) -> dict[str, Any]:
        """Return a driver's trips and visits that began in a range of time, however many."""
        found: dict[str, Any] = {"trips": [], "visits": []}
        parameters: dict[str, Any] = {"from": from_ms, "to": to_ms, "limit": 200}
        while True:
            page = await self._ask("GET", f"/drivers/{_part(driver)}/trips", dict[str, Any], parameters=parameters)
            for kind, records in found.items():
                records += page[kind]
            if page["next"] is None:
                return found
            parameters["cursor"] = page["next"]

    async def nearest(self, latitude: float, longitude: float, *, limit: int = 10) -> list[LiveDriver]:
        """Return the drivers nearest to a point, nearest first."""
        where = {"lat": latitude, "lon": longitude, "limit": limit}
        found = await self._ask("GET", "/drivers/nearest", dict[str, list[LiveDriver]], parameters=where)
        return found["items"]

    async def create_depot(self, **fields: Any) -> dict[str, Any]:
        """Create a depot; the fields are the API's."""
        return await self._ask("POST", "/depots", dict[str, Any], fields)

    async def create_vehicle(self, **fields: Any) -> dict[str, Any]:
        """Create a vehicle; the fields are the API's."""
        return await self._ask("POST", "/vehicles", dict[str, Any], fields)

    async def optimize(self, deliveries: Sequence[str], **request: Any) -> dict[str, Any]:
        """Ask for routes that take these deliveries, and return the job; `request` is the rest of the API's fields."""
        return await self._ask("POST", "/routes/optimize", dict[str, Any], {"deliveries": deliveries, **request})

    async def job(self, job: str) -> dict[str, Any]:
        """Return a job as it is now."""
        return await self._ask("GET", f"/jobs/{_part(job)}", dict[str, Any])

    async def route(self, route: str) -> dict[str, Any]:
        """Return one route."""
        return await self._ask("GET", f"/routes/{_part(route)}", dict[str, Any])

    async def dispatch(self, route: str, *, version: int | None = None) -> dict[str, Any]:
        """Give a planned route to its driver."""
        body = {} if version is None else {"version": version}
        return await self._ask("POST", f"/routes/{_part(route)}/dispatch", dict[str, Any], body)

    async def propose(self, **cause: Any) -> dict[str, Any]:
        """Ask what to do about what has happened to routes; the fields are the API's."""
        return await self._ask("POST", "/routes/proposals", dict[str, Any], cause)

    async def create_closure(self, **fields: Any) -> dict[str, Any]:
        """Close a street or a zone; the fields are the API's."""
        return await self._ask("POST", "/closures", dict[str, Any], fields)

    async def closures(self) -> AsyncIterator[dict[str, Any]]:
        """Yield all closures, also those that are over."""
        async for closure in self._pages("/closures", dict[str, Any]):
            yield closure

    async def delete_closure(self, closure: str) -> None:
        """Open what was closed again."""
        await self._ask("DELETE", f"/closures/{_part(closure)}", type(None))

    async def eta_accuracy(self, *, days: int = 7) -> dict[str, Any]:
        """Return how promises, warnings and models of arrival times have held."""
        return await self._ask("GET", "/eta/accuracy", dict[str, Any], parameters={"days": days})

    async def round(self) -> dict[str, Any]:
        """Return what the driver whose key or user this is has to do today, in its order."""
        return await self._ask("GET", "/driver-app/route", dict[str, Any])

    async def next_stop(self) -> dict[str, Any]:
        """Return where the driver whose key or user this is has to go next."""
        return await self._ask("GET", "/driver-app/next", dict[str, Any])

    async def upload(self, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Tell what a driver's phone has kept, statuses and positions; return what became of each item."""
        answer = await self._ask("POST", "/driver-app/batch", dict[str, list[dict[str, Any]]], {"items": items})
        return answer["items"]

    async def change_tenant(self, **changes: Any) -> dict[str, Any]:
        """Change the company's name or settings; the fields are the API's."""
        return await self._ask("PATCH", "/tenant", dict[str, Any], changes)

    async def create_geofence(self, **fields: Any) -> dict[str, Any]:
        """Create a geofence; the fields are the API's."""
        return await self._ask("POST", "/geofences", dict[str, Any], fields)

    async def shards(self) -> list[dict[str, Any]]:
        """Return the status of each shard; for admins."""
        health = await self._ask("GET", "/health/detailed", dict[str, Any])
        return list(health["parts"]["shards"]["shards"] or ())

    def ingest(self, *, session: str | None = None, max_waiting_pings: int = 200_000) -> IngestStream:
        """Return a stream that carries pings in; use it with `async with`."""
        return IngestStream(self.url, self._required_token(), session=session, max_waiting_pings=max_waiting_pings)

    def subscribe(self, topic: str, **options: Any) -> LiveStream:
        """Return live frames of a topic, an async iterator; the options are those of `LiveStream.add`."""
        stream = LiveStream(self.url, self._required_token())
        stream.add(topic, **options)
        return stream

    def _required_token(self) -> str:
        if self.token is None:
            raise ApiProblem(401, "not-authenticated", "register, log in or give a token first")
        return self.token

    def _sign_in(self, session: Session) -> Session:
        self.token = session.access_token
        return session

    async def _pages(self, path: str, kind: type[_T]) -> AsyncIterator[_T]:
        cursor: str | None = None
        while True:
            parameters: dict[str, Any] = {"limit": 200} | ({} if cursor is None else {"cursor": cursor})
            page = await self._ask("GET", path, dict[str, Any], parameters=parameters)
            for item in page["items"]:
                yield msgspec.convert(item, kind)
            cursor = page.get("next")
            if cursor is None:
                return

    def _authorization(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    async def _ask(
        self, method: str, path: str, kind: type[_T], body: Any = None, *, parameters: Mapping[str, Any] | None = None
    ) -> _T:
        headers = self._authorization()
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(body)
        answer = await self._http.request(method, path, content=content, headers=headers, params=parameters)
        if answer.is_success:
            return msgspec.json.decode(answer.content or b"null", type=kind)
        raise _problem(answer)


def _driver(name: str, external_id: str | None) -> dict[str, str]:
    return {"name": name} | ({} if external_id is None else {"externalId": external_id})


def _delivery(
    dropoff: Place, pickup: Place | None, driver: str | None, reference: str | None, more: Mapping[str, Any]
) -> dict[str, Any]:
    given = {"dropoff": dropoff, "pickup": pickup, "driverId": driver, "reference": reference, **more}
    return {name: value for name, value in given.items() if value is not None}


async def _pieces(file: bytes, sent: Callable[[int], None] | None) -> AsyncIterator[bytes]:
    for start in range(0, len(file), _PIECE_BYTES):
        yield file[start : start + _PIECE_BYTES]
        if sent is not None:
            sent(min(start + _PIECE_BYTES, len(file)))


def _part(identifier: str) -> str:
    return quote(identifier, safe="")


def _problem(answer: httpx2.Response) -> ApiProblem:
    try:
        said = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.DecodeError:
        said = {}
    wait = answer.headers.get("Retry-After", "")
    return ApiProblem(
        answer.status_code,
        str(said.get("type", "unknown")).rpartition("/")[2],
        str(said.get("detail") or said.get("title") or answer.reason_phrase),
        said.get("errors", ()),
        float(wait) if wait.isdigit() else None,
        said.get("rows", ()),
    )
