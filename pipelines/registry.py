"""The registry as pipelines use it: bundles come in with their evaluation and hold-out, the newest first.

```
registry/
  registry.json            who serves whom (`models.eta.registry`, which the engine watches)
  <version>/               a bundle, its `evaluation.json` and its `holdout.parquet`
```
"""

import datetime
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import Conflict, NotFound
from models.eta import registry
from models.eta.accelerator import load_fast
from models.eta.bundle import Bundle, save_bundle
from models.eta.registry import EVERYBODY

__all__ = ["EVERYBODY", "Registered", "Registry"]

_SHORT = 12  # characters of a version in names of folders: 48 bits


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


class Registry(registry.Registry):
    """Adds bundles and finds them again."""

    def add(self, bundle: Bundle, evaluation: Mapping[str, Any], extra: Mapping[str, bytes] | None = None) -> str:
        """Store a bundle as a candidate and return its name; the same bundle again changes nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".new-") as place:
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
        for name in self.names():
            evaluation = json.loads((self.folder / name / "evaluation.json").read_text())
            metadata = json.loads((self.folder / name / "manifest.json").read_text())["metadata"]
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
        return load_fast(self.folder_of(version))

    def champion(self, tenant: str = EVERYBODY) -> str | None:
        """Return the name of the bundle that serves a tenant: its own, else everybody's; None before a promotion."""
        standing = self.standing()
        return standing.champions.get(tenant, standing.champion)

    def remove(self, version: str) -> None:
        """Drop a bundle that serves nobody and is asked by nobody.

        Raises
        ------
        Conflict
            If it serves, or is a candidate.
        NotFound
            If there is none of that name.
        """
        if version in self.standing().named:
            raise Conflict(f"model {version} is in use: promote another first")
        shutil.rmtree(self.folder_of(version))
