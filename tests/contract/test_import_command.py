"""`outrider import` and the client's files, against an API that listens on a port."""

import asyncio
import contextlib
import json
import uuid

import pytest
import pytest_asyncio
import typer

from outrider.cli import import_file as command
from outrider.client import ApiProblem, OutriderClient
from tests.door import address_of
from tests.rest import running_api

PASSWORD = "correct horse battery"
HEADING = "reference,dropoff.latitude,dropoff.longitude,notes\n"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def url(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, _), address_of(app) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def client(url):
    async with OutriderClient(url) as client:
        await client.register("Test", f"{uuid.uuid4().hex}@test.pt", PASSWORD)
        yield client


async def run(client, file, *arguments):
    """Run the command in a thread, as it would run in a process of its own, and return its status."""
    app = typer.Typer()
    app.command()(command.import_file)

    def call():
        with contextlib.suppress(SystemExit):
            app([str(file), "--url", client.url, "--token", client.token, *arguments], standalone_mode=False)
            return 0
        return 2

    return await asyncio.to_thread(call)


async def exported(client, **filters):
    return b"".join([piece async for piece in client.export_deliveries("ndjson", **filters)]).splitlines()


async def test_a_file_comes_in_once_and_is_told_by_row(client, tmp_path, capsys):
    file = tmp_path / "monday.csv"
    file.write_text(HEADING + "A1,41.1,-8.6,ring [twice]\nA2,41.2,-8.6,\n")
    assert [await run(client, file), await run(client, file)] == [0, 0]
    assert [json.loads(line)["reference"] for line in await exported(client)] == ["A1", "A2"]
    shown = capsys.readouterr().out
    assert "created" in shown
    assert "monday.csv" in shown


async def test_faults_are_shown_and_nothing_comes_in(client, tmp_path, capsys):
    file = tmp_path / "bad.csv"
    file.write_text(HEADING + "[b]1,95,-8.6,\nB2,41.2,-8.6,\n")
    assert await run(client, file) == 2
    shown = capsys.readouterr().out
    assert "dropoff.latitude" in shown
    assert "Nothing came in" in shown
    assert await exported(client) == []
    assert await run(client, file, "--mode", "valid") == 2
    assert [json.loads(line)["reference"] for line in await exported(client)] == ["B2"]


async def test_the_report_comes_as_json_too(client, tmp_path, capsys):
    file = tmp_path / "lines.jsonl"
    file.write_text('{"reference": "C1", "dropoff": {"address": "Rua das Flores 1"}}\n')
    assert await run(client, file, "--dry-run", "--json") == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (report["state"], report["created"], report["unlocated"]) == ("checked", 1, 1)
    assert await exported(client) == []


async def test_the_client_tells_how_far_it_has_come(client):
    table = (HEADING + "".join(f"D{n},41.1,-8.6,{'x' * 200}\n" for n in range(1000))).encode()
    told = []
    report = await client.import_deliveries(table, sent=told.append)
    assert report.created == 1000
    assert told == sorted(told)
    assert told[-1] == len(table)
    assert [json.loads(line)["reference"] for line in await exported(client, reference="D7")] == ["D7"]


async def test_what_is_no_table_is_a_problem(client):
    with pytest.raises(ApiProblem) as problem:
        await client.import_deliveries(b"colour\nred\n")
    assert (problem.value.status, problem.value.rows) == (422, ())
