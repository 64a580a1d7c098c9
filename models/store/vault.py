"""Personal data at rest: sealed with a data key per tenant, which a master key wraps.

Values are sealed with AES-GCM under a fresh nonce, so equal values look different; a token (AES-SIV, RFC 5297) is the
same for the same text and can be searched by an index. Tenant, field and key number are authenticated with the value:
moved to another tenant or field it does not open. The number of its data key stands in front of every value, so old and
new keys live side by side while one takes over from the other.
"""

import os
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bson
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr
from pymongo.errors import DuplicateKeyError

from models.documents.document import now
from models.errors import BadSettings, Unreadable

__all__ = ["INSTALLATION", "KEPT_S", "MasterKeys", "TenantKeys", "Vault"]

log = structlog.get_logger(__name__)

MasterKeys = Sequence[SecretStr] | Callable[[], Sequence[str]]
"""Secrets of master keys, newest first, or what returns them as they are now."""

MIN_SECRET_BYTES = 32
"""Least length of a master key's secret, bytes."""

_NONCE_BYTES = 12
_DRAWN_AT_ONCE = 1024
_HEAD_BYTES = 5  # what kind of value, and the number of its data key
_BEGIN = _HEAD_BYTES + _NONCE_BYTES
_TEXT, _OTHER, _BYTES = 1, 2, 3
_TOKEN_FIELD = b"token"
KEPT_S = 60.0
"""How long a process may go on sealing with a data key that has been replaced, seconds."""
_KEPT_TENANTS = 10_000  # 2 KiB each
INSTALLATION = "installation"
"""Stands for a tenant: its key is made at the first start, so that a wrong master key shows at the next."""


class _MasterKey:
    """Wraps data keys."""

    def __init__(self, secret: str) -> None:
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise BadSettings(f"OUTRIDER_MASTER_KEYS: each key needs {MIN_SECRET_BYTES} bytes or more")
        self.id = _derived(secret.encode(), b"outrider master key id", 4).hex()
        """Tells it from others and nothing about it."""
        self._aead = AESGCM(_derived(secret.encode(), b"outrider master key", 32))

    def wrap(self, identifier: str, key: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, key, identifier.encode())

    def unwrap(self, identifier: str, wrapped: bytes) -> bytes:
        try:
            return self._aead.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], identifier.encode())
        except InvalidTag as fault:
            raise Unreadable(f"the data key {identifier} has been tampered with") from fault


@dataclass(frozen=True, slots=True)
class _DataKey:
    sealing: AESGCM
    tokens: AESSIV

    @classmethod
    def of(cls, key: bytes) -> "_DataKey":
        return cls(AESGCM(_derived(key, b"values", 32)), AESSIV(_derived(key, b"tokens", 64)))


class TenantKeys:
    """A tenant's data keys, unwrapped: seals with the newest, opens with all.

    Parameters
    ----------
    tenant
        Whose they are.
    keys
        Keys by number.
    """

    def __init__(self, tenant: str, keys: Mapping[int, _DataKey]) -> None:
        self._tenant, self._keys = tenant.encode(), keys
        self.number = max(keys)
        """Number of the newest."""
        self._newest = keys[self.number]
        self._openings: dict[tuple[str, bytes], tuple[AESGCM, bytes]] = {}

    def seal(self, field: str, value: Any) -> bytes:
        """Return a text, bytes or what else BSON can hold, sealed for a field."""
        if isinstance(value, str):
            kind, plain = _TEXT, value.encode()
        elif isinstance(value, bytes):
            kind, plain = _BYTES, value
        else:
            kind, plain = _OTHER, bson.encode({"": value})
        head = bytes((kind,)) + self.number.to_bytes(4, "big")
        nonce = _fresh_nonce()
        return head + nonce + self._newest.sealing.encrypt(nonce, plain, self._bound(field, head))

    def open(self, field: str, sealed: bytes) -> Any:
        """Return what was sealed for a field.

        Raises
        ------
        Unreadable
            If its key is not here, or the bytes are not what was sealed for this tenant and field.
        """
        head, nonce = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES:_BEGIN]
        known = self._openings.get((field, head)) or self._opening(field, head)
        if known is None or len(nonce) < _NONCE_BYTES:
            raise Unreadable(f"{field}: its data key is not here")
        sealing, bound = known
        try:
            plain = sealing.decrypt(nonce, sealed[_BEGIN:], bound)
        except InvalidTag as fault:
            raise Unreadable(f"{field}: the sealed value has been tampered with") from fault
        if head[0] == _TEXT:
            return plain.decode()
        return plain if head[0] == _BYTES else bson.decode(plain, _OPENED)[""]

    def can_open(self, sealed: bytes) -> bool:
        """Tell whether the key of a sealed value is here."""
        return int.from_bytes(sealed[1:_HEAD_BYTES], "big") in self._keys

    def token(self, text: str) -> bytes:
        """Return what stands for a text in an index, under the newest key."""
        return self._token(self.number, text)

    def all_tokens(self, text: str) -> list[bytes]:
        """Return what may stand for a text in an index, one token a key."""
        return [self._token(number, text) for number in sorted(self._keys, reverse=True)]

    def _token(self, number: int, text: str) -> bytes:
        head = number.to_bytes(4, "big")
        return head + self._keys[number].tokens.encrypt(text.encode() or b"\x00", [self._tenant, _TOKEN_FIELD, head])

    def _opening(self, field: str, head: bytes) -> tuple[AESGCM, bytes] | None:
        """Return what opens values of a field under a head, and keep it: a list of deliveries has a hundred such."""
        key = self._keys.get(int.from_bytes(head[1:], "big"))
        if key is None:
            return None
        known = self._openings[field, head] = key.sealing, self._bound(field, head)
        return known

    def _bound(self, field: str, head: bytes) -> bytes:
        return b"\x00".join((self._tenant, field.encode(), head))


class Vault:
    """The keys of all tenants, kept wrapped in MongoDB and unwrapped for a minute here.

    Parameters
    ----------
    data_keys
        The collection of wrapped data keys.
    masters
        Secrets of master keys, the newest first: it wraps, all unwrap. None: nothing can be sealed or opened.
        Where they may change, they are asked for again with every data key that is made or unwrapped.
    """

    def __init__(self, data_keys: Any, masters: MasterKeys) -> None:
        self._collection = data_keys
        given = masters if callable(masters) else tuple(secret.get_secret_value() for secret in masters)
        self._source = given if callable(given) else lambda: given
        self._secrets = self._source()
        self._known = _by_id(self._secrets)
        self._kept: OrderedDict[str, tuple[float, TenantKeys]] = OrderedDict()

    async def check(self) -> None:
        """Make sure that every data key can be unwrapped; to be called at start.

        Raises
        ------
        BadSettings
            If a master key is missing or another one.
        """
        masters = self._masters()
        if not masters:
            raise BadSettings("OUTRIDER_MASTER_KEYS is not set: `outrider up` sets it for its processes")
        for master in await self._collection.distinct("master"):
            if master not in masters:
                raise BadSettings(
                    f"personal data in this database is sealed under master key {master}, which is not among the keys "
                    f"given ({', '.join(masters)}); add it to OUTRIDER_MASTER_KEYS or to var/secrets/master"
                )
        await self.keys(INSTALLATION)

    async def keys(self, tenant: str) -> TenantKeys:
        """Return a tenant's data keys; the first time, one is made.

        Raises
        ------
        Unreadable
            If the master key of one is not here.
        """
        kept = self._kept.get(tenant)
        if kept is not None and time.monotonic() - kept[0] < KEPT_S:
            return kept[1]
        return await self.reread(tenant)

    async def reread(self, tenant: str) -> TenantKeys:
        """Return a tenant's data keys as MongoDB has them now; raises as `keys`."""
        began = time.monotonic()
        found = await self._collection.find({"tenant": tenant}).to_list(None)
        if not found:
            await self._make(tenant, 1)
            found = await self._collection.find({"tenant": tenant}).to_list(None)
        keys = TenantKeys(tenant, {fields["number"]: _DataKey.of(self._unwrapped(fields)) for fields in found})
        self._kept[tenant] = (began, keys)
        self._kept.move_to_end(tenant)
        if len(self._kept) > _KEPT_TENANTS:
            self._kept.popitem(last=False)
        return keys

    async def renew(self, tenant: str) -> TenantKeys:
        """Give a tenant a new data key, unsettled until everything is sealed anew under it; return all.

        What is sealed stays readable; other processes seal with the new key within `KEPT_S`.
        """
        await self._make(tenant, (await self.reread(tenant)).number + 1, settled=False)
        return await self.reread(tenant)

    async def rewrap(self, tenant: str) -> None:
        """Wrap a tenant's data keys with the newest master key.

        Raises
        ------
        Unreadable
            If the master key of one is not here.
        """
        newest = self._newest()
        async for fields in self._collection.find({"tenant": tenant, "master": {"$ne": newest.id}}):
            changes = {"wrapped": newest.wrap(fields["_id"], self._unwrapped(fields)), "master": newest.id}
            await self._collection.update_one({"_id": fields["_id"], "master": fields["master"]}, {"$set": changes})

    async def _make(self, tenant: str, number: int, *, settled: bool = True) -> None:
        master, identifier = self._newest(), f"{tenant}/{number}"
        fields = {"_id": identifier, "tenant": tenant, "number": number, "settled": settled, "createdAt": now()}
        fields |= {"master": master.id, "wrapped": master.wrap(identifier, secrets.token_bytes(32))}
        try:
            await self._collection.insert_one(fields)
        except DuplicateKeyError:
            return  # somebody else was faster, and theirs is as good

    def _masters(self) -> Mapping[str, _MasterKey]:
        """Return the master keys as they are now; a list that can't be right changes nothing."""
        if (secrets_now := self._source()) is not self._secrets:
            self._secrets = secrets_now
            try:
                self._known = _by_id(secrets_now)
            except BadSettings as fault:
                log.error("keys.refused", error=str(fault))  # noqa: TRY400 - the trace says nothing more
        return self._known

    def _newest(self) -> _MasterKey:
        if not (masters := self._masters()):
            raise Unreadable("no master key was given to this process")
        return next(iter(masters.values()))

    def _unwrapped(self, fields: Mapping[str, Any]) -> bytes:
        master = self._masters().get(fields["master"])
        if master is None:
            raise Unreadable(f"the data key {fields['_id']} is wrapped by master key {fields['master']}, not here")
        return master.unwrap(fields["_id"], bytes(fields["wrapped"]))


def _by_id(secrets_given: Sequence[str]) -> dict[str, _MasterKey]:
    return {key.id: key for key in map(_MasterKey, secrets_given)}


def _fresh_nonce() -> bytes:
    """Return bytes that are used once; drawn by the thousand, for each draw lets another thread in between."""
    while True:
        try:
            return _nonces.popleft()
        except IndexError:
            drawn = secrets.token_bytes(_NONCE_BYTES * _DRAWN_AT_ONCE)
            _nonces.extend(drawn[at : at + _NONCE_BYTES] for at in range(0, len(drawn), _NONCE_BYTES))


_nonces: deque[bytes] = deque()
os.register_at_fork(after_in_child=_nonces.clear)  # a child must not use its parent's

_OPENED: bson.CodecOptions[dict[str, Any]] = bson.CodecOptions(tz_aware=True)


def _derived(secret: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=purpose).derive(secret)
