"""A person's data, erased: begun by an admin, done by a task that goes on where it was broken off.

A customer's delivery loses what it is found by in the last of its steps, so whatever is left of a crash is found again.
"""

import asyncio
import contextlib
import datetime
import hashlib
from functools import cached_property, partial
from typing import Any

from redis.asyncio import Redis

from engine.deliveries.proofs import proofs_of
from engine.drivers.commands import DriverCommands
from engine.privacy.erased import ERASED, erased, redacted, roughened
from engine.privacy.positions import RunningPositions
from engine.settings import Settings
from engine.sinks.archive import archive_lease, archive_root
from engine.sinks.archive_files import drop_driver
from engine.tasks.worker import TaskKind
from engine.users.commands import UserCommands
from models.documents.delivery import CLOSED, Delivery
from models.documents.document import now
from models.documents.event import Event
from models.documents.privacy import Person, PrivacyRequest
from models.documents.task import Task
from models.errors import Conflict, NotFound, Postponed, StoreUnavailable, VersionConflict
from models.ids import new_id
from models.store.connections import Database
from models.store.deliveries import DeliveryRepository
from models.store.outbox import Announcement
from models.store.privacy import PrivacyRepository, Wanted
from models.store.scope import Scope
from models.store.tasks import TaskRepository

__all__ = ["ERASURE", "PrivacyCommands", "erasure_kind"]

ERASURE = "erasure"
"""Kind of the tasks that erase."""

_BATCH = 100
_NAMED = 10  # open deliveries that a refusal names
_WITHIN_S = 3600.0
_ARCHIVE_AGAIN_S = 10.0
_STILL_OPEN = datetime.timedelta(hours=1)  # between two looks at a delivery that has to be closed first
_WORDS, _PLACES = ("name", "notes"), ("location", "latitude", "longitude")  # what events say of people
_REACHED_BY = ("phone", "email", "push_token", "external_id")  # what a driver is called and reached by, beside the name


class PrivacyCommands:
    """What an admin can ask about a person's data."""

    def __init__(self, database: Database) -> None:
        self._stored = PrivacyRepository(database)

    async def note_export(self, scope: Scope, person: Person) -> PrivacyRequest:
        """Keep in mind that a person's data was handed out, and to whom."""
        moment = now()
        request = _request(scope, person, "export").model_copy(update={"state": "done", "ended_at": moment})
        await self._stored.begin(request, _announcement(scope, request, moment))
        return request

    async def erase(self, scope: Scope, person: Person, *, force: bool, positions: bool) -> PrivacyRequest:
        """Begin to erase a person's data.

        Parameters
        ----------
        person
            Whose.
        force
            Also where a delivery that is open still needs it.
        positions
            A driver's positions as well.

        Raises
        ------
        Conflict
            If a delivery that is open needs the data, and `force` is not set; or if it is the last admin's.
        NotFound
            If the tenant never had such a user or driver.
        """
        if not force:
            await self._require_closed(scope, person)
        users = await self._stored.users(scope, person)
        if person.user_id is not None and not users:
            raise NotFound("user", person.user_id)
        if users and not await self._stored.has_other_admin(scope, users):
            raise Conflict("a company keeps at least one admin: make somebody else one first")
        if person.driver_id is not None and await self._stored.number(scope, person.driver_id) is None:
            raise NotFound("driver", person.driver_id)
        options = {"forced": force, "positions": positions and person.driver_id is not None}
        request = _request(scope, person, "erasure").model_copy(update=options)
        task = _task(request.id, scope, request.id, person=person.model_dump(by_alias=True, exclude_none=True))
        await self._stored.begin(request, _announcement(scope, request, request.created_at), task)
        return request

    async def _require_closed(self, scope: Scope, person: Person) -> None:
        if person.driver_id is not None:
            needing = await self._stored.carried(scope, person.driver_id, "", _NAMED, "open")
            names = [fields["id"] for fields in needing]
        elif person.phone is not None or person.email is not None:
            open_ones = await self._stored.deliveries(scope, person, "", _NAMED, "open")
            names = [delivery.id for delivery in open_ones]
        else:
            return
        if names:
            raise Conflict(f"deliveries that are open need the data: {', '.join(names)}; `force` erases all the same")


class _Erasure:
    """One erasure."""

    def __init__(self, database: Database, redis: "Redis", settings: Settings, task: Task) -> None:
        self._database, self._tasks = database, TaskRepository(database)
        self._running = RunningPositions(database, redis, settings)
        self._stored, self._deliveries = PrivacyRepository(database), DeliveryRepository(database)
        self._proofs, partitions = proofs_of(database, settings.proofs), settings.log.partitions
        self._users, self._drivers = UserCommands(database, partitions), DriverCommands(database, partitions)
        self._archive, self._tenant, self._request = archive_root(settings), task.tenant, str(task.payload["request"])
        self._payload = task.payload

    @cached_property
    def _person(self) -> Person:
        return Person.model_validate(self._payload["person"])

    async def finish(self, delivery: str) -> None:
        """Erase what a delivery that was open still needed, and what was noted of its customer since.

        Raises
        ------
        Postponed
            If it is open still.
        """
        request = await self._stored.request(Scope(self._tenant, ERASURE), self._request)
        scope = Scope(self._tenant, request.by)
        try:
            found = await self._deliveries.get(scope, delivery)
        except NotFound:
            return
        if found.status not in CLOSED:
            raise Postponed(now() + _STILL_OPEN)
        await self._erase_delivery(scope, found, closed_only=True)

    async def run(self) -> None:
        """Erase everything; a repeat goes on."""
        request = await self._stored.request(Scope(self._tenant, ERASURE), self._request)
        scope = Scope(self._tenant, request.by)
        if self._person.phone is not None or self._person.email is not None:
            await self._erase_customer(scope, closed_only=not request.forced)
            await self._stored.forget_messages(scope, self._person)
        if self._person.email is not None:
            await self._stored.forget_invitations(scope, self._person.email, partial(redacted, whole=True))
        for user in await self._stored.users(scope, self._person):
            await self._erase_user(scope, user.id)
        if self._person.user_id is not None:
            await self._forget_trail(scope, self._person.user_id)
        if self._person.driver_id is not None:
            await self._erase_driver(scope, self._person.driver_id, positions=request.positions)
        await self._stored.end(scope, self._request, "done")

    async def _erase_customer(self, scope: Scope, *, closed_only: bool) -> None:
        after = ""
        wanted: Wanted = "closed" if closed_only else "all"
        while True:
            found = await self._stored.deliveries(scope, self._person, after, _BATCH, wanted)
            if not found:
                return
            await self._stored.forget_answers(scope, found)
            for delivery in found:
                if await self._erase_delivery(scope, delivery, closed_only=closed_only):
                    await self._stored.note(scope, self._request, 1)
            after = found[-1].id

    async def _erase_delivery(self, scope: Scope, delivery: Delivery, *, closed_only: bool) -> bool:
        while not closed_only or delivery.status in CLOSED:
            # first what would be lost sight of; a change that comes before the last step makes it fail
            await self._forget_trail(scope, delivery.id, whole=False)
            await self._proofs.delete_of(scope, delivery.id)
            await self._stored.forget_links(scope, delivery.id)
            after = erased(delivery, now())
            if delivery.status in CLOSED:
                await self._stored.roughen_plans(scope, after, partial(roughened, delivery=delivery.id))
            else:
                later = _task(f"{self._request}/{delivery.id}", scope, self._request, delivery=delivery.id)
                await self._tasks.put([later.model_copy(update={"due": now() + _STILL_OPEN})])
            try:
                await self._deliveries.replace(after, expected=delivery.version, announcements=[_erased(scope, after)])
            except VersionConflict:
                delivery = await self._deliveries.get(scope, delivery.id)
                continue
            return True
        return False

    async def _erase_user(self, scope: Scope, user: str) -> None:
        with contextlib.suppress(NotFound):  # somebody was faster
            await self._users.delete(scope, user, None)
        await self._forget_trail(scope, user)

    async def _erase_driver(self, scope: Scope, driver: str, *, positions: bool) -> None:
        number = await self._stored.number(scope, driver)
        record = await self._stored.driver(scope, driver)
        if record is not None and record.name != ERASED:
            blank: dict[str, Any] = {name: None for name in _REACHED_BY if name in type(record).model_fields}
            await self._drivers.change(scope, driver, blank | {"name": ERASED}, None)
        await self._forget_trail(scope, driver, positions=positions)
        if positions and number is not None:
            # first, or a shard that replays its log would store them again
            await self._running.forget(self._tenant, driver, number)
            await self._stored.forget_positions(scope, driver, number)
            await self._drop_from_archive(number)
            await self._stored.tell(_forgotten(scope, driver, number))

    async def _drop_from_archive(self, number: int) -> None:
        """Take a driver out of the archive; whoever writes a day has read it before it was deleted elsewhere."""
        lease = archive_lease(self._database, self._tenant)
        if not await lease.acquire():
            raise StoreUnavailable("the archive is being written", _ARCHIVE_AGAIN_S)
        try:
            await asyncio.to_thread(drop_driver, self._archive, self._tenant, number)
        finally:
            await lease.release()

    async def _forget_trail(self, scope: Scope, entity: str, *, whole: bool = True, positions: bool = True) -> None:
        await self._stored.redact(scope, entity, partial(redacted, whole=whole))
        await self._stored.strip_events(scope, entity, (*_WORDS, *(_PLACES if positions else ())))


def erasure_kind(database: Database, redis: "Redis", settings: Settings) -> TaskKind:
    """Return how the tasks are done that erase people's data."""

    async def erase(task: Task) -> None:
        erasure = _Erasure(database, redis, settings, task)
        await (erasure.finish(task.payload["delivery"]) if "delivery" in task.payload else erasure.run())

    async def give_up(task: Task, _: str) -> None:
        await PrivacyRepository(database).end(Scope(task.tenant, ERASURE), task.payload["request"], "failed")

    delays_s = (2.0, 10.0, 60.0, 600.0)
    return TaskKind(erase, delays_s=delays_s, at_once=1, timeout_s=_WITHIN_S, on_death=give_up)


def _task(name: str, scope: Scope, request: str, **more: Any) -> Task:
    digest = hashlib.blake2b(name.encode(), digest_size=13).hexdigest()
    return Task(id=f"tsk_{digest}", tenant=scope.tenant, kind=ERASURE, payload={"request": request, **more})


def _request(scope: Scope, person: Person, kind: str) -> PrivacyRequest:
    return PrivacyRequest.model_validate(
        {"id": new_id("prv"), "tenant": scope.tenant, "kind": kind, "person": person.kind, "by": scope.actor}
    )


def _announcement(scope: Scope, request: PrivacyRequest, at: datetime.datetime) -> Announcement:
    event = Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=at,
        type=f"privacy.{request.kind}",
        aggregate=request.id,
        sequence=1,
        actor=scope.actor,
        data={"requestId": request.id, "person": request.person},
    )
    return Announcement(event, after=request)


def _forgotten(scope: Scope, driver: str, number: int) -> Announcement:
    event = Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=now(),
        type="driver.positions_erased",
        aggregate=driver,
        sequence=0,  # nothing of the driver's document has changed
        actor=scope.actor,
        data={"driverId": driver, "number": number},
    )
    return Announcement(event)


def _erased(scope: Scope, delivery: Delivery) -> Announcement:
    # without before and after: the audit log is not to keep what has just been erased
    data = {"deliveryId": delivery.id, "status": delivery.status.value, "driverId": delivery.driver}
    event = Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=delivery.updated_at,
        type="delivery.erased",
        aggregate=delivery.id,
        sequence=delivery.version,
        actor=scope.actor,
        data={**data, "version": delivery.version},
    )
    return Announcement(event)
