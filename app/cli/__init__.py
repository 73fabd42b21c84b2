"""The command line: ``openbook``. Speaks to the server that holds the data directory, or is one for a moment."""

from app.cli.main import main

__all__ = ["main"]
