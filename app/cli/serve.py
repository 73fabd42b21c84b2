"""``openbook serve``."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.common import DataDir, say, settings_of


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (default 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the API (default 8000; 0 takes a free one).")] = None,
    ui_port: Annotated[int | None, typer.Option(help="Port of the page (default 8501; 0 takes a free one).")] = None,
    ui: Annotated[bool, typer.Option("--ui/--no-ui", help="Whether to serve the page.")] = True,
    worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Whether to process files here; else see `openbook worker`.")
    ] = True,
    profile: Annotated[str | None, typer.Option(help="embedded (default) or gpu.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Start the API, the worker and the page; Ctrl-C stops all three.

    Example: openbook serve --port 8000 --ui-port 8501
    """
    from app import serve as supervisor

    settings = settings_of(data_dir, host=host, port=port, ui_port=ui_port, profile=profile)
    raise typer.Exit(supervisor.serve(settings, ui=ui, say=say, worker=worker))
