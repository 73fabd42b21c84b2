"""``python -m app.ui [--server.port=8501 …]``: runs the page, and ends it when the process that started it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from app.parent import die_with_parent

DEFAULT_UPLOAD_BYTES = 100 * 2**20  # as the setting max_upload_bytes; the page's image has no settings
LARGEST = "--server.maxUploadSize"  # of a file, in MiB


def with_upload_size(arguments: list[str], environment: Mapping[str, str]) -> list[str]:
    """``arguments``, with the largest upload that the API takes where they do not say it: in a container nobody else passes it on.

    Raises:
        SystemExit: OPENBOOK_MAX_UPLOAD_BYTES is no number.
    """
    if any(argument.split("=")[0] == LARGEST for argument in arguments):
        return arguments
    said = environment.get("OPENBOOK_MAX_UPLOAD_BYTES") or str(DEFAULT_UPLOAD_BYTES)
    try:
        n_bytes = int(said)
    except ValueError:
        raise SystemExit(f"OPENBOOK_MAX_UPLOAD_BYTES is {said!r}: give a whole number of bytes") from None
    return [*arguments, f"{LARGEST}={-(-n_bytes // 2**20)}"]


def main(arguments: list[str]) -> None:
    """Runs Streamlit on ``front.py``, which has ``main.py`` within it, with ``arguments`` as its options; does not return while it serves."""
    die_with_parent()  # here: asked for in a session's own thread, the kernel would forget it with that thread
    from streamlit.web import cli

    sys.argv = ["streamlit", "run", str(Path(__file__).parent / "front.py"), *with_upload_size(arguments, os.environ)]
    cli.main()


if __name__ == "__main__":
    main(sys.argv[1:])
