"""What servers can do is found out: forms and tools, heeded, left unheeded or refused."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest

from core.errors import InvalidRequest, ModelUnavailable
from core.json_replies import Heard, Shape, again, ask_json
from core.protocols import calls_tools, constrains, structures
from core.types import Message, SamplingParams, ToolSpec
from lm.complete import complete
from lm.openai import OpenAICompatibleLM
from tests.contract.language_model_suite import run, user
from tests.support.model_server import ModelServer, serving

FORM = "(yes|no), (lakes|rivers|seas)"
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"water": {"enum": ["river-7", "lake-8"]}},
        "required": ["water"],
        "additionalProperties": False,
    }
)
TOOL = ToolSpec(name="search", description="finds", parameters={"type": "object", "properties": {}})


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(ModelServer(words=["w0 ", "w1 "])) as running:
        yield running


class Town(NamedTuple):
    name: str


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


def replied(lm: OpenAICompatibleLM, *, max_tokens: int = 40) -> str:
    return run(complete(lm, user("?"), (), SamplingParams(schema=SCHEMA, max_tokens=max_tokens))).text


def schemas_asked(server: ModelServer) -> list[bool]:
    return ["response_format" in body for body in server.requests]


def test_a_schema_is_asked_for_as_every_server_reads_it(server: ModelServer) -> None:
    server.schemas = "heed"
    lm = OpenAICompatibleLM(server.base_url)
    assert json.loads(replied(lm)) == {"water": "lake-8"}
    assert structures(lm) and lm.abilities.schema
    wanted = {"name": "reply", "schema": json.loads(SCHEMA), "strict": True}
    assert server.requests[0]["response_format"] == {"type": "json_schema", "json_schema": wanted}
    said(lm, "")
    assert schemas_asked(server) == [True, False]


def test_a_server_that_leaves_a_schema_unheeded_is_found_out(server: ModelServer) -> None:
    lm = OpenAICompatibleLM(server.base_url)
    assert replied(lm) == "w0 w1 "
    assert not structures(lm)
    replied(lm)
    assert schemas_asked(server) == [True, False]


def test_a_server_that_refuses_a_schema_answers_without_it(server: ModelServer) -> None:
    server.schemas = "refuse"
    lm = OpenAICompatibleLM(server.base_url)
    assert replied(lm) == "w0 w1 "
    assert not structures(lm)
    assert replied(lm) == "w0 w1 " and not schemas_asked(server)[-1]
    assert lm.logprobs  # the one was not taken for the other


def test_a_server_that_refuses_one_schema_after_it_heeded_another_is_still_answered_by(server: ModelServer) -> None:
    server.schemas = "heed"
    lm = OpenAICompatibleLM(server.base_url)
    replied(lm)
    server.schemas = "refuse"
    assert replied(lm) == "w0 w1 "


def test_a_reply_that_was_cut_off_says_nothing_against_the_server(server: ModelServer) -> None:
    server.schemas = "heed"
    lm = OpenAICompatibleLM(server.base_url)
    assert replied(lm, max_tokens=2) == '{"water"'
    assert structures(lm) and lm.abilities.schema is None


@pytest.mark.parametrize(
    ("schemas", "reply", "value", "asked"),
    [
        ("heed", '{"water": "lake-8"}', "lake-8", 1),
        ("ignore", "It is a lake.", None, 3),
        ("refuse", 'Of course: {"water": "lake-8"}', "lake-8", 1),
        ("heed", '{"water": "la', None, 3),  # cut off, though the server says that it is whole
    ],
)
def test_a_reply_of_any_server_is_of_the_schema_or_is_none(
    server: ModelServer, schemas: str, reply: str, value: str | None, asked: int
) -> None:
    server.schemas, server.of_schema = schemas, reply  # type: ignore[assignment]
    server.words = [f"{w} " for w in reply.split()]
    lm = OpenAICompatibleLM(server.base_url)

    async def ask(messages: Sequence[Message], params: SamplingParams) -> str:
        return (await complete(lm, messages, (), params)).text

    heard: Heard[Town] = run(
        ask_json(
            Shape(json.loads(SCHEMA)), lm, lambda t: user(again("?", t)), lambda found: Town(found["water"]), ask,
            SamplingParams(max_tokens=40),
        )
    )  # fmt: skip
    assert (heard.value and heard.value.name, heard.asked) == (value, asked)


class TestWhatIsFoundOutAtTheStart:
    def test_all_is_known_of_a_server_that_can_do_all(self, server: ModelServer) -> None:
        server.forms = server.schemas = "heed"
        server.formed, server.of_schema = "water-7", '{"water": "lake-8"}'
        lm = OpenAICompatibleLM(server.base_url)
        lm.load()
        lm.probe()
        assert lm.abilities.told() == (
            "tool calls: yes, JSON by schema: yes, text by form: yes, log-probabilities: yes, the same text for a seed: yes, "
            "thinks first: no"
        )
        assert len(server.requests) == 6
        assert sum(body["max_tokens"] for body in server.requests) < 200, "it is to cost next to nothing"

    def test_and_of_one_that_can_do_nothing(self, server: ModelServer) -> None:
        server.logprobs, server.forms, server.schemas = "refuse", "refuse", "ignore"
        server.calls_tools = server.seeded = False
        lm = OpenAICompatibleLM(server.base_url)
        lm.probe()
        assert lm.abilities.told().count(": no") == 6
        assert not (constrains(lm) or structures(lm) or calls_tools(lm))

    def test_a_model_that_thinks_is_known_and_has_room_for_what_comes_after(self, server: ModelServer) -> None:
        server.extra_deltas = [{"reasoning_content": "They want a greeting."}]
        lm = OpenAICompatibleLM(server.base_url)
        lm.probe()
        assert lm.abilities.thinks
        assert [body["max_tokens"] for body in server.requests][:4] == [32, 544, 544, 513]

    def test_a_server_that_is_not_there_is_waited_for_or_named(self) -> None:
        with serving(ModelServer()) as server:
            pass
        lm = OpenAICompatibleLM(server.base_url, backoff_s=0.01)
        with pytest.raises(ModelUnavailable, match="lm_base_url"):
            lm.probe()
        waiting = threading.Thread(target=lm.probe, kwargs={"wait": True})
        waiting.start()
        lm.close()
        waiting.join(10)
        assert not waiting.is_alive()
        assert lm.abilities.told().count("not known") == 6


def test_a_server_that_went_away_may_come_again_with_other_options() -> None:
    with serving(ModelServer(calls_tools=False)) as server:
        lm = OpenAICompatibleLM(server.base_url, max_attempts=1)
        lm.probe()
        assert not calls_tools(lm)
    with pytest.raises(ModelUnavailable):
        said(lm, "")
    assert calls_tools(lm) and lm.abilities.told().count("not known") == 6


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


class TestAThoughtThatTheTemplateOpened:
    """DeepSeek-R1, QwQ and Qwen3-Thinking behind a server without a parser of thoughts: the answer begins within one."""

    @staticmethod
    def thinking(server: ModelServer, n_words: int, answer: str = "Hello.") -> str:
        thought = [f"t{i} " for i in range(n_words)]
        server.words = [*thought, "</thi", "nk>\n\n", answer]
        return "".join(thought).strip()

    @pytest.mark.parametrize("n_words", [5, 100])
    def test_is_no_part_of_any_answer_after_the_probe(self, n_words: int, server: ModelServer) -> None:
        thought = self.thinking(server, n_words)
        lm = OpenAICompatibleLM(server.base_url)
        lm.probe()
        assert lm.thinks and lm.abilities.thinks
        answer = run(complete(lm, user("?"), (), SamplingParams(max_tokens=8)))
        assert (answer.text, answer.thought, answer.finish_reason) == ("Hello.", thought, "stop")

    def test_is_in_the_first_answer_alone_of_a_server_that_was_not_asked_before(self, server: ModelServer) -> None:
        thought = self.thinking(server, 3)
        lm = OpenAICompatibleLM(server.base_url)
        said = [run(complete(lm, user("?"), (), SamplingParams(max_tokens=50))) for _ in range(2)]
        assert [s.text for s in said] == [f"{thought} </think>\n\nHello.", "Hello."]
        assert said[1].thought == thought

    def test_is_not_looked_for_where_a_form_leaves_no_room_for_one(self, server: ModelServer) -> None:
        self.thinking(server, 3)
        server.forms, server.formed = "heed", "water-7"
        lm = OpenAICompatibleLM(server.base_url)
        lm.probe()
        answer = run(complete(lm, user("?"), (), SamplingParams(max_tokens=50, regex="water-(7|8)")))
        assert (answer.text, answer.thought) == ("water-7", "")

    def test_that_is_never_closed_was_the_answer_unless_it_was_cut_off(self, server: ModelServer) -> None:
        self.thinking(server, 3)
        lm = OpenAICompatibleLM(server.base_url)
        lm.probe()
        server.words = ["It ", "is ", "so. ", "END", "x"]
        params = SamplingParams(max_tokens=50, stop=("END",))
        answer = run(complete(lm, user("?"), (), params))
        assert (answer.text, answer.thought, answer.finish_reason) == ("It is so. ", "", "stop")
        server.words = [f"t{i} " for i in range(400)]
        answer = run(complete(lm, user("?"), (), SamplingParams(max_tokens=8, thought_tokens=50)))
        assert (answer.text, answer.finish_reason) == ("", "length") and answer.thought.startswith("t0 t1")

    def test_is_not_seen_where_an_answer_speaks_of_its_mark(self, server: ModelServer) -> None:
        lm = OpenAICompatibleLM(server.base_url)
        lm.probe()
        server.words = ["It ", "writes ", "</think> ", "then."]
        for _ in range(2):
            assert said(lm, "") == "It writes </think> then."
        assert lm.abilities.thinks is False
