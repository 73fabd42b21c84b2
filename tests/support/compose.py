"""What Compose makes of its files, as far as it can be had without an engine: which variables a service sees in its container."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.servers import REPO


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """``${NAME:-value}``, as the shell or ``--env-file`` has NAME, or else that value."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: variables.get(found[1]) or found[2], text)


def read_env(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def variables_of_image(dockerfile: str) -> dict[str, str]:
    """Those of its last stage."""
    last = (REPO / dockerfile).read_text().rpartition("\nFROM ")[2]
    said = " ".join(line.removeprefix("ENV ") for line in last.splitlines() if line.startswith("ENV "))
    return dict(word.split("=", 1) for word in said.split())


def environment_of(
    service: Mapping[str, Any], *, own: Mapping[str, str] | None = None, variables: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What a service sees: its image's variables, over them each of its files in their order, over them its ``environment``.

    Args:
        own: what stands in ``openbook.env``; None: there is no such file.
        variables: what ``docker compose`` itself is given.
    """
    found = variables_of_image(service["build"]["dockerfile"])
    for entry in service.get("env_file", []):
        how = {"path": entry} if isinstance(entry, str) else entry
        path = interpolated(how["path"], variables or {})
        if path == "openbook.env":
            assert how["required"] is False
            found |= own or {}
        else:
            found |= read_env(REPO / path)
    return found | {k: interpolated(str(v), variables or {}) for k, v in service.get("environment", {}).items()}
