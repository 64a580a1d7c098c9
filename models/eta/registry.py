"""A folder of bundles and who of them serves: what pipelines write and shards watch.

`<name>/` are bundles as `models.eta.bundle` saves them; `registry.json` says who is champion (whose word counts) for
everybody and for single tenants, who is candidate (asked beside them and compared), and what was decided when. The file
is replaced as a whole, under a lock, so whoever reads sees one decision or the next. `pipelines.registry` adds bundles.
"""

import contextlib
import datetime
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from models.errors import BundleRefused, Conflict, NotFound
from models.eta.bundle import load_bundle
from models.replacing import replacing

__all__ = ["EVERYBODY", "Decision", "Registry", "Standing"]

EVERYBODY = ""
"""In place of a tenant: all who have no champion of their own."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_MOST_DECISIONS = 50


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A champion that was put in another's place."""

    at: datetime.datetime
    tenant: str
    """Whose champion it is; empty is everybody's."""
    version: str | None
    """None is no model: base times."""
    replaced: str | None
    """Who was in its place."""
    reason: str
    action: Literal["promote", "roll_back"] = "promote"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Who serves, as `registry.json` holds it."""

    champions: dict[str, str] = {}
    """Tenant → its champion; the empty one is everybody's."""
    candidate: str | None = None
    """Who is asked beside the champions and compared."""
    history: tuple[Decision, ...] = ()
    """What was decided, oldest first."""

    @property
    def champion(self) -> str | None:
        """Return who serves all tenants that have none of their own."""
        return self.champions.get(EVERYBODY)

    @property
    def tenants(self) -> dict[str, str]:
        """Return the champions of single tenants."""
        return {tenant: name for tenant, name in self.champions.items() if tenant != EVERYBODY}

    @property
    def named(self) -> tuple[str, ...]:
        """Return the names of all models that are asked, each once."""
        chosen = (*self.champions.values(), self.candidate)
        return tuple(dict.fromkeys(name for name in chosen if name is not None))


class Registry:
    """The registry in a folder, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "registry.json"

    def mark(self) -> tuple[int, int]:
        """Return what changes with every decision: cheap to ask again and again."""
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_mtime_ns, found.st_ino

    def standing(self) -> Standing:
        """Return who serves; nobody where nothing was decided yet.

        Raises
        ------
        BundleRefused
            If the file is damaged.
        """
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Standing)
        except FileNotFoundError:
            return Standing()
        except msgspec.MsgspecError as fault:
            raise BundleRefused(f"{self._file} is damaged: {fault}") from fault

    def names(self) -> list[str]:
        """Return the names of all bundles, in the order of the alphabet."""
        found = (path.parent.name for path in self.folder.glob("*/manifest.json"))
        return sorted(name for name in found if _NAME.fullmatch(name))

    def folder_of(self, name: str) -> Path:
        """Return the folder of a bundle.

        Raises
        ------
        NotFound
            If there is none of this name.
        """
        if _NAME.fullmatch(name) is None or not (self.folder / name / "manifest.json").is_file():
            raise NotFound("model", name)
        return self.folder / name

    def promote(self, name: str, reason: str, tenant: str = EVERYBODY) -> Standing:
        """Make a bundle champion, everybody's or of one tenant.

        Raises
        ------
        NotFound
            If there is none of this name.
        BundleRefused
            If it is damaged: what can't be read never serves.
        """
        load_bundle(self.folder_of(name))
        with self._deciding() as before:
            return self._put(before, name, reason, tenant, "promote")

    def shadow(self, name: str | None) -> Standing:
        """Let a bundle predict beside the champions; None ends that. Raises as `promote`."""
        if name is not None:
            load_bundle(self.folder_of(name))
        with self._deciding() as before:
            return self._write(msgspec.structs.replace(before, candidate=name))

    def roll_back(self, reason: str, tenant: str = EVERYBODY) -> Standing:
        """Bring the champion before the present one back; before the first there is none.

        Raises
        ------
        Conflict
            If nothing has been promoted, so that there is nothing to take back.
        """
        with self._deciding() as before:
            promotions = _standing_promotions(before, tenant)
            if not promotions:
                raise Conflict("no promotion is left to be taken back")
            return self._put(before, promotions[-1].replaced, reason, tenant, "roll_back")

    @contextlib.contextmanager
    def _deciding(self) -> Iterator[Standing]:
        """Hold the lock; only one decides at a time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.standing()

    def _put(
        self, before: Standing, name: str | None, reason: str, tenant: str, action: Literal["promote", "roll_back"]
    ) -> Standing:
        rest = {one: model for one, model in before.champions.items() if one != tenant}
        decision = Decision(_now(), tenant, name, before.champions.get(tenant), reason, action)
        return self._write(
            Standing(
                champions=rest if name is None else {**rest, tenant: name},
                candidate=None if before.candidate == name else before.candidate,
                history=(*before.history, decision)[-_MOST_DECISIONS:],
            )
        )

    def _write(self, after: Standing) -> Standing:
        with replacing(self._file) as fresh, fresh.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(after), indent=1))
            file.flush()
            os.fsync(file.fileno())
        return after


def _standing_promotions(standing: Standing, tenant: str) -> list[Decision]:
    """Return the promotions of a place that have not been taken back, oldest first."""
    found: list[Decision] = []
    for decision in standing.history:
        if decision.tenant != tenant:
            continue
        if decision.action == "promote":
            found.append(decision)
        elif found:
            found.pop()
    return found


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
