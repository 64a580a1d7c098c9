"""`outrider promote`: let a model serve, if the gates let it."""

from pathlib import Path
from typing import Annotated

import typer

from models.eta.accelerator import compile_bundle
from outrider.cli.model_output import AsJson, Folder, Tenant, plain_errors, show_result
from pipelines.promotion import judge_version
from pipelines.registry import EVERYBODY, Registry

__all__ = ["promote"]

_KEPT_OUT = 2


def promote(
    model: Annotated[str, typer.Argument(help="The model; the newest one by default.")] = "",
    registry: Folder = Path("var/models"),
    tenant: Tenant = EVERYBODY,
    force: Annotated[bool, typer.Option("--force", help="Whatever the gates say, which is kept.")] = False,
    roll_back: Annotated[bool, typer.Option("--roll-back", help="Let the model before serve again.")] = False,
    accelerate: Annotated[bool, typer.Option(help="Compile its trees for this kind of machine.")] = True,
    json: AsJson = False,
) -> None:
    """Let a model serve if it is surely better than the one that does, and nowhere much worse.

    Exit status: 0 when it serves, 2 when the gates keep it out, 1 on an error.
    """
    with plain_errors():
        books = Registry(registry)
        if roll_back:
            served = books.roll_back("rolled back by hand", tenant).champions.get(tenant)
            result = {"model": served, "promoted": True, "reasons": ["rolled back by hand"]}
            show_result(f"{served or 'no model'} serves again", result, as_json=json, bench="promote")
            return
        name = model or books.newest()
        verdict = judge_version(books, name, tenant)
        is_promoted = verdict.is_passed or force
        is_compiled = is_promoted and accelerate and compile_bundle(books.folder_of(name))
        if is_promoted:
            reason = "; ".join(verdict.reasons)
            books.promote(name, reason if verdict.is_passed else f"forced: {reason}", tenant)
    title = f"model {name} {'serves' if is_promoted else 'stays a candidate'}"
    result = {
        "model": name,
        "promoted": is_promoted,
        "accelerated": is_compiled,
        "reasons": list(verdict.reasons),
    }
    show_result(title, result, as_json=json, bench="promote")
    if not is_promoted:
        raise typer.Exit(_KEPT_OUT)
