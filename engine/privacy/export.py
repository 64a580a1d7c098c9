"""Everything that is held about one person, a piece at a time, so that its size does not matter."""

from collections.abc import AsyncIterator
from typing import Any

from models.documents.document import Document
from models.documents.privacy import Person
from models.store.connections import Database
from models.store.privacy import PrivacyRepository
from models.store.scope import Scope

__all__ = ["PersonExport"]

_BATCH = 100
_SECRETS = frozenset({"passwordHash", "tenant"})


class PersonExport:
    """What one tenant holds about one person."""

    def __init__(self, database: Database, scope: Scope, person: Person) -> None:
        self._stored, self._scope, self._person = PrivacyRepository(database), scope, person

    async def pieces(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield pairs of section and piece; those of a section come one after the other."""
        if self._person.phone is not None or self._person.email is not None:
            async for piece in self._deliveries():
                yield "deliveries", piece
        for user in await self._stored.users(self._scope, self._person):
            yield "users", await self._entity(user, "user")
        if (driver := self._person.driver_id) is not None:
            yield "drivers", await self._driver(driver)
            async for piece in self._carried(driver):
                yield "carried", piece

    async def _deliveries(self) -> AsyncIterator[dict[str, Any]]:
        after = ""
        while found := await self._stored.deliveries(self._scope, self._person, after, _BATCH):
            for delivery in found:
                yield await self._entity(delivery, "delivery")
            after = found[-1].id

    async def _carried(self, driver: str) -> AsyncIterator[dict[str, Any]]:
        after = ""
        while found := await self._stored.carried(self._scope, driver, after, _BATCH):
            for fields in found:
                yield fields
            after = found[-1]["id"]

    async def _driver(self, driver: str) -> dict[str, Any]:
        number = await self._stored.number(self._scope, driver)
        record = await self._stored.driver(self._scope, driver)
        return {
            "id": driver,
            "record": None if record is None else _shown(record),
            "positions": None if number is None else await self._stored.extent(self._scope, driver, number),
            "notifications": await self._stored.notifications(self._scope, "driver", driver),
            "audit": await self._audit(driver),
        }

    async def _entity(self, entity: Document, kind: str) -> dict[str, Any]:
        piece = {
            "id": entity.id,
            "record": _shown(entity),
            "notifications": await self._stored.notifications(self._scope, kind, entity.id),
            "audit": await self._audit(entity.id),
        }
        if kind == "user":
            piece["signIns"] = await self._stored.sign_ins(self._scope, entity.id)
            piece["done"] = [_shown(entry) for entry in await self._stored.audit(self._scope, {"actor": entity.id})]
        return piece

    async def _audit(self, entity: str) -> list[dict[str, Any]]:
        return [_shown(entry) for entry in await self._stored.audit(self._scope, {"entity": entity})]


def _shown(document: Document) -> dict[str, Any]:
    fields = document.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {name: value for name, value in fields.items() if name not in _SECRETS}
