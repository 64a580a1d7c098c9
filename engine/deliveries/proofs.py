"""Files that prove deliveries: stored once, checked when a delivery names them."""

import datetime
import hashlib
from collections.abc import Mapping

from engine.deliveries.pictures import picture_type
from engine.settings import ProofSettings
from engine.tasks.worker import TaskKind
from models.documents.delivery import Delivery, Proof
from models.documents.proof import ProofFile, ProofKind
from models.documents.task import Task
from models.errors import InvalidInput, TooLarge
from models.ids import new_id
from models.store.connections import Database
from models.store.objects import ObjectContent
from models.store.proofs import GridContent, ProofStore
from models.store.scope import Scope
from models.store.tasks import TaskRepository

__all__ = ["CLEARING", "check_files", "check_proven", "proof_clearing", "proofs_of", "upload"]

CLEARING = "proof-clearing"
"""Kind of the tasks that drop a file which no proof names."""


def proofs_of(database: Database, settings: ProofSettings) -> ProofStore:
    """Return the store of proof files, with their content where the settings want it."""
    url = settings.store
    return ProofStore(database, GridContent(database) if url is None else ObjectContent(url))


async def upload(
    database: Database, settings: ProofSettings, scope: Scope, delivery: str, kind: ProofKind, data: bytes
) -> ProofFile:
    """Store a file for a delivery's proof; the same bytes again give the same file.

    Raises
    ------
    TooLarge
        If it has more bytes than the settings allow.
    InvalidInput
        If it is no picture.
    """
    if len(data) > settings.max_bytes:
        raise TooLarge(f"a file may have {settings.max_bytes} bytes at most")
    content_type = picture_type(data)
    if content_type is None:
        raise InvalidInput("the file is no JPEG, PNG or WebP", [("file", "no JPEG, PNG or WebP")])
    file = ProofFile(
        id=new_id("prf"),
        tenant=scope.tenant,
        delivery=delivery,
        kind=kind,
        content_type=content_type,
        size=len(data),
        digest=hashlib.sha256(data).hexdigest(),
        by=scope.actor,
    )
    await TaskRepository(database).put([_clearing(file, settings)])  # before the file: no crash leaves one for good
    return await proofs_of(database, settings).store(file, data)


def proof_clearing(database: Database, settings: ProofSettings) -> TaskKind:
    """Return how files that no proof names are dropped when their time is over."""

    async def clear(task: Task) -> None:
        scope = Scope(task.tenant, "engine")
        await proofs_of(database, settings).drop_unattached(scope, task.payload["proof"], task.payload["key"])

    return TaskKind(clear)


def _clearing(file: ProofFile, settings: ProofSettings) -> Task:
    return Task(
        id=f"tsk_{file.id.removeprefix('prf_')}",
        tenant=file.tenant,
        kind=CLEARING,
        payload={"proof": file.id, "key": file.key},
        due=file.created_at + datetime.timedelta(hours=settings.unattached_h),
    )


def check_files(proof: Proof, files: Mapping[str, ProofFile]) -> None:
    """Refuse a proof that names files which its delivery does not have.

    Raises
    ------
    InvalidInput
        With the path of each such field.
    """
    named = [(f"proof.photos.{place}", photo, "photo") for place, photo in enumerate(proof.photos)]
    if proof.signature is not None:
        named.append(("proof.signature", proof.signature, "signature"))
    wrong = [
        (path, f"the delivery has no {kind} {file}")
        for path, file, kind in named
        if file not in files or files[file].kind != kind
    ]
    if wrong:
        raise InvalidInput(wrong[0][1], wrong)


def check_proven(delivery: Delivery, proof: Proof | None) -> None:
    """Refuse to call a delivery delivered without a photo or a signature, which its company asks for.

    Raises
    ------
    InvalidInput
        If neither the delivery nor `proof` has one.
    """
    shown = proof or delivery.proof
    if shown is None or not shown.files:
        raise InvalidInput("a photo or a signature is asked for", [("proof", "a photo or a signature is missing")])
