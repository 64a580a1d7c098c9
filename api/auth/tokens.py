"""Access tokens and API keys: who sends them.

An access token is a JWT (RFC 7519) signed with HS256. Its user is kept in the process for as long as nobody has changed
a user or a key (`engine.caching`), so that a new role, a new password or a deletion counts at the next request. An
API key is `ork_<id>_<secret>`, a refresh token `orr_<id>_<secret>`; MongoDB holds their SHA-256.
"""

import asyncio
import datetime
import hashlib
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Generic, TypeVar

import jwt
import structlog
from pymongo.errors import PyMongoError
from redis.asyncio import Redis

from api.auth.principal import Principal
from api.auth.signing import SigningKeys
from engine.caching import IDENTITIES, Generations
from engine.keys.lists import signing_keys
from engine.settings import Settings
from engine.telemetry.metrics import IDENTITY_READS
from models.documents.document import now
from models.documents.key import ApiKey, KeyKind, KeyScope
from models.documents.user import User
from models.errors import BadSettings, NotAuthenticated, NotFound, StoreUnavailable
from models.ids import new_id
from models.store.accounts import AccountRepository
from models.store.connections import Database
from models.store.keys import KeyRepository
from models.store.scope import Scope

__all__ = ["Authenticator", "new_key", "new_token", "read_token"]

log = structlog.get_logger(__name__)

_ALGORITHMS = ["HS256"]  # pinned: the token's own header never chooses
_ISSUER = "outrider"
_AUDIENCE = "outrider-api"
_REQUIRED = ["exp", "iat", "iss", "aud", "sub", "tenant", "role"]
_MAX_TOKEN_CHARS = 4096
_PATTERN = re.compile(r"^(or[a-z])_([0-9a-z]{26})_([0-9a-f]{64})\Z")
_PREFIXES = {"key": "ork", "sgn": "orr", "inv": "ori", "pwr": "orp"}
"""Prefix of an id → prefix of the tokens that name it, so that nobody hands the wrong one on."""
_LOOK_WITHIN_S = 0.4  # a MongoDB that hangs must not hold up whoever needs only live state
_CHECK_WITHIN_S = 1.5
_CACHE_S = 10.0  # if a process dies between a change and its mark, others see the change after this long
_CACHE_ENTRIES = 20_000
_NOTE_EVERY = datetime.timedelta(minutes=1)
_REFUSED = "the token is not valid"
_KEPT, _READ = IDENTITY_READS.labels("process"), IDENTITY_READS.labels("store")
_T = TypeVar("_T")


def new_key(
    tenant: str,
    kind: KeyKind,
    name: str,
    driver: str | None,
    scopes: Iterable[KeyScope] = (),
    expires_at: datetime.datetime | None = None,
) -> tuple[ApiKey, str]:
    """Return a new key and its token, which nobody can see again."""
    identifier = new_id("key")
    token, digest = new_token(identifier)
    key = ApiKey(
        id=identifier,
        tenant=tenant,
        kind=kind,
        name=name,
        digest=digest,
        driver=driver,
        scopes=tuple(sorted(set(scopes))),
        expires_at=expires_at,
    )
    return key, token


def new_token(identifier: str) -> tuple[str, str]:
    """Return another token of a sign-in, an invitation or a password reset, and its digest."""
    prefix, _, rest = identifier.partition("_")
    token = f"{_PREFIXES[prefix]}_{rest}_{secrets.token_hex(32)}"
    return token, _digest(token)


def read_token(prefix: str, token: str) -> tuple[str, str]:
    """Return what a token names, an id with `prefix`, and its digest.

    Raises
    ------
    NotAuthenticated
        If it is no such token.
    """
    match = _PATTERN.match(token)
    if match is None or match[1] != _PREFIXES[prefix]:
        raise NotAuthenticated(_REFUSED)
    return f"{prefix}_{match[2]}", _digest(token)


@dataclass(frozen=True, slots=True)
class _Kept(Generic[_T]):
    """Something that was read, and when it is good no more."""

    value: _T
    until: float
    """Monotonic seconds."""
    mark: bytes | None
    """The mark of users and keys before it was read."""

    def is_good(self, mark: bytes | None) -> bool:
        return mark is not None and mark == self.mark and time.monotonic() < self.until


class Authenticator:
    """Turns tokens into principals, and users into tokens."""

    def __init__(self, settings: Settings, database: Database, redis: "Redis") -> None:
        self._source = signing_keys(settings)
        self._secrets = self._source()
        self._known_keys = SigningKeys(self._secrets)
        self._ttl_s = settings.api.token_ttl_s
        self._keys = KeyRepository(database)
        self._accounts = AccountRepository(database)
        self._verified: dict[str, dict[str, Any]] = {}
        self.generations = Generations(redis, settings.prefix)
        """Whether what this process keeps is still so."""
        self._known: dict[str, _Kept[Principal]] = {}
        self._users: dict[tuple[str, str], _Kept[User]] = {}

    async def authenticate(self, token: str) -> Principal:
        """Return who sends `token`, an access token or an API key.

        Raises
        ------
        NotAuthenticated
            If it is wrong, forged, expired or deleted.
        StoreUnavailable
            If a key can't be looked up.
        """
        if len(token) > _MAX_TOKEN_CHARS:
            raise NotAuthenticated(_REFUSED)
        if token.startswith("ork_"):
            return await self._by_key(token)
        return await self._by_jwt(token)

    def issue(self, user: User) -> tuple[str, int]:
        """Return an access token for `user` and its life in seconds."""
        issued = datetime.datetime.now(tz=UTC)
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": user.id,
            "tenant": user.tenant,
            "role": user.role,
            "iat": issued,
            "ms": int(issued.timestamp() * 1000),  # `iat` is in whole seconds
            "pwd": user.password_ms,
            "exp": issued + datetime.timedelta(seconds=self._ttl_s),
            "jti": new_id("tok"),
        }
        if user.driver is not None:
            claims["driver"] = user.driver
        signing = self._signing()
        return jwt.encode(claims, signing.secret, _ALGORITHMS[0], headers={"kid": signing.kid}), self._ttl_s

    def fingerprints(self, data: bytes) -> list[str]:
        """Return keyed digests of `data`, by today's key first: they tell what is alike and let nobody guess it."""
        return self._signing().fingerprints(data)

    def _signing(self) -> SigningKeys:
        """Return the keys as they are now; a list that can't be right changes nothing."""
        if (secrets_now := self._source()) is not self._secrets:
            self._secrets = secrets_now
            try:
                self._known_keys = SigningKeys(secrets_now)
            except BadSettings as fault:
                log.error("keys.refused", error=str(fault))  # noqa: TRY400 - the trace says nothing more
            else:
                self._verified.clear()  # a key that was dropped is good for nothing any more
        return self._known_keys

    async def _by_jwt(self, token: str) -> Principal:
        signing = self._signing()
        claims = self._verified.get(token)
        if claims is None or claims["exp"] <= time.time():
            claims = self._verify(token, signing)
            if len(self._verified) >= _CACHE_ENTRIES:
                self._verified.clear()
            self._verified[token] = claims
        user = await self._user(str(claims["tenant"]), str(claims["sub"]))
        issued_ms = claims.get("ms", claims["iat"] * 1000)
        if issued_ms < user.password_ms or claims.get("pwd", user.password_ms) != user.password_ms:
            raise NotAuthenticated("the password was changed since; sign in again")
        return Principal(user.tenant, user.id, user.role, user.driver, password_ms=user.password_ms)

    def _verify(self, token: str, signing: SigningKeys) -> dict[str, Any]:
        """Return what a token says. Its signature is looked at once: the same bytes stay as good until they expire."""
        try:
            secret = signing.named(jwt.get_unverified_header(token).get("kid"))
            if secret is None:
                raise NotAuthenticated(_REFUSED)
            claims: dict[str, Any] = jwt.decode(
                token,
                secret,
                algorithms=_ALGORITHMS,
                audience=_AUDIENCE,
                issuer=_ISSUER,
                options={"require": _REQUIRED},
            )
        except jwt.ExpiredSignatureError as fault:
            raise NotAuthenticated("the token has expired") from fault
        except (jwt.PyJWTError, ValueError) as fault:
            raise NotAuthenticated(_REFUSED) from fault
        return claims

    async def _user(self, tenant: str, identifier: str) -> User:
        """Return the user of a token as it is now; while MongoDB is away, as it was last seen."""
        key = (tenant, identifier)
        kept, mark = self._users.get(key), await self.generations.current(IDENTITIES)
        if kept is not None and kept.is_good(mark):
            _KEPT.inc()
            return kept.value
        _READ.inc()
        try:
            async with asyncio.timeout(_LOOK_WITHIN_S if kept is not None else None):
                user = await self._accounts.user(Scope(tenant, identifier))
        except NotFound as fault:
            self._users.pop(key, None)
            raise NotAuthenticated(_REFUSED) from fault
        except (PyMongoError, TimeoutError) as fault:
            if kept is None:
                raise StoreUnavailable("users can't be looked up at the moment") from fault
            user = kept.value
        if len(self._users) >= _CACHE_ENTRIES:
            self._users.clear()
        self._users[key] = _Kept(user, time.monotonic() + _CACHE_S, mark)
        return user

    async def _by_key(self, token: str) -> Principal:
        identifier, digest = read_token("key", token)
        kept, mark = self._known.get(digest), await self.generations.current(IDENTITIES)
        if kept is not None and kept.is_good(mark):
            _KEPT.inc()
            return kept.value
        _READ.inc()
        try:
            async with asyncio.timeout(_CHECK_WITHIN_S):
                key = await self._keys.by_digest(identifier, digest)
        except (PyMongoError, TimeoutError) as fault:
            raise StoreUnavailable("keys can't be checked at the moment") from fault
        if key is None:
            self._known.pop(digest, None)
            raise NotAuthenticated(_REFUSED)
        life_s = (key.expires_at - now()).total_seconds() if key.expires_at is not None else _CACHE_S
        if life_s <= 0:
            raise NotAuthenticated("the key has expired")
        await self._note_use(key)
        principal = Principal(key.tenant, key.id, key.kind, key.driver, frozenset(key.scopes))
        if len(self._known) >= _CACHE_ENTRIES:
            self._known.clear()
        self._known[digest] = _Kept(principal, time.monotonic() + min(life_s, _CACHE_S), mark)
        return principal

    async def _note_use(self, key: ApiKey) -> None:
        """Note that a key is used, once a minute; that it can't be noted keeps nobody out."""
        moment = now()
        if key.last_used_at is not None and moment - key.last_used_at < _NOTE_EVERY:
            return
        try:
            await self._keys.note_use(key, moment)
        except PyMongoError as fault:
            log.warning("key.use_unnoted", tenant=key.tenant, error=str(fault))

    async def is_current(self, principal: Principal) -> bool:
        """Tell whether somebody who was let in would still be, as the same; while MongoDB is away, yes."""
        try:
            if principal.is_key:
                key = await self._keys.get(principal.scope, principal.subject)
                return key.expires_at is None or key.expires_at > now()
            user = await self._user(principal.tenant, principal.subject)
        except (NotFound, NotAuthenticated):
            return False
        except (PyMongoError, StoreUnavailable):
            return True
        known = (principal.role, principal.driver, principal.password_ms)
        return (user.role, user.driver, user.password_ms) == known

    async def forget(self, identifier: str) -> None:
        """Let a deleted key, or a user that changed, count at the next request of every process."""
        self._users = {key: kept for key, kept in self._users.items() if key[1] != identifier}
        self._known = {digest: kept for digest, kept in self._known.items() if kept.value.subject != identifier}
        await self.generations.renew(IDENTITIES)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
