"""The registry: a folder of bundles, and a manifest that says which of them serves.

```
registry/
  registry.json            champion, and who served before it, by tenant ("" is everybody's)
  <version>/               a bundle, its `evaluation.json` and its `holdout.parquet`
```
Every change is one rename, so that a reader sees the old state or the new one. The engine watches `registry.json`.
"""

import contextlib
import datetime
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from models.errors import Conflict, NotFound
from models.eta.accelerator import load_fast
from models.eta.bundle import Bundle, load_bundle, save_bundle

__all__ = ["EVERYBODY", "Registered", "Registry"]

EVERYBODY = ""
"""The tenant under which the model stands that serves all who have none of their own."""

_SHORT = 12  # characters of a version in names of folders: 48 bits
_MOST_HISTORY = 50


@dataclass(frozen=True, slots=True)
class Registered:
    """A bundle in the registry."""

    version: str
    """Name of its folder: the beginning of the bundle's own version."""
    created: str
    """When it was added, ISO 8601."""
    metadata: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    """What back-testing found when it was trained."""
    is_champion: bool


class Registry:
    """Adds bundles, and says which one serves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, bundle: Bundle, evaluation: Mapping[str, Any], extra: Mapping[str, bytes] | None = None) -> str:
        """Store a bundle as a candidate and return its name; the same bundle again changes nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked(), tempfile.TemporaryDirectory(dir=self.folder, prefix=".new-") as place:
            new = Path(place) / "bundle"
            name = save_bundle(bundle, new)[:_SHORT]
            created = datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="milliseconds")
            (new / "evaluation.json").write_text(json.dumps({"created": created, **evaluation}, indent=1) + "\n")
            for file, content in (extra or {}).items():
                (new / file).write_bytes(content)
            if not (self.folder / name).exists():
                new.rename(self.folder / name)
        return name

    def versions(self, tenant: str = EVERYBODY) -> list[Registered]:
        """Return all bundles, the newest first."""
        champion = self.champion(tenant)
        found = []
        for path in self.folder.glob("*/manifest.json"):
            if path.parent.name.startswith("."):
                continue
            evaluation = json.loads((path.parent / "evaluation.json").read_text())
            metadata = json.loads(path.read_text())["metadata"]
            name = path.parent.name
            found.append(Registered(name, evaluation["created"], metadata, evaluation, name == champion))
        return sorted(found, key=lambda each: each.created, reverse=True)

    def newest(self) -> str:
        """Return the name of the bundle that was added last.

        Raises
        ------
        NotFound
            If there is none yet.
        """
        found = self.versions()
        if not found:
            raise NotFound("model", f"in {self.folder}: `outrider train` makes one")
        return found[0].version

    def load(self, version: str) -> Bundle:
        """Return a bundle by name, compiled where that is possible.

        Raises
        ------
        NotFound
            If there is none of that name.
        BundleRefused
            If it is damaged or of another schema.
        """
        return load_fast(self.path(version))

    def path(self, version: str) -> Path:
        """Return the folder of a bundle.

        Raises
        ------
        NotFound
            If there is none of that name.
        """
        names = {path.parent.name for path in self.folder.glob("*/manifest.json")}
        if version not in names:
            raise NotFound("model", version)
        return self.folder / version

    def champion(self, tenant: str = EVERYBODY) -> str | None:
        """Return the name of the bundle that serves a tenant: its own, else everybody's; None before a promotion."""
        champions = self._read()["champions"]
        found = champions.get(tenant) or champions.get(EVERYBODY)
        return None if found is None else str(found)

    def promote(self, version: str, reason: str, tenant: str = EVERYBODY) -> None:
        """Let a bundle serve from now on.

        Raises
        ------
        NotFound
            If there is none of that name.
        BundleRefused
            If it is damaged: a model that can't be loaded never becomes champion.
        """
        load_bundle(self.path(version))
        self._change(version, reason, tenant, "promote")

    def roll_back(self, reason: str, tenant: str = EVERYBODY) -> str:
        """Let the one serve again that served before, and return its name.

        Raises
        ------
        Conflict
            If nobody served before.
        """
        before = [entry for entry in self.history() if entry["tenant"] == tenant and entry["replaced"]]
        current = self._read()["champions"].get(tenant)
        served = next((entry["replaced"] for entry in before if entry["replaced"] != current), None)
        if served is None:
            raise Conflict("no other model served before this one")
        load_bundle(self.path(served))
        self._change(served, reason, tenant, "roll_back")
        return str(served)

    def history(self) -> list[dict[str, Any]]:
        """Return what was promoted when and why, the newest first."""
        return list(reversed(self._read()["history"]))

    def remove(self, version: str) -> None:
        """Drop a bundle that serves nobody.

        Raises
        ------
        Conflict
            If it serves.
        NotFound
            If there is none of that name.
        """
        if version in self._read()["champions"].values():
            raise Conflict(f"model {version} serves: promote another first")
        shutil.rmtree(self.path(version))

    def _change(self, version: str, reason: str, tenant: str, action: Literal["promote", "roll_back"]) -> None:
        with self._locked():
            state = self._read()
            entry = {
                "at": datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="milliseconds"),
                "tenant": tenant,
                "version": version,
                "replaced": state["champions"].get(tenant),
                "reason": reason,
                "action": action,
            }
            state["champions"][tenant] = version
            if state.get("candidate") == version:
                state["candidate"] = None  # who serves is no longer asked beside the others
            state["history"] = [*state["history"], entry][-_MOST_HISTORY:]
            _replace(self.folder / "registry.json", json.dumps(state, indent=1) + "\n")

    def _read(self) -> dict[str, Any]:
        path = self.folder / "registry.json"
        if not path.exists():
            return {"champions": {}, "history": []}
        return dict(json.loads(path.read_text()))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other writers of this machine out."""
        with (self.folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _replace(path: Path, text: str) -> None:
    """Write a file so that readers see the old or the new one, also after a crash."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).rename(path)
