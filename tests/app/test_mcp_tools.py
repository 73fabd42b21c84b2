"""Tools of a real MCP server, over stdio and over HTTP."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from mcp_types import (
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from agents.tools.outside import OutsideSession
from app.mcp_tools import McpOutside, content_of, misfits
from core.errors import InvalidRequest, ToolFailed
from core.settings import McpServer, as_environment, load_settings
from tests.support.servers import REPO

NOTES = (sys.executable, "-m", "tests.support.notes_server")
ENV = {"PYTHONPATH": str(REPO)}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = tmp_path_factory.mktemp("notes") / "notes.txt"
    process = subprocess.Popen([*NOTES, str(file), "--port", str(port)], cwd=REPO)
    url = f"http://127.0.0.1:{port}/mcp"
    for _ in range(200):
        try:
            httpx.get(url, timeout=1)
            break
        except httpx.HTTPError:
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(10)


async def looked_at(session: OutsideSession) -> None:
    effects = {s.name: s.outside_effect for s in await session.specs()}
    assert effects == {
        "notes_read_note": False, "notes_add_note": True, "notes_look_up": True, "notes_learn": False
    }  # fmt: skip
    assert (
        await session.call("notes_read_note", {"name": "trees"})
    ).content == "Note trees (short): the orchard has 412 trees."
    with pytest.raises(ToolFailed, match=r"form: 'tall' is not one of \['short', 'long'\]"):
        await session.call("notes_read_note", {"name": "trees", "form": "tall"})
    with pytest.raises(ToolFailed, match="there are notes_read_note, notes_add_note"):
        await session.call("notes_burn", {})
    await session.call("notes_learn", {})
    for _ in range(50):
        names = {s.name for s in await session.specs()}
        if "notes_forget" in names:
            break
        await asyncio.sleep(0.1)
    assert "notes_forget" in names and "notes_look_up" not in names


def test_the_tools_of_a_command_are_listed_called_and_listed_again_when_they_change(tmp_path: Path) -> None:
    async def talk() -> None:
        server = McpServer(command=(*NOTES, str(tmp_path / "notes.txt")), env=ENV)
        async with McpOutside({"notes": server}).open() as session:
            await looked_at(session)
            assert session.problems == []

    asyncio.run(talk())


@pytest.mark.slow
def test_the_tools_of_an_address_are_the_same(address: str) -> None:
    async def talk() -> None:
        async with McpOutside({"notes": McpServer(url=address)}).open() as session:
            await looked_at(session)

    asyncio.run(talk())


@pytest.mark.slow
def test_a_server_that_cannot_be_had_is_a_problem_that_is_told_and_no_more(tmp_path: Path) -> None:
    async def talk() -> None:
        servers = {
            "gone": McpServer(command=("false",)),
            "absent": McpServer(url="http://127.0.0.1:9/mcp", timeout_s=5),
            "notes": McpServer(command=(*NOTES, str(tmp_path / "n.txt")), env=ENV, tools=("read_note", "burn")),
        }
        async with McpOutside(servers).open() as session:
            assert [s.name for s in await session.specs()] == ["notes_read_note"]
            gone, absent, notes = session.problems
            assert gone.startswith("the tools of gone cannot be had")
            assert absent.startswith("the tools of absent cannot be had")
            assert notes == "notes has no tool burn: it has read_note, add_note, look_up, learn"

    asyncio.run(talk())


PICTURE = ImageContent(data="iVBORw0KGgo=", mime_type="image/png")
FILE = EmbeddedResource(resource=TextResourceContents(uri="repo://x/README.md", text="Tom Varga planted it."))
BYTES = EmbeddedResource(resource=BlobResourceContents(uri="repo://x/a.zip", blob="UEs=", mime_type="application/zip"))
LINK = ResourceLink(name="README", uri="repo://x/README.md", description="What it is")


@pytest.mark.parametrize(
    ("result", "content"),
    [
        (CallToolResult(content=[TextContent(text="one"), TextContent(text="two")]), "one\ntwo"),
        (
            CallToolResult(content=[TextContent(text="read:"), FILE]),
            "read:\nrepo://x/README.md:\nTom Varga planted it.",
        ),
        (CallToolResult(content=[LINK]), "repo://x/README.md (README: What it is)"),
        (CallToolResult(content=[BYTES]), "(repo://x/a.zip: application/zip left out)"),
        (CallToolResult(content=[], structured_content={"temp": 21, "town": "Bø"}), '{"temp": 21, "town": "Bø"}'),
        (CallToolResult(content=[PICTURE], structured_content=[1]), "(image left out)\n[1]"),
        (CallToolResult(content=[TextContent(text='{"temp": 21}')], structured_content={"temp": 21}), '{"temp": 21}'),
        (CallToolResult(content=[TextContent(text=" ")], structured_content={}), " \n{}"),
    ],
)
def test_whatever_a_tool_returns_that_can_be_read_is_read(result: CallToolResult, content: str) -> None:
    assert content_of(result) == content


def test_arguments_are_checked_by_the_whole_schema_and_nothing_is_fetched_for_it() -> None:
    nested = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer", "minimum": 1}}}}
    assert misfits(nested, {"a": [1, 2]}) == ""
    assert misfits(nested, {"a": [1, 0]}) == "a.1: 0 is less than the minimum of 1"
    with pytest.raises(ToolFailed, match="Unresolvable"):
        misfits({"properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}}, {"a": 1})
    with pytest.raises(ToolFailed, match="schema cannot be used"):
        misfits({"type": "thing"}, {})


def test_servers_are_settings_by_file_and_by_variable_and_are_no_part_of_what_is_recorded(tmp_path: Path) -> None:
    file = tmp_path / "openbook.toml"
    file.write_text('[mcp_servers.notes]\ncommand = ["notes"]\ntools = ["read"]\n', "utf-8")
    settings = load_settings(env={}, config_file=file)
    assert settings.mcp_servers == {"notes": McpServer(command=("notes",), tools=("read",))}
    assert load_settings(env=as_environment(settings)).mcp_servers == settings.mcp_servers
    assert "mcp_servers" not in settings.recorded()
    with pytest.raises(InvalidRequest, match="either command"):
        load_settings(env={"OPENBOOK_MCP_SERVERS": '{"notes": {}}'})
    with pytest.raises(InvalidRequest, match="no JSON object"):
        load_settings(env={"OPENBOOK_MCP_SERVERS": "notes"})
