"""The MCP SDK's own client against the real server: over HTTP, and over stdio through ``openbook mcp``."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client

from app.client import Client as ApiClient
from tests.support.jobs import settled
from tests.support.servers import REPO, RunningServer

_numbers = itertools.count()
QUESTION = "How long is the Corran bridge?"
TEXT = "# The Corran bridge\n\nThe Corran bridge is 1,204 metres long. It was opened on 3 May 1934 by Ada Brodie.\n"


@pytest.fixture
def collection(client: ApiClient) -> str:
    name = f"mcp-{next(_numbers)}"
    client.create_collection(name)
    return name


def over_http(server: RunningServer, talk: Callable[[Client], Awaitable[None]]) -> None:
    async def connect() -> None:
        async with Client(f"{server.api_url}/mcp") as client:
            await talk(client)

    asyncio.run(connect())


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    found: dict[str, Any] | None = result.structured_content
    assert found is not None
    return found


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return " ".join(part.text for part in result.content if part.type == "text")


def test_a_document_is_added_found_read_and_asked_about(
    server: RunningServer, client: ApiClient, collection: str
) -> None:
    async def talk(mcp: Client) -> None:
        tools = {tool.name: tool for tool in (await mcp.list_tools()).tools}
        assert set(tools) == {"search", "ask", "read", "list_collections", "ingest"}
        assert all(tool.description and tool.annotations for tool in tools.values())
        assert [name for name, t in tools.items() if t.annotations and not t.annotations.read_only_hint] == ["ingest"]
        replaces = tools["ingest"].annotations
        assert replaces is not None and replaces.destructive_hint, "the same name again replaces a document"

        (job,) = (await call(mcp, "ingest", collection=collection, name="bridge.md", text=TEXT))["jobs"]
        done = await asyncio.to_thread(settled, client, job["job_id"], 240.0)
        assert done["state"] == "ready"

        listed = (await call(mcp, "list_collections"))["collections"]
        assert [c["documents"] for c in listed if c["name"] == collection] == [1]

        hit = (await call(mcp, "search", query=QUESTION, collections=[collection], k=1))["hits"][0]
        assert "1,204 metres" in hit["text"]
        passage = await call(mcp, "read", doc_id=hit["doc_id"], start=hit["start"], length=hit["end"] - hit["start"])
        assert passage["text"] == hit["text"]
        whole = await call(mcp, "read", doc_id=hit["doc_id"])
        assert whole["text"] == TEXT and whole["next"] is None and whole["characters"] == len(TEXT)
        part = await call(mcp, "read", doc_id=hit["doc_id"], length=5)
        assert (part["text"], part["next"]) == (TEXT[:5], 5)

        answer = await call(mcp, "ask", question=QUESTION, collections=[collection])
        assert "1,204 metres" in answer["answer"] and answer["sentences"][0]["verdict"] == "supported"
        assert answer["citations"][0]["quote"] in TEXT
        unknown = await call(mcp, "ask", question="Who won the 1998 chess olympiad?", collections=[collection])
        assert unknown["abstained"] and unknown["reason"]

    over_http(server, talk)


def test_what_is_refused_says_why_in_the_words_of_the_api(server: RunningServer, collection: str) -> None:
    async def talk(mcp: Client) -> None:
        assert "no collection 'nowhere'" in await refusal(mcp, "search", query="x", collections=["nowhere"])
        assert "no document" in await refusal(mcp, "read", doc_id="d0123")
        assert "Not Found" in await refusal(mcp, "read", doc_id="../collections")
        assert "either url, or name and text" in await refusal(mcp, "ingest", collection=collection, name="a.md")
        assert "either url, or name and text" in await refusal(
            mcp, "ingest", collection=collection, url="https://example.org/", text="x"
        )
        assert "unknown strategy 'magic'" in await refusal(
            mcp, "ask", question=QUESTION, collections=[collection], strategy="magic"
        )
        # A page on this machine's own network is not fetched for anybody.
        (job,) = (await call(mcp, "ingest", collection=collection, url="http://127.0.0.1:1/secret"))["jobs"]
        assert job["job_id"]

    over_http(server, talk)


def test_an_argument_that_a_tool_does_not_have_is_refused_not_left_out(server: RunningServer, collection: str) -> None:
    """A search of one collection, asked for by a name that is not the argument's, would be a search of all."""

    async def talk(mcp: Client) -> None:
        listed = (await mcp.list_tools()).tools
        free = [t.name for t in listed if t.input_schema.get("additionalProperties") is not False]
        assert free == ["list_collections"], "which has none that could be named otherwise"
        said = await refusal(mcp, "search", query="x", collection=collection)
        assert said == "search has no 'collection': it has query, collections, k"
        assert "ask has no 'collection', 'limit': it has question" in await refusal(
            mcp, "ask", question=QUESTION, collection=collection, limit=1
        )
        assert (await call(mcp, "list_collections", random_string="dummy"))["collections"], "as some clients call it"
        assert "read has no 'ctx'" in await refusal(mcp, "read", doc_id="d", ctx=None)

    over_http(server, talk)


def test_a_page_of_another_host_cannot_reach_it(server: RunningServer) -> None:
    import httpx

    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    headers = {"Accept": "application/json, text/event-stream"}
    foreign = httpx.post(f"{server.api_url}/mcp", json=body, headers={**headers, "Host": "evil.example"})
    assert foreign.status_code == 421
    crossing = httpx.post(f"{server.api_url}/mcp", json=body, headers={**headers, "Origin": "https://evil.example"})
    assert crossing.status_code == 403


def test_a_client_speaks_to_the_running_server_over_stdio(server: RunningServer, collection: str) -> None:
    async def talk() -> None:
        command = ["-m", "app.cli", "mcp", "--data-dir", str(server.data_dir)]
        transport = stdio_client(StdioServerParameters(command=sys.executable, args=command, cwd=str(REPO)))
        async with Client(transport) as mcp:
            names = [c["name"] for c in (await call(mcp, "list_collections"))["collections"]]
            assert collection in names

    asyncio.run(talk())


@pytest.mark.slow
def test_without_a_server_the_command_is_one_itself(tmp_path: Path, model_cache: Path) -> None:
    async def talk() -> None:
        command = ["-m", "app.cli", "mcp", "--data-dir", str(tmp_path / "data")]
        transport = stdio_client(StdioServerParameters(command=sys.executable, args=command, cwd=str(REPO)))
        async with Client(transport) as mcp:
            assert (await call(mcp, "list_collections"))["collections"] == []

    asyncio.run(talk())
