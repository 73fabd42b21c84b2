"""An MCP server of notes, for tests: ``python -m tests.support.notes_server FILE`` over stdio, or ``--port N`` over HTTP.

Reading is marked as such; writing is not, and appends to FILE, so that a test sees what had an effect.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from mcp.server.mcpserver import Context, MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field

READS = ToolAnnotations(read_only_hint=True)
SEARCHES_THE_WORLD = ToolAnnotations(read_only_hint=True, open_world_hint=True)


def notes_server(file: Path, more: int = 0) -> MCPServer:
    server: MCPServer = MCPServer("notes", log_level="ERROR")

    @server.tool(annotations=READS)
    def read_note(
        name: Annotated[str, Field(min_length=1, max_length=20)], form: Literal["short", "long"] = "short"
    ) -> str:
        """Reads a note of the farm by its name."""
        return f"Note {name} ({form}): the orchard has 412 trees."

    @server.tool()
    def add_note(text: str) -> str:
        """Adds a note for everybody to read."""
        with file.open("a", encoding="utf-8") as out:
            out.write(text + "\n")
        return "note was added"

    @server.tool(annotations=SEARCHES_THE_WORLD)
    def look_up(words: str) -> str:
        """Looks words up in the world."""
        with file.open("a", encoding="utf-8") as out:
            out.write(f"looked up {words}\n")
        return "nothing"

    @server.tool(annotations=READS)
    async def learn(ctx: Context) -> str:
        """Makes the server offer another tool and say so."""

        def forget(name: str) -> str:
            """Deletes a note."""
            return f"deleted {name}"

        server.add_tool(forget)
        server.remove_tool("look_up")
        await ctx.notify_tools_changed()  # servers of 2026; older ones notify the session
        await ctx.session.send_tool_list_changed()
        return "learned"

    for n in range(more):
        server.add_tool(lambda: "", name=f"spare_{n}", description=f"Spare number {n}.", annotations=READS)
    return server


def main() -> None:
    server = notes_server(Path(sys.argv[1]), int(sys.argv[3]) if len(sys.argv) > 3 and sys.argv[2] == "--more" else 0)
    if len(sys.argv) > 3 and sys.argv[2] == "--port":
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[3]))
    else:
        server.run("stdio")


if __name__ == "__main__":
    main()
