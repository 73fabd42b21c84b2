"""Commands as a person gives them: each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.servers import REPO


def openbook(*arguments: str | Path, data_dir: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """``openbook ARGUMENTS`` to its end, without settings of this machine and, unless ``env`` says so, without a model."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBOOK_")}
    environment |= {"OPENBOOK_LM_RUNTIME": "none", "COLUMNS": "300", **env}
    command = [sys.executable, "-m", "app.cli", *map(str, arguments)]
    if data_dir is not None:
        command += ["--data-dir", str(data_dir)]
    return subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, timeout=120, check=False)


def json_of(done: subprocess.CompletedProcess[str]) -> Any:
    """The one JSON document on stdout."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
