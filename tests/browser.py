"""A real browser for the tests: Chromium from PATH, else the one that npm carries. No root is needed for either."""

import ctypes.util
import fcntl
import functools
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from api.dashboard.build import find_node
from models.errors import BadSettings

PACKAGE = "@sparticuz/chromium@147"  # the newest that was tried; later ones want glibc of their own
CACHE = Path(__file__).parents[1] / "var" / "browser"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--enable-unsafe-swiftshader", "--disable-background-networking")
_UNPACK = 'import chromium from "@sparticuz/chromium"; console.log(await chromium.executablePath());'
_LIBRARIES = "al2023/lib"


@dataclass(frozen=True)
class Chromium:
    """A browser's program, and what it needs around it."""

    path: str
    environment: dict[str, str | float | bool]


@functools.cache
def find_chromium() -> Chromium:
    """Return the Chromium to test with; fail with what to do when there is none."""
    for name in NAMES:
        if found := shutil.which(name):
            return Chromium(found, dict(os.environ))
    try:
        return _from_npm()
    except (BadSettings, subprocess.CalledProcessError, OSError) as cause:
        raise AssertionError(
            "the browser tests need Chromium: put 'chromium' or 'google-chrome' on PATH, "
            f"or Node with access to npm for {PACKAGE} ({cause})"
        ) from cause


@asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    """Start a headless browser; close it at the end."""
    chromium = find_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium.path, args=list(FLAGS), env=chromium.environment
        )
        try:
            yield browser
        finally:
            await browser.close()


async def ask_page(page: Page, question: str, *, until: Callable[[Any], bool], within_s: float = 20.0) -> Any:
    """Return the first answer of a JavaScript expression that satisfies `until`.

    The page's content policy forbids strings in `wait_for_function`, so the page is asked again and again.
    """
    answer: Any = None
    for _ in range(int(within_s * 10)):
        answer = await page.evaluate(question)
        if until(answer):
            return answer
        await page.wait_for_timeout(100)
    raise AssertionError(f"{question} stayed {str(answer)[:500]} for {within_s} s")


def _from_npm() -> Chromium:
    folder = find_node()
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:  # tests may run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _unpacked(folder)


def _unpacked(folder: Path) -> Chromium:
    """Return the package's browser with the Node of a folder, installed and unpacked if it is not yet."""
    environment = {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}",
        "TMPDIR": str(CACHE),  # where the package unpacks to
    }
    if not (CACHE / "node_modules").is_dir():
        install = ["install", "--prefix", str(CACHE), "--no-audit", "--no-fund", "--loglevel=error", PACKAGE]
        subprocess.run([str(folder / "npm"), *install], env=environment, check=True, capture_output=True)
    if needs_libraries := ctypes.util.find_library("nss3") is None:
        environment["AWS_EXECUTION_ENV"] = "AWS_Lambda_nodejs22.x"  # makes the package unpack its own libraries too
    unpack = [str(folder / "node"), "--input-type=module", "--eval", _UNPACK]
    done = subprocess.run(unpack, cwd=CACHE, env=environment, check=True, capture_output=True, text=True)
    around: dict[str, str | float | bool] = dict(os.environ)
    if needs_libraries:
        around["LD_LIBRARY_PATH"] = str(CACHE / _LIBRARIES)
    return Chromium(done.stdout.strip().splitlines()[-1], around)
