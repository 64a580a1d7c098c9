"""What a shard keeps of its companies: all of it once the store answers, then what has changed."""

import types

import pytest

from engine.shards.tenant_desk import TenantDesk


class Office:
    """A business side that can be away."""

    def __init__(self):
        self.is_away, self.things, self.asked = False, {"a": [1], "b": [2]}, []

    async def everything(self):
        return [one for tenant in self.things for one in await self.of("all", tenant)]

    async def of_tenant(self, tenant):
        return await self.of(tenant, tenant)

    async def of(self, asked, tenant):
        self.asked.append(asked)
        if self.is_away:
            raise TimeoutError
        return [types.SimpleNamespace(tenant=tenant, value=value) for value in self.things[tenant]]


@pytest.fixture
def office():
    return Office()


@pytest.fixture
def desk(office):
    taken = []
    made = TenantDesk(office.everything, office.of_tenant, taken.append)
    made.now = lambda: {tenant: [one.value for one in things] for tenant, things in taken[-1].items()}
    return made


async def test_who_begins_while_the_store_is_away_reads_all_when_it_is_back(office, desk):
    office.is_away = True
    with pytest.raises(TimeoutError):
        await desk.refresh()
    office.is_away = False
    await desk.refresh()
    assert desk.now() == {"a": [1], "b": [2]}


async def test_only_who_has_changed_something_is_read_again_until_it_works(office, desk):
    await desk.refresh()
    office.asked.clear()
    await desk.refresh()
    assert office.asked == []
    office.things = {"a": [], "b": [2, 3]}
    desk.note_changed("b")
    office.is_away = True
    with pytest.raises(TimeoutError):
        await desk.refresh()
    office.is_away = False
    await desk.refresh()
    assert desk.now() == {"a": [1], "b": [2, 3]}
    assert office.asked == ["b", "b"]
    desk.note_changed("a")
    await desk.refresh()
    assert desk.now() == {"a": [], "b": [2, 3]}
