"""Prompts are files, rendered strictly, and named by their content."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from agents.prompts import Prompts
from core.errors import InvalidRequest


def test_a_missing_variable_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        Prompts().render("rag_system.j2")


def test_the_hash_changes_with_the_prompt_and_with_what_it_includes() -> None:
    shipped = Prompts()
    other_part = Prompts({"grounding.j2": shipped.source("grounding.j2") + "- Rhyme."})
    assert shipped.hash("rag_system.j2") == Prompts().hash("rag_system.j2")
    assert shipped.hash("rag_system.j2") != other_part.hash("rag_system.j2")
    assert shipped.hash("rag_user.j2") == other_part.hash("rag_user.j2")


@pytest.mark.parametrize("name", ["nope.j2", "../run.py", "__init__.py"])
def test_an_unknown_prompt_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"rag_user\.j2"):
        Prompts().source(name)
