"""Tools of MCP servers that the settings name, over stdio or streamable HTTP (SDK 2). Part of the wiring.

A run connects when it begins and leaves when it ends: what a server keeps for one run no other sees. Each connection lives in a
task of its own, so that one that breaks takes no run with it. A tool that does not say that it only reads has an outside effect;
so has one that says that it only reads but reaches into the world (what it is asked for leaves the house), unless settings trust it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ResourceLink,
    ServerNotification,
    TextContent,
    TextResourceContents,
    Tool,
    ToolListChangedNotification,
)
from referencing import Registry
from referencing.exceptions import Unresolvable

from agents.tools.outside import OutsideSession
from core.addresses import without_sign_in
from core.errors import ToolFailed
from core.settings import McpServer
from core.types import ToolResult, ToolSpec
from core.wording import shortened

MAX_LISTED = 500  # tools of one server
_MOST_PROBLEMS = 4  # of one call's arguments that are told
_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_CLOSE_S = 5.0


class McpOutside:
    """An ``agents.tools.outside.Outside`` over ``servers``, by name."""

    def __init__(self, servers: Mapping[str, McpServer]) -> None:
        self._servers = servers

    @asynccontextmanager
    async def open(self) -> AsyncIterator[OutsideSession]:
        connections = [_Connection(name, server) for name, server in self._servers.items()]
        try:
            await asyncio.gather(*(c.start() for c in connections))
            yield _Session(connections)
        finally:
            await asyncio.gather(*(c.close() for c in connections))


class _Session:
    def __init__(self, connections: Sequence[_Connection]) -> None:
        self._connections = connections

    @property
    def problems(self) -> Sequence[str]:
        return [c.problem for c in self._connections if c.problem]

    async def specs(self) -> Sequence[ToolSpec]:
        return [spec for c in self._connections for spec in await c.specs()]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        for connection in self._connections:
            if name in connection.tools:
                return await connection.call(name, arguments)
        known = ", ".join(n for c in self._connections for n in c.tools)
        raise ToolFailed(f"there is no tool {name!r} any more: there are {known or 'none'}")


class _Connection:
    """One server, held open by a task of its own between ``start`` and ``close``."""

    def __init__(self, name: str, server: McpServer) -> None:
        self._name = name
        self._server = server
        self.problem = ""
        self.tools: dict[str, Tool] = {}
        self._client: Client | None = None
        self._changed = True
        self._ready = asyncio.Event()
        self._done = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connects, or notes in ``problem`` why it cannot."""
        self._task = asyncio.create_task(self._hold())
        try:
            async with asyncio.timeout(self._server.timeout_s):
                await self._ready.wait()
        except TimeoutError:
            self._task.cancel()
            self.problem = f"the tools of {self._name} cannot be had: no answer within {self._server.timeout_s:g} s"

    async def close(self) -> None:
        self._done.set()
        if self._task is not None:
            done, _ = await asyncio.wait([self._task], timeout=_CLOSE_S)
            if not done:
                self._task.cancel()
                await asyncio.wait([self._task], timeout=_CLOSE_S)

    async def _hold(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                client = Client(
                    await self._transport(stack),
                    read_timeout_seconds=self._server.timeout_s,
                    message_handler=self._hear,
                    cache=None,
                )
                self._client = await stack.enter_async_context(client)
                self._ready.set()
                listening = asyncio.create_task(self._listen(self._client))
                stack.callback(listening.cancel)
                await self._done.wait()
        except Exception as e:  # noqa: BLE001 (whatever a foreign server does is told, and the run goes on without it)
            self.problem = f"the tools of {self._name} cannot be had: {shortened(_words(e), 200)}"
        finally:
            self._client = None
            self._ready.set()

    async def _transport(self, stack: AsyncExitStack) -> Any:
        server = self._server
        if server.command:
            command, *arguments = server.command
            return stdio_client(StdioServerParameters(command=command, args=arguments, env=dict(server.env) or None))
        url, sign_in = without_sign_in(server.url, f"the url of mcp_servers.{self._name}")
        http = httpx2.AsyncClient(headers=dict(server.headers), auth=sign_in, timeout=server.timeout_s)
        return streamable_http_client(url, http_client=await stack.enter_async_context(http))

    async def _hear(self, message: ServerNotification | Exception) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._changed = True

    async def _listen(self, client: Client) -> None:
        """Newer servers say changes on a stream of their own; an older one, or one that will not, is not asked twice."""
        with contextlib.suppress(Exception):
            async with client.listen(tools_list_changed=True) as events:
                async for _ in events:
                    self._changed = True

    async def specs(self) -> list[ToolSpec]:
        """As they are now; asked anew if the server said that they changed. None of a server that has gone."""
        if self._client is None:
            self.tools = {}
        elif self._changed:
            self._changed = False
            try:
                self.tools = {self._named(tool.name): tool for tool in await self._listed(self._client)}
            except Exception as e:  # noqa: BLE001 (see _hold)
                self.tools = {}
                self.problem = f"the tools of {self._name} cannot be listed: {shortened(_words(e), 200)}"
        return [self._spec(name, tool) for name, tool in self.tools.items()]

    async def _listed(self, client: Client) -> list[Tool]:
        found: list[Tool] = []
        cursor: str | None = None
        for _ in range(MAX_LISTED):  # a page may be empty and yet name another
            page = await client.list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor
            if cursor is None or len(found) >= MAX_LISTED:
                break
        wanted = self._server.tools
        missing = [name for name in wanted if name not in {tool.name for tool in found}]
        if missing:
            self.problem = f"{self._name} has no tool {', '.join(missing)}: it has {', '.join(t.name for t in found)}"
        return [tool for tool in found[:MAX_LISTED] if not wanted or tool.name in wanted]

    def _named(self, tool: str) -> str:
        return _NAME.sub("_", f"{self._name}_{tool}")[:64]

    def _spec(self, name: str, tool: Tool) -> ToolSpec:
        hints = tool.annotations
        reads = hints is not None and hints.read_only_hint is True
        reaches_out = hints is not None and hints.open_world_hint is True
        return ToolSpec(
            name=name,
            description=shortened(tool.description or tool.name, 1000),
            parameters=tool.input_schema,
            outside_effect=not reads or (reaches_out and not self._server.open_world),
        )

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        tool = self.tools[name]
        if wrong := misfits(tool.input_schema, arguments):
            raise ToolFailed(f"{name}: {wrong}")
        client = self._client
        if client is None:
            raise ToolFailed(self.problem or f"{self._name} has gone")
        try:
            result = await client.call_tool(tool.name, dict(arguments))
        except (MCPError, TimeoutError, OSError, RuntimeError) as e:
            raise ToolFailed(f"{name} failed: {shortened(_words(e), 300)}") from e
        return ToolResult(call_id="", content=content_of(result), error=bool(result.is_error))


def content_of(result: CallToolResult) -> str:
    """All of a tool's result that can be read, and a word for what cannot: pictures, sound, files that are not text.

    What comes as an object as well as in words (most servers do both) is told in words alone.
    """
    parts = [_told(part) for part in result.content]
    in_words = any(part.type == "text" and part.text.strip() for part in result.content)
    if result.structured_content is not None and not in_words:
        parts.append(json.dumps(result.structured_content, ensure_ascii=False))
    return "\n".join(parts)


def _told(part: ContentBlock) -> str:
    match part:
        case TextContent():
            return part.text
        case EmbeddedResource(resource=TextResourceContents() as resource):
            return f"{resource.uri}:\n{resource.text}"
        case EmbeddedResource(resource=resource):
            return f"({resource.uri}: {resource.mime_type or 'bytes'} left out)"
        case ResourceLink():
            about = ": ".join(filter(None, (part.title or part.name, part.description)))
            return f"{part.uri} ({about})"
        case _:
            return f"({part.type} left out)"


def misfits(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """What about the arguments is not as the schema has it; empty if nothing is. Fetches no reference from anywhere.

    Raises:
        ToolFailed: the schema is none.
    """
    validator = Draft202012Validator(dict(schema), registry=Registry())
    try:
        validator.check_schema(schema)
        problems = [
            f"{'.'.join(map(str, e.path)) or 'arguments'}: {e.message}" for e in validator.iter_errors(arguments)
        ]
    except (SchemaError, Unresolvable) as e:
        raise ToolFailed(f"the tool's schema cannot be used: {shortened(_words(e), 200)}") from e
    return "; ".join(problems[:_MOST_PROBLEMS])


def _words(e: BaseException) -> str:
    while isinstance(e, BaseExceptionGroup):
        e = e.exceptions[0]
    return " ".join(str(e).split()) or type(e).__name__
