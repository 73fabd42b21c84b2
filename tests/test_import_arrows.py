"""Who may import whom (DESIGN.md), read from the source, so that an arrow cannot turn around unnoticed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "models": {"core"},
    "lm": {"core", "models"},
    "retrieval": {"core", "models"},
    "ingest": {"core", "retrieval"},
    "agents": {"core", "models"},
    "eval": {"core"},
    "app": {"core", "lm", "models", "retrieval", "ingest", "agents", "eval"},
}
OURS = set(MAY_IMPORT) | {"bench", "tests", "tools"}
SOURCES = sorted(p for folder in MAY_IMPORT for p in (REPO / folder).rglob("*.py"))


def imported_modules(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.relative_to(REPO)}: write absolute imports"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(REPO)))
def test_each_file_imports_only_along_the_arrows(path: Path) -> None:
    folder = path.relative_to(REPO).parts[0]
    used = {module.split(".")[0] for module in imported_modules(path)} & OURS
    assert used - {folder} <= MAY_IMPORT[folder]


def test_the_page_talks_http_only() -> None:
    allowed = {
        "app.client",
        "app.replies",
        "app.sse",
        "app.ui",
        "app.parent",
        "app.waiting",
        "core.errors",
        "core.ids",
        "core.types",
        "core.wording",
    }
    for path in (REPO / "app" / "ui").rglob("*.py"):
        for module in imported_modules(path):
            if module.split(".")[0] in OURS and module != "app":
                assert any(module == a or module.startswith(a + ".") for a in allowed), f"{path.name} imports {module}"


def test_the_server_does_not_load_torch() -> None:
    # The idle budget of the servers leaves no room for it; the embedded profile runs on OpenVINO alone.
    code = "import sys, app.server, app.worker; print(sorted(m for m in ('torch', 'transformers') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_pickle_anywhere() -> None:
    for path in SOURCES:
        banned = {m.split(".")[0] for m in imported_modules(path)} & {
            "pickle",
            "cPickle",
            "dill",
            "joblib",
            "shelve",
            "marshal",
        }
        assert not banned, f"{path.relative_to(REPO)} imports {banned}"
