"""Names of webhooks are looked up without holding up others."""

import asyncio
import socket
import threading

import pytest
import uvloop

from engine.webhooks.addresses import addresses_of


def test_names_that_nobody_waits_for_any_more_are_not_looked_up(monkeypatch: pytest.MonkeyPatch):
    """A resolver that does not answer is asked for those only that were under way."""
    answers, asked = threading.Event(), []

    def hangs(host: str, port: int, **_: int) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        asked.append(host)
        answers.wait(30)
        return [(0, 0, 0, "", ("192.0.2.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", hangs)

    async def mine() -> list[str]:
        waiting = [asyncio.create_task(addresses_of(f"hook-{number}.test", 443)) for number in range(200)]
        await asyncio.sleep(0)  # each has asked by then
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        answers.set()
        return await addresses_of("mine.test", 443)

    assert uvloop.run(mine()) == ["192.0.2.1"]  # the host's loop
    assert len(asked) < 50


async def test_what_can_be_no_name_leads_nowhere():
    with pytest.raises(OSError, match="not a name"):
        await addresses_of("ü" * 100 + ".test", 443)
