"""``openbook mcp``."""

from __future__ import annotations

import asyncio

from app.cli.common import DataDir, connected


def mcp(data_dir: DataDir = None) -> None:
    """Serve the collections to other programs over MCP on stdin and stdout; a running server has the same at /mcp.

    Example: openbook mcp
    """
    # Imported here: it takes longer than most commands do.
    from app.mcp import TIMEOUT, mcp_server

    with connected(data_dir, worker=True, lm=True, announce=True) as client:
        server = mcp_server(lambda _headers, _address: client.asynchronous(TIMEOUT))
        asyncio.run(server.run_stdio_async())
