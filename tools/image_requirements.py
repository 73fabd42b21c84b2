"""What each container image installs: subsets of requirements/lock.txt, with its hashes.

    .venv/bin/python tools/image_requirements.py            writes requirements/server.txt and requirements/page.txt

The page speaks HTTP and needs no models; API and worker need no page, and on a machine without a GPU neither torch nor what stands
on it. Which package needs which is read from the environment that the lock made, so run it there (`make lock` says so).
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
# What the page's own modules import; all else comes by these.
PAGE = ("httpx", "markdown-it-py", "streamlit")
# Models by name, on CUDA or not: requirements/torch.txt and the whole lock have them.
TORCH = ("torch", "sentence-transformers", "transformers", "peft")
BUILD = ("setuptools",)


def locked() -> dict[str, str]:
    """Name → its lines in the lock, hashes included."""
    text = (FOLDER / "lock.txt").read_text()
    blocks = re.split(r"\n(?=[a-zA-Z0-9])", text.strip())
    return {canonicalize_name(re.split(r"[=\[ ]", block, maxsplit=1)[0]): block for block in blocks}


def needed(roots: Iterable[str], among: dict[str, str]) -> set[str]:
    """``roots`` and all that they need, as far as it is locked: what is not, was left out of the lock on purpose."""
    found: set[str] = set()
    waiting = [(canonicalize_name(root), frozenset[str]()) for root in roots]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        if name not in among:
            continue
        found.add(name)
        try:
            declared = requires(name) or []
        except PackageNotFoundError:  # for another system or Python, says its marker
            continue
        for line in declared:
            requirement = Requirement(line)
            wanted = requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in (extras or {""})
            )
            following = (canonicalize_name(requirement.name), frozenset(requirement.extras))
            if wanted and following not in seen:
                seen.add(following)
                waiting.append(following)
    return found


def images() -> dict[str, str]:
    """File name → its text."""
    among = locked()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    declared = [canonicalize_name(Requirement(line).name) for line in project]
    without = {name: lines for name, lines in among.items() if name not in TORCH}
    server = needed([name for name in (*declared, *BUILD) if name != "streamlit"], without)
    page = needed((*PAGE, *BUILD), among)
    return {
        f"{name}.txt": "\n".join(among[package] for package in sorted(packages)) + "\n"
        for name, packages in (("server", server), ("page", page))
    }


def main() -> int:
    for name, text in images().items():
        (FOLDER / name).write_text(text)
        print(f"requirements/{name}: {len(re.findall(r'^[a-zA-Z0-9]', text, re.M))} packages of {len(locked())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
