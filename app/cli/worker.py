"""``openbook worker``."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.common import DataDir, say, settings_of


def worker(
    api_url: Annotated[
        str | None,
        typer.Option("--api-url", help="Where the server is reached from here (default: as it says itself)."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Read, cut and encode files for a server that runs elsewhere with the same data directory; Ctrl-C stops.

    For containers: `openbook serve --no-worker` in one, this in others, as many as there are processors for. The data directory may be
    mounted read-only here.

    Example: openbook worker --api-url http://api:8000 --data-dir /data
    """
    from app.worker_service import work

    raise typer.Exit(work(settings_of(data_dir), api_url, say))
