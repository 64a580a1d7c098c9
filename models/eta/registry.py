"""A folder of bundles and who of them serves: what pipelines write and shards watch.

`bundles/<name>/` are bundles as `models.eta.bundle` saves them; `registry.json` says which is champion (its word
counts), which is candidate (asked beside it and compared), which tenants have one of their own, and what was decided
when. The file is replaced as a whole, under a lock, so whoever reads sees one decision or the next.
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

__all__ = ["FORMAT", "Decision", "Registry", "Standing"]

FORMAT = "outrider-eta-registry/1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_MOST_DECISIONS = 500


class Decision(msgspec.Struct, frozen=True):
    """Something that was decided about a model."""

    at: datetime.datetime
    by: str
    action: Literal["promote", "shadow", "roll_back"]
    model: str | None
    """None is no model: base times, or no candidate."""
    before: str | None
    """Who was in its place."""
    tenant: str | None = None
    """Whose champion it is; None is everybody's."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Who serves."""

    format: str = FORMAT
    champion: str | None = None
    candidate: str | None = None
    tenants: dict[str, str] = {}
    """Tenant → its own champion."""
    log: tuple[Decision, ...] = ()
    """What was decided, oldest first."""

    @property
    def named(self) -> tuple[str, ...]:
        """Return the names of all models that are asked, each once."""
        chosen = (self.champion, self.candidate, *self.tenants.values())
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
            If the file is damaged, or of another format.
        """
        try:
            found = msgspec.json.decode(self._file.read_bytes(), type=Standing)
        except FileNotFoundError:
            return Standing()
        except msgspec.MsgspecError as fault:
            raise BundleRefused(f"{self._file} is damaged: {fault}") from fault
        if found.format != FORMAT:
            raise BundleRefused(f"{self._file} is a {found.format}; this release reads {FORMAT}")
        return found

    def names(self) -> list[str]:
        """Return the names of all bundles, in the order of the alphabet."""
        place = self.folder / "bundles"
        if not place.is_dir():
            return []
        return sorted(one.name for one in place.iterdir() if (one / "manifest.json").is_file())

    def place(self, name: str) -> Path:
        """Return where a bundle of this name is, or is to be saved.

        Raises
        ------
        NotFound
            If no bundle can have this name.
        """
        if _NAME.fullmatch(name) is None:
            raise NotFound("model", name)
        return self.folder / "bundles" / name

    def folder_of(self, name: str) -> Path:
        """Return the folder of a bundle that is there.

        Raises
        ------
        NotFound
            If there is none of this name.
        """
        place = self.place(name)
        if not (place / "manifest.json").is_file():
            raise NotFound("model", name)
        return place

    def promote(self, name: str, by: str, tenant: str | None = None) -> Standing:
        """Make a bundle champion, everybody's or of one tenant.

        Raises
        ------
        NotFound
            If there is none of this name.
        """
        self.folder_of(name)
        with self._deciding() as before:
            had = before.champion if tenant is None else before.tenants.get(tenant)
            return self._write(_set(before, name, tenant), Decision(_now(), by, "promote", name, had, tenant))

    def shadow(self, name: str | None, by: str) -> Standing:
        """Let a bundle predict beside the champion; None ends that. Raises as `promote`."""
        if name is not None:
            self.folder_of(name)
        with self._deciding() as before:
            after = msgspec.structs.replace(before, candidate=name)
            return self._write(after, Decision(_now(), by, "shadow", name, before.candidate))

    def roll_back(self, by: str, tenant: str | None = None) -> Standing:
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
            last = promotions[-1]
            decision = Decision(_now(), by, "roll_back", last.before, last.model, tenant)
            return self._write(_set(before, last.before, tenant), decision)

    @contextlib.contextmanager
    def _deciding(self) -> Iterator[Standing]:
        """Hold the lock; only one decides at a time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "registry.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.standing()

    def _write(self, after: Standing, decision: Decision) -> Standing:
        after = msgspec.structs.replace(after, log=(*after.log, decision)[-_MOST_DECISIONS:])
        fresh = self._file.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(after), indent=1))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)
        return after


def _set(before: Standing, name: str | None, tenant: str | None) -> Standing:
    if tenant is None:
        candidate = None if before.candidate == name else before.candidate
        return msgspec.structs.replace(before, champion=name, candidate=candidate)
    rest = {one: model for one, model in before.tenants.items() if one != tenant}
    return msgspec.structs.replace(before, tenants=rest if name is None else {**rest, tenant: name})


def _standing_promotions(standing: Standing, tenant: str | None) -> list[Decision]:
    """Return the promotions of a place that have not been taken back, oldest first."""
    found: list[Decision] = []
    for decision in standing.log:
        if decision.tenant != tenant:
            continue
        if decision.action == "promote":
            found.append(decision)
        elif decision.action == "roll_back" and found:
            found.pop()
    return found


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
