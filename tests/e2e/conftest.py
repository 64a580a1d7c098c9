"""A browser for all tests of pages, and a page for each."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, Page

from api.dashboard import is_built
from api.dashboard.build import build
from tests.browser import a_browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Return a browser; the dashboard is built."""
    if not is_built():
        await asyncio.to_thread(build)
    async with a_browser() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """Return a page of a person of its own; fail on what goes wrong in it."""
    context = await browser.new_context(viewport={"width": 1280, "height": 720}, color_scheme="light")
    page = await context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None)
    yield page
    await context.close()
    assert not faults
