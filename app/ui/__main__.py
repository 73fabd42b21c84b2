"""``python -m app.ui [--server.port=8501 …]``: runs the page, and ends it when the process that started it ends."""

from __future__ import annotations

import sys
from pathlib import Path

from app.parent import die_with_parent


def main(arguments: list[str]) -> None:
    """Runs Streamlit on ``front.py``, which has ``main.py`` within it, with ``arguments`` as its options; does not return while it serves."""
    die_with_parent()  # here: asked for in a session's own thread, the kernel would forget it with that thread
    from streamlit.web import cli

    sys.argv = ["streamlit", "run", str(Path(__file__).parent / "front.py"), *arguments]
    cli.main()


if __name__ == "__main__":
    main(sys.argv[1:])
