"""What the guide says can be typed can be typed: commands and options, targets of make, routes, settings; and its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from core.settings import NOT_SETTINGS, Settings

REPO = Path(__file__).resolve().parents[1]
PAGES = [REPO / "README.md", *sorted((REPO / "docs" / "guide").glob("*.md"))]
# What the issue of a guide is to have, each a page of its own.
WANTED = {"installing", "first-collection", "agents", "evaluating", "securing", "gpu", "troubleshooting"}


def lines_of(page: Path) -> Iterator[tuple[int, str]]:
    """The lines of its blocks of code, which are indented by four, with their numbers; a line that ends in a backslash goes on."""
    pending, begun = "", 0
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if not line.startswith("    "):
            pending = ""
            continue
        begun = begun if pending else number
        pending += line.strip()
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        yield begun, pending
        pending = ""


def typed(program: str) -> list[Any]:
    """Every line of the guide in which this program is called."""
    found = []
    for page in PAGES:
        for number, line in lines_of(page):
            for part in re.split(r"\s(?:&&|\|)\s", line):
                words = re.sub(r"^\$ ", "", part.strip())
                words = re.sub(r"^(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?", "", words)
                if words.startswith(f"{program} "):
                    found.append(pytest.param(words, id=f"{page.name}:{number}"))
    return found


def words_of(line: str) -> list[str]:
    return shlex.split(line.replace("…", "X"), comments=True)


@pytest.fixture(scope="module")
def commands() -> click.Command:
    from app.cli.main import app

    return typer.main.get_command(app)


@pytest.mark.parametrize("line", typed("openbook"))
def test_a_command_of_the_guide_is_one_that_there_is(commands: click.Command, line: str) -> None:
    context, command = click.Context(commands), commands
    words = words_of(line)[1:]
    while hasattr(command, "get_command") and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]!r}"
        command, words = found, words[1:]
    own = words[: words.index("--")] if "--" in words else words
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in own:
        if word.startswith("--"):
            assert word.partition("=")[0] in known | {"--help"}, f"{line}: no option {word}"


@pytest.mark.parametrize("line", typed("make"))
def test_a_target_of_the_guide_is_one_that_there_is(line: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(), re.MULTILINE))
    assert words_of(line)[1] in targets


@pytest.mark.parametrize("line", typed("python"))
def test_a_module_of_the_guide_is_one_that_there_is(line: str) -> None:
    words = words_of(line)
    if words[1] == "-m":
        path = REPO / words[2].replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file() or path.is_dir()


@pytest.mark.parametrize("line", typed("curl"))
def test_an_address_of_the_guide_is_a_route(line: str) -> None:
    from app.api.main import create_app

    app = create_app(types.SimpleNamespace(settings=Settings()), None)  # type: ignore[arg-type]
    patterns = [re.compile("^" + re.sub(r"\{[^}]+\}", "[^/]+", path) + "$") for path in app.openapi()["paths"]]
    for word in words_of(line):
        if (found := re.match(r"https?://127\.0\.0\.1:8000(/[^?]*)", word)) and found.group(1) not in (
            "/openapi.json",
        ):
            assert any(pattern.match(found.group(1)) for pattern in patterns), word


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_variable_is_a_setting(page: Path) -> None:
    known = {*Settings.model_fields, *NOT_SETTINGS}
    for name in re.findall(r"\bOPENBOOK_([A-Z_]*[A-Z])\b", page.read_text("utf-8")):
        assert name.lower() in known or name.startswith("TEST_"), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text("utf-8"), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}, target


def _anchor(heading: str) -> str:
    """As a host of repositories makes it of a heading."""
    text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", text.strip().lower()))


def test_the_guide_has_what_a_newcomer_looks_for() -> None:
    assert {page.stem for page in PAGES} >= WANTED
    readme = (REPO / "README.md").read_text("utf-8")
    missing = [page.name for page in PAGES[1:] if f"docs/guide/{page.name}" not in readme and page.stem in WANTED]
    assert missing == [], "the README leads to them"
