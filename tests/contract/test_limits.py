"""How often callers may ask, over several processes and with Redis away."""

import uuid

import pytest
import pytest_asyncio
from redis.exceptions import RedisError

from api.limits import RateLimits
from engine.settings import LimitSettings
from models.errors import RateLimited
from models.store.connections import connect_redis
from tests.rest import PASSWORD, Caller, client_of, running_api

NOWHERE = "redis://127.0.0.1:1/0"


def a_prefix():
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest_asyncio.fixture(loop_scope="session")
async def strict(stores):
    """Return an app in which everybody may ask little, and a caller of it."""
    limits = {"caller_per_s": 2, "company_per_s": 3, "address_per_s": 6, "sign_ins_per_email": 3}
    async with running_api(stores, a_prefix(), limits=limits) as (app, services), client_of(app) as http:
        services.limits._clock = lambda: 1_750_000_000.0  # no window ends within a test
        yield Caller(http), services


async def statuses(caller, path, tries, **options):
    return [(await caller.ask("GET", path, **options)).status_code for _ in range(tries)]


def is_refused(answer):
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "rate-limited"
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_caller_who_asks_too_often_is_told_when_to_come_again(strict):
    nobody, _ = strict
    admin, other = await nobody.registered(), await nobody.registered()
    assert await statuses(admin, "auth/profile", 22) == [200] * 20 + [429] * 2
    is_refused(await admin.ask("GET", "deliveries"))
    assert (await other.ask("GET", "auth/profile")).status_code == 200, "another company is none the worse"


async def test_a_company_shares_its_budget(strict):
    nobody, _ = strict
    admin = await nobody.registered()
    email = f"{uuid.uuid4().hex}@test.pt"
    await admin.make("users", {"email": email, "password": PASSWORD, "role": "planner"})
    token = (await nobody.ask("POST", "auth/login", json={"email": email, "password": PASSWORD})).json()["accessToken"]
    assert await statuses(admin, "auth/profile", 19) == [200] * 19
    assert await statuses(nobody.with_token(token), "auth/profile", 11) == [200] * 10 + [429]


async def test_an_address_has_a_budget_and_positions_and_health_have_none(strict):
    nobody, _ = strict
    admin = await nobody.registered()
    assert (await statuses(nobody, "auth/profile", 60))[-1] == 429
    is_refused(await nobody.ask("GET", "deliveries"))
    assert await statuses(nobody, "health", 70) == [200] * 70
    for _ in range(30):
        assert (await admin.ask("POST", "pings", json={"pings": []})).status_code != 429


async def test_a_company_chooses_a_budget_up_to_the_installations(strict):
    nobody, services = strict
    admin = await nobody.registered()
    for wrong in (0, -1, 1.5, 10**7):
        assert (await admin.ask("PATCH", "tenant", json={"settings": {"requestsPerSecond": wrong}})).status_code == 422
    changed = await admin.ask("PATCH", "tenant", json={"settings": {"requestsPerSecond": 1}})
    assert changed.json()["settings"]["requestsPerSecond"] == 1
    await services.limits.share()
    assert (await statuses(admin, "auth/profile", 12)).count(429) == 7, "five of the ten are spent already"


def limits_of(redis, prefix, database, clock):
    return RateLimits(LimitSettings(address_per_s=10), redis, prefix, database, clock)


def passed(limits, tries):
    done = 0
    for _ in range(tries):
        try:
            limits.take_address("203.0.113.7")
        except RateLimited:
            break
        done += 1
    return done


async def test_processes_count_together(redis, prefix, database):
    """What one process has told, another knows by its next look; both know it in the window after."""
    now = [1_750_000_000.0]
    one, two = (limits_of(redis, prefix, database, lambda: now[0]) for _ in range(2))
    assert (passed(one, 60), passed(two, 30)) == (60, 30)
    await one.share()
    await two.share()
    await one.share()
    assert passed(two, 100) == 10
    await two.share()
    now[0] += 10.0
    assert passed(two, 100) == 0, "the window before was full"
    now[0] += 5.0
    assert passed(two, 100) == 50
    keys = await redis.keys(f"{prefix}:rate:*")
    assert keys
    assert all([0 < await redis.ttl(key) <= 30 for key in keys])


async def test_little_is_not_shared_at_all(redis, prefix, database):
    limits = limits_of(redis, prefix, database, lambda: 1_750_000_000.0)
    passed(limits, 2)
    await limits.share()
    assert await redis.keys(f"{prefix}:rate:*") == []


async def login(nobody, email, password=PASSWORD[:5]):
    return await nobody.ask("POST", "auth/login", json={"email": email, "password": password})


@pytest.mark.parametrize("is_known", [True, False])
async def test_guessing_a_password_ends_soon_whether_there_is_such_a_user_or_not(strict, is_known):
    nobody, _ = strict
    email = f"{uuid.uuid4().hex}@test.pt"
    if is_known:
        await nobody.make("auth/register", {"tenant": "T", "email": email, "password": PASSWORD})
    assert [(await login(nobody, email)).status_code for _ in range(3)] == [401] * 3
    is_refused(await login(nobody, email.upper()))
    is_refused(await login(nobody, email, PASSWORD))
    assert (await login(nobody, "x" + email)).status_code == 401


async def test_a_good_password_clears_the_count(strict):
    nobody, _ = strict
    email = f"{uuid.uuid4().hex}@test.pt"
    await nobody.make("auth/register", {"tenant": "T", "email": email, "password": PASSWORD})
    for _ in range(3):
        assert [(await login(nobody, email)).status_code for _ in range(2)] == [401, 401]
        assert (await login(nobody, email, PASSWORD)).status_code == 200


async def test_an_address_has_a_number_of_tries(stores):
    limits = {"sign_ins_per_address": 4}
    async with running_api(stores, a_prefix(), limits=limits) as (app, _), client_of(app) as http:
        nobody = Caller(http)
        assert [(await login(nobody, f"a{number}@test.pt")).status_code for number in range(5)] == [401] * 4 + [429]
        body = {"tenant": "T", "email": f"{uuid.uuid4().hex}@test.pt", "password": PASSWORD}
        is_refused(await nobody.ask("POST", "auth/register", json=body))


async def test_without_redis_each_process_counts_for_itself(stores):
    limits = {"sign_ins_per_email": 2, "caller_per_s": 1}
    async with running_api(stores, a_prefix(), limits=limits) as (app, services), client_of(app) as http:
        nobody = Caller(http)
        admin = await nobody.registered()
        services.redis = connect_redis(NOWHERE)
        services.__post_init__()
        services.limits._clock = lambda: 1_750_000_000.0
        assert [(await login(nobody, "no.one@test.pt")).status_code for _ in range(3)] == [401, 401, 429]
        assert await statuses(admin, "auth/profile", 12) == [200] * 10 + [429] * 2
        with pytest.raises(RedisError):
            await services.limits.share()
        assert (await admin.ask("GET", "auth/profile")).status_code == 429
