"""Prompts are files, rendered strictly, and named by their content."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from agents.prompts import Prompts, prompt_names
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


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rag_user.j2", "{{ passages }} {{ mark }} {{ questoin }}", r"uses \{\{ questoin \}\}, which it is not given"),
        ("rag_user.j2", "{{ passages }} {{ question }}", r"does not use \{\{ mark \}\}"),
        ("rag_user.j2", "{% if %}", "is no template"),
        ("rag_sytem.j2", "Hello.", "there is no prompt 'rag_sytem.j2'"),
        ("cot_examples.json", '[{"question": "1 + 1?"}]', "is no list of examples"),
    ],
)
def test_a_prompt_that_no_strategy_could_use_is_refused_with_what_it_would_need(
    name: str, text: str, message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        Prompts({name: text}).check()


def test_every_shipped_prompt_could_stand_in_for_itself() -> None:
    shipped = Prompts()
    own = Prompts({name: shipped.source(name) for name in prompt_names()})
    own.check()
    assert own.hash(*prompt_names()) == shipped.hash(*prompt_names())


def test_an_own_prompt_that_fails_while_it_is_filled_in_is_the_persons_to_mend() -> None:
    own = Prompts({"rag_user.j2": "{{ passages.none.of.it }} {{ mark }} {{ question }}"})
    own.check()
    with pytest.raises(InvalidRequest, match=r"rag_user\.j2, or a part of it, cannot be filled in"):
        own.render("rag_user.j2", passages=[], mark="M", question="?")


def test_an_own_prompt_cannot_reach_into_the_program() -> None:
    own = Prompts({"decompose_user.j2": "{{ question.__class__.__mro__ }}"})
    with pytest.raises(InvalidRequest, match="unsafe"):
        own.render("decompose_user.j2", question="?")
