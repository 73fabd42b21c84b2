"""What servers can do is found out: forms and tools, heeded, left unheeded or refused."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from core.errors import InvalidRequest
from core.protocols import calls_tools, constrains
from core.types import SamplingParams, ToolSpec
from lm.complete import complete
from lm.openai import OpenAICompatibleLM
from tests.contract.language_model_suite import run, user
from tests.support.model_server import ModelServer, serving

FORM = "(yes|no), (lakes|rivers|seas)"
TOOL = ToolSpec(name="search", description="finds", parameters={"type": "object", "properties": {}})


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(ModelServer(words=["w0 ", "w1 "])) as running:
        yield running


def said(lm: OpenAICompatibleLM, regex: str = FORM, *, max_tokens: int = 20) -> str:
    return run(complete(lm, user("?"), (), SamplingParams(regex=regex, max_tokens=max_tokens))).text


def forms_asked(server: ModelServer) -> list[bool]:
    assert all(("regex" in body) == ("structured_outputs" in body) for body in server.requests)
    return ["regex" in body for body in server.requests]


def test_a_form_is_asked_for_in_the_words_of_vllm_and_of_sglang(server: ModelServer) -> None:
    server.forms = "heed"
    lm = OpenAICompatibleLM(server.base_url)
    assert constrains(lm)  # as far as is known
    assert re.fullmatch(FORM, said(lm))
    assert constrains(lm)
    assert server.requests[0]["structured_outputs"] == {"regex": FORM}
    assert server.requests[0]["regex"] == FORM
    said(lm, "")
    assert forms_asked(server) == [True, False]


def test_a_server_that_leaves_a_form_unheeded_is_found_out_and_not_asked_again(server: ModelServer) -> None:
    lm = OpenAICompatibleLM(server.base_url)
    assert said(lm) == "w0 w1 "  # whoever asked checks it
    assert not constrains(lm)
    said(lm)
    assert forms_asked(server) == [True, False]


@pytest.mark.parametrize(("words", "heeded"), [(["yes", ", ", "ri"], True), (["yes", ", ", "la", "mp"], False)])
def test_an_answer_that_was_cut_off_may_still_be_the_beginning_of_its_form(
    server: ModelServer, words: list[str], heeded: bool
) -> None:
    server.words = words
    lm = OpenAICompatibleLM(server.base_url)
    said(lm, max_tokens=len(words))
    assert constrains(lm) == heeded


@pytest.mark.parametrize("logprobs", ["give", "refuse"])
def test_a_server_that_refuses_a_form_answers_without_it(server: ModelServer, logprobs: str) -> None:
    server.forms, server.logprobs = "refuse", logprobs  # type: ignore[assignment]
    lm = OpenAICompatibleLM(server.base_url)
    assert said(lm) == "w0 w1 "
    assert not constrains(lm)
    before = len(server.requests)
    said(lm)
    said(lm)
    assert not any(forms_asked(server)[before:])
    assert lm.logprobs == (logprobs == "give")  # the one was not taken for the other


def test_a_server_without_tool_calls_is_found_out_and_the_fix_is_named(server: ModelServer) -> None:
    server.calls_tools = False
    lm = OpenAICompatibleLM(server.base_url)
    assert calls_tools(lm)
    with pytest.raises(InvalidRequest, match="--enable-auto-tool-choice --tool-call-parser") as caught:
        run(complete(lm, user("?"), (TOOL,), SamplingParams(max_tokens=4)))
    assert caught.value.code == "tools-unsupported"
    assert len(server.requests) == 1, "it was tried again for nothing"
    assert not calls_tools(lm)
    assert said(lm, "") == "w0 w1 "
