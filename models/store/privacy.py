"""Everything that is held about one person: found, and rewritten or deleted where it has to go."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from models.documents.audit import AuditEntry
from models.documents.delivery import CLOSED, Delivery
from models.documents.document import now
from models.documents.driver import Driver
from models.documents.privacy import Person, PrivacyRequest
from models.documents.task import Task
from models.documents.user import User
from models.errors import NotFound
from models.phones import normal_phone
from models.store.connections import Database
from models.store.contacts import Contacts
from models.store.legs import LegRepository
from models.store.outbox import Announcement, OutboxRepository
from models.store.personal import opened, sealed
from models.store.scope import Scope
from models.store.tasks import TaskRepository
from models.store.transactions import Session, in_transaction

__all__ = ["PrivacyRepository", "Wanted"]

Wanted = Literal["all", "open", "closed"]
"""Which of a person's deliveries."""

_ANSWERS_KEPT = datetime.timedelta(days=2)  # MongoDB drops them after one
_MOST = 100_000
_MESSAGE = "message"


class PrivacyRepository:
    """A person's data in a tenant, over all collections."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._outbox, self._tasks, self._contacts = (
            OutboxRepository(database),
            TaskRepository(database),
            Contacts(database),
        )

    async def begin(self, request: PrivacyRequest, announcement: Announcement, task: Task | None = None) -> None:
        """Store a request, its event, and the task that does it."""

        async def insert(session: Session) -> None:
            await self._database.privacy_requests.insert_one(request.stored(), session=session)
            await self._outbox.put(session, [announcement])
            if task is not None:
                await self._tasks.put([task], session)

        await in_transaction(self._database, insert)

    async def request(self, scope: Scope, identifier: str) -> PrivacyRequest:
        """Return a request.

        Raises
        ------
        NotFound
            If the tenant has no such request.
        """
        found = await self._database.privacy_requests.find_one({"_id": identifier, "tenant": scope.tenant})
        if found is None:
            raise NotFound("erasure", identifier)
        return PrivacyRequest.restored(found)

    async def note(self, scope: Scope, identifier: str, deliveries: int) -> None:
        """Add deliveries to what an erasure has done."""
        query = {"_id": identifier, "tenant": scope.tenant}
        await self._database.privacy_requests.update_one(query, {"$inc": {"deliveries": deliveries}})

    async def end(self, scope: Scope, identifier: str, state: Literal["done", "failed"]) -> None:
        """Note how a request has ended."""
        query = {"_id": identifier, "tenant": scope.tenant}
        await self._database.privacy_requests.update_one(query, {"$set": {"state": state, "endedAt": now()}})

    async def deliveries(
        self, scope: Scope, person: Person, after: str, limit: int, wanted: Wanted = "all"
    ) -> list[Delivery]:
        """Return deliveries to a customer in the order of their ids."""
        query: dict[str, Any] = {"tenant": scope.tenant, "_id": {"$gt": after}}
        query |= await self._contacts.query(scope.tenant, phone=person.phone, email=person.email)
        query |= _in_status(wanted)
        found = await self._database.deliveries.find(query).sort("_id", 1).limit(limit).to_list(limit)
        vault = self._database.vault
        return [Delivery.restored(await opened(vault, "deliveries", scope.tenant, fields)) for fields in found]

    async def carried(
        self, scope: Scope, driver: str, after: str, limit: int, wanted: Wanted = "all"
    ) -> list[dict[str, Any]]:
        """Return which deliveries a driver has, without their customers, in the order of their ids."""
        query = {"tenant": scope.tenant, "driver": driver, "_id": {"$gt": after}, **_in_status(wanted)}
        shown = {"status": 1, "createdAt": 1, "updatedAt": 1}
        found = await self._database.deliveries.find(query, shown).sort("_id", 1).limit(limit).to_list(limit)
        return [{"id": fields.pop("_id"), **fields} for fields in found]

    async def driver(self, scope: Scope, driver: str) -> Driver | None:
        """Return a driver, unless it was deleted."""
        found = await self._database.drivers.find_one({"_id": driver, "tenant": scope.tenant})
        return None if found is None else Driver.restored(found)

    async def users(self, scope: Scope, person: Person) -> list[User]:
        """Return the company's own people that the person is: a driver may sign in as a user."""
        fields = {"_id": person.user_id, "email": person.email, "driver": person.driver_id}
        query = {name: value for name, value in fields.items() if value is not None}
        if not query:
            return []
        found = await self._database.users.find({"tenant": scope.tenant, **query}).to_list(_MOST)
        return [User.restored(fields) for fields in found]

    async def has_other_admin(self, scope: Scope, users: Sequence[User]) -> bool:
        """Tell whether the tenant has an admin who is none of these users."""
        query = {"tenant": scope.tenant, "role": "admin", "_id": {"$nin": [user.id for user in users]}}
        return await self._database.users.find_one(query, {"_id": 1}) is not None

    async def sign_ins(self, scope: Scope, user: str) -> list[dict[str, Any]]:
        """Return when a user signed in, and until when that is good."""
        query = {"tenant": scope.tenant, "user": user}
        found: list[dict[str, Any]] = await self._database.sign_ins.find(
            query, {"_id": 0, "createdAt": 1, "expiresAt": 1}
        ).to_list(_MOST)
        return found

    async def notifications(self, scope: Scope, about: str, identifier: str) -> list[dict[str, Any]]:
        """Return the messages that were sent about a `delivery`, or to a `driver` or `user`."""
        query = {"tenant": scope.tenant, about: identifier}
        found: list[dict[str, Any]] = await self._database.notifications.find(query, {"tenant": 0}).to_list(_MOST)
        return found

    async def audit(self, scope: Scope, query: Mapping[str, Any]) -> list[AuditEntry]:
        """Return the audit entries about an `entity`, or of an `actor`."""
        found = await self._database.audit.find({"tenant": scope.tenant, **query}).sort("_id", 1).to_list(_MOST)
        vault = self._database.vault
        return [AuditEntry.restored(await opened(vault, "audit", scope.tenant, fields)) for fields in found]

    async def redact(self, scope: Scope, entity: str, change: Callable[[AuditEntry], AuditEntry]) -> None:
        """Rewrite the audit entries about an entity."""
        for entry in await self.audit(scope, {"entity": entity}):
            made = await sealed(self._database.vault, "audit", scope.tenant, change(entry).stored())
            await self._database.audit.replace_one({"_id": entry.id, "tenant": scope.tenant}, made)

    async def roughen_plans(self, scope: Scope, delivery: Delivery, change: Callable[[AuditEntry], AuditEntry]) -> None:
        """Put the places of a delivery, as it is erased, into the routes and proposals that it is or was on.

        Parameters
        ----------
        change
            Does the same to an audit entry about a route.
        """
        places = {"pickup": delivery.pickup, "dropoff": delivery.dropoff}
        known = {kind: place for kind, place in places.items() if place is not None and place.latitude is not None}
        stops = [{f"{kind}.deliveryId": delivery.id, f"{kind}.kind": kind} for kind in known]
        plans = ((self._database.routes, "stops"), (self._database.proposals, "routes.$[].stops"))
        for collection, path in plans if known else ():
            points = {
                f"{path}.$[{kind}].{name}": getattr(place, name)
                for kind, place in known.items()
                for name in ("latitude", "longitude")
            }
            query = {"tenant": scope.tenant, f"{path.replace('.$[]', '')}.deliveryId": delivery.id}
            # whoever is about to store what was read before has to read again
            await collection.update_many(query, {"$set": points, "$inc": {"version": 1}}, array_filters=stops)
        trail = await self.audit(scope, {"entity": delivery.id})
        routes = {
            side for entry in trail for one in entry.changes if one.field == "route" for side in (one.before, one.after)
        }
        for route in routes - {None}:
            await self.redact(scope, route, change)

    async def strip_events(self, scope: Scope, aggregate: str, fields: Sequence[str]) -> None:
        """Take fields out of what the events of an aggregate say."""
        query = {"tenant": scope.tenant, "aggregate": aggregate}
        await self._database.events.update_many(query, {"$unset": {f"data.{name}": "" for name in fields}})

    async def forget_answers(self, scope: Scope, deliveries: Sequence[Delivery]) -> None:
        """Empty the kept answers to requests that made some deliveries; their repeats are refused from then on."""
        since = now() - _ANSWERS_KEPT
        names = [delivery.id.encode() for delivery in deliveries if delivery.created_at > since]
        if not names:
            return
        answers: Any = self._database["idempotency"]
        async for fields in answers.find({"tenant": scope.tenant, "body": {"$exists": True}}):
            body = bytes((await opened(self._database.vault, "idempotency", scope.tenant, fields))["body"])
            if any(name in body for name in names):
                await answers.update_one({"_id": fields["_id"]}, {"$set": {"erased": True}, "$unset": {"body": ""}})

    async def forget_links(self, scope: Scope, delivery: str) -> None:
        """Let nobody follow a delivery by a link any more."""
        await self._database.tracking_links.delete_many({"tenant": scope.tenant, "delivery": delivery})

    async def forget_invitations(self, scope: Scope, email: str, change: Callable[[AuditEntry], AuditEntry]) -> None:
        """Drop the invitations to an address, and rewrite the audit entries about those that there were."""
        of_invitations = {"action": {"$regex": r"^invitation\."}}
        entries = await self.audit(scope, of_invitations)
        about = {entry.entity for entry in entries for one in entry.changes if email in (one.before, one.after)}
        for entity in about:
            await self.redact(scope, entity, change)
        await self._database.invitations.delete_many({"tenant": scope.tenant, "email": email})

    async def forget_messages(self, scope: Scope, person: Person) -> None:
        """Drop messages to a number or address that wait or that failed for good."""
        vault, country = self._database.vault, await self._country(scope)
        query = {"tenant": scope.tenant, "kind": _MESSAGE, "state": {"$in": ["waiting", "dead"]}}
        async for fields in self._database.tasks.find(query):
            payload = (await opened(vault, "tasks", scope.tenant, fields)).get("payload", {})
            to = payload.get("to") or {}
            same_phone = person.phone is not None and (number := to.get("phone")) is not None
            if (person.email is not None and str(to.get("email", "")).lower() == person.email) or (
                same_phone and normal_phone(number, country) == normal_phone(person.phone or "", country)
            ):
                await self._database.tasks.delete_one({"_id": fields["_id"], "tenant": scope.tenant})

    async def number(self, scope: Scope, driver: str) -> int | None:
        """Return a driver's number in the engine, also of one that was deleted; None if there never was one."""
        found = await self._database.drivers.find_one({"_id": driver, "tenant": scope.tenant}, {"number": 1})
        if found is not None:
            return int(found["number"])
        query = {"tenant": scope.tenant, "aggregate": driver, "type": "driver.deleted"}
        gone = await self._database.events.find_one(query, {"data.number": 1})
        return None if gone is None else int(gone["data"]["number"])

    async def extent(self, scope: Scope, driver: str, number: int) -> dict[str, Any]:
        """Return how much is kept of where a driver was, and from when to when (epoch milliseconds of fix time)."""
        span = await self._database.history.aggregate(
            [
                {"$match": {"d": number}},
                {"$group": {"_id": None, "from": {"$min": "$from"}, "to": {"$max": "$to"}, "chunks": {"$sum": 1}}},
            ]
        ).to_list(1)
        of_driver = {"tenant": scope.tenant, "driver": driver}
        return {
            "from": span[0]["from"] if span else None,
            "to": span[0]["to"] if span else None,
            "chunks": span[0]["chunks"] if span else 0,
            "trips": await self._database.trips.count_documents(of_driver),
            "visits": await self._database.visits.count_documents(of_driver),
            "legs": await self._database.eta_legs.count_documents(of_driver),
        }

    async def tell(self, announcement: Announcement) -> None:
        """Store an event that nothing else is stored with."""

        async def put(session: Session) -> None:
            await self._outbox.put(session, [announcement])

        await in_transaction(self._database, put)

    async def forget_positions(self, scope: Scope, driver: str, number: int) -> None:
        """Delete where a driver was: history, trips, visits, driven legs, and the state of an idle one."""
        await self._database.history.delete_many({"d": number})
        for collection in (self._database.trips, self._database.visits):
            await collection.delete_many({"tenant": scope.tenant, "driver": driver})
        await LegRepository(self._database).forget(scope.tenant, driver)
        await self._database.passive.delete_one({"_id": number})

    async def _country(self, scope: Scope) -> str | None:
        found = await self._database.tenants.find_one({"_id": scope.tenant}, {"settings.country": 1})
        country: str | None = found.get("settings", {}).get("country") if found else None
        return country


def _in_status(wanted: Wanted) -> dict[str, Any]:
    if wanted == "all":
        return {}
    return {"status": {"$in" if wanted == "closed" else "$nin": [status.value for status in CLOSED]}}
