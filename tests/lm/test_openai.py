"""The OpenAI-compatible client against a real server over HTTP that behaves, and one that does not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from core.errors import Busy, InvalidRequest, ModelUnavailable, RetryModel, TooLarge
from core.events import TextDelta
from core.types import Message, SamplingParams, ToolCall, ToolSpec, Usage
from lm.complete import complete
from lm.openai import OpenAICompatibleLM
from lm.openai_http import data_of
from lm.openai_wire import ToolCallAssembler, usage_of
from tests.contract.language_model_suite import LanguageModelSuite, run, until_idle, user
from tests.support.model_server import ModelServer, serving

SHORT = SamplingParams(max_tokens=10)
TEN_WORDS = "w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 "


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(ModelServer()) as running:
        yield running


def client(server: ModelServer, **more: Any) -> OpenAICompatibleLM:
    return OpenAICompatibleLM(server.base_url, **{"timeout_s": 5.0, "backoff_s": 0.01, **more})


class TestAServedModelFulfilsTheContract(LanguageModelSuite):
    @pytest.fixture
    def slow_server(self) -> Iterator[ModelServer]:
        with serving(ModelServer(delay_s=0.002)) as running:
            yield running

    @pytest.fixture
    def lm(self, slow_server: ModelServer) -> OpenAICompatibleLM:
        self.server = slow_server
        lm = client(slow_server)
        lm.load()
        return lm

    def active(self, lm: OpenAICompatibleLM) -> int:
        return self.server.active


def test_load_learns_the_model_and_its_context(server: ModelServer) -> None:
    lm = client(server)
    said: list[tuple[str, float]] = []
    lm.load(lambda text, fraction: said.append((text, fraction)))
    assert lm.name == f"openai:tiny@{server.base_url}"
    assert lm.context_tokens == 4096
    assert said[-1] == ("ready", 1.0)


def test_the_sign_in_of_an_address_is_sent_and_told_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(ModelServer(sign_in="me:S3C/RET", max_model_len=64)) as server:
        address = server.base_url.replace("//", "//me:S3C%2FRET@")
        lm = OpenAICompatibleLM(address, timeout_s=5.0, backoff_s=0.01)
        said: list[str] = []
        lm.load(lambda text, _: said.append(text))
        assert run(complete(lm, user("?"), (), SHORT)).text == TEN_WORDS
        assert lm.name == f"openai:tiny@{server.base_url}"
        with pytest.raises(TooLarge) as too_long:
            run(complete(lm, user("word " * 100), (), SHORT))
        wrong = OpenAICompatibleLM(address.replace("RET", "RETRO"), timeout_s=5.0, backoff_s=0.01)
        with pytest.raises(ModelUnavailable, match="check lm_api_key") as refused:
            wrong.load()
    with pytest.raises(ModelUnavailable, match="is it running") as gone:
        lm.load()
    errors = [f"{caught.value} {caught.value.message}" for caught in (too_long, refused, gone)]
    told = "\n".join([*said, lm.name, *errors, caplog.text])
    assert "S3C" not in told and "me:" not in told


def test_a_server_that_does_not_say_its_context_leaves_it_to_the_settings(server: ModelServer) -> None:
    server.max_model_len = None
    lm = client(server, context_tokens=1234)
    lm.load()
    assert lm.context_tokens == 1234


def test_a_model_that_the_server_lacks_is_named_with_those_it_has(server: ModelServer) -> None:
    with pytest.raises(ModelUnavailable, match=r"no model 'huge': it has 'tiny' \(lm_model\)"):
        client(server, model="huge").load()


def test_a_server_that_is_not_there_is_a_clear_error() -> None:
    lm = OpenAICompatibleLM("http://127.0.0.1:9/v1", backoff_s=0.01)
    for ask in (lm.load, lambda: run(complete(lm, user("?")))):
        with pytest.raises(ModelUnavailable, match=r"no answer from the model server http://127\.0\.0\.1:9/v1"):
            ask()


def test_the_key_is_sent_and_a_wrong_one_is_named(server: ModelServer) -> None:
    server.api_key = "secret"
    assert run(complete(client(server, api_key="secret"), user("?"), (), SHORT)).text == TEN_WORDS
    with pytest.raises(ModelUnavailable, match="check lm_api_key"):
        run(complete(client(server, api_key="wrong"), user("?"), (), SHORT))


def test_only_parameters_that_are_on_are_sent(server: ModelServer) -> None:
    lm = client(server)
    run(complete(lm, user("?"), (), SHORT))
    run(complete(lm, user("?"), (), SamplingParams(max_tokens=5, temperature=0.5, top_k=3, seed=0, stop=("x",))))
    plain, full = server.requests
    always = {"model", "messages", "stream", "stream_options", "max_tokens", "temperature"}
    assert set(plain) == always | {"logprobs", "top_logprobs"}
    assert (full["temperature"], full["top_k"], full["seed"], full["stop"]) == (0.5, 3, 0, ["x"])


@pytest.mark.parametrize("fault", ["status 500", "plain-500", "status 503", "retry-after 0", "cut-before"])
def test_a_passing_fault_before_the_first_word_is_tried_again(server: ModelServer, fault: str) -> None:
    server.misbehave = [fault, fault]
    assert run(complete(client(server), user("?"), (), SHORT)).text == TEN_WORDS
    assert len(server.requests) == 3


def test_a_fault_that_stays_is_reported_after_three_attempts(server: ModelServer) -> None:
    server.misbehave = ["status 500"] * 9
    with pytest.raises(ModelUnavailable, match="answered 500: out of order"):
        run(complete(client(server), user("?"), (), SHORT))
    assert len(server.requests) == 3


def test_an_overloaded_server_is_busy_and_its_long_wait_is_passed_on(server: ModelServer) -> None:
    server.misbehave = ["retry-after 600"]
    with pytest.raises(Busy, match="slow down") as caught:
        run(complete(client(server), user("?"), (), SHORT))
    assert caught.value.retry_after_s == 600
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "says"),
    [("cut", "cut off"), ("broken-json", "not JSON"), ("error", "CUDA out of memory")],
)
def test_a_fault_in_mid_stream_is_an_error_and_nothing_is_said_twice(
    server: ModelServer, fault: str, says: str
) -> None:
    server.misbehave = [fault]

    async def scene() -> str:
        said = ""
        with pytest.raises(ModelUnavailable, match=says):
            async for event in client(server).stream(user("?"), (), SHORT):
                said += event.text if isinstance(event, TextDelta) else ""
        return said

    assert run(scene()) == "w0 w1 w2 "
    assert len(server.requests) == 1


def test_a_silent_server_is_given_up(server: ModelServer) -> None:
    server.misbehave = ["hang"] * 3
    began = time.monotonic()
    with pytest.raises(ModelUnavailable, match=r"said nothing for 0\.3 s"):
        run(complete(client(server, timeout_s=0.3), user("?"), (), SHORT))
    assert time.monotonic() - began < 3
    assert len(server.requests) == 1


def test_closing_the_stream_closes_the_connection(server: ModelServer) -> None:
    server.delay_s = 0.05

    async def scene() -> None:
        stream = client(server).stream(user("?"), (), SamplingParams(max_tokens=400))
        await anext(stream)
        assert server.active == 1
        await stream.aclose()
        await until_idle(lambda: server.active, 2.0)

    run(scene())


def test_a_server_that_ignores_stop_strings_is_stopped_all_the_same(server: ModelServer) -> None:
    server.misbehave = ["ignore-stop"]
    answer = run(complete(client(server), user("?"), (), SamplingParams(max_tokens=400, stop=("w3",))))
    assert answer.text == "w0 w1 w2 "
    assert answer.finish_reason == "stop"
    assert answer.usage.completion_tokens == 4  # pieces that came, as the count of the server was not waited for


def test_a_server_that_heeds_no_limit_is_left(server: ModelServer) -> None:
    server.misbehave = ["endless"]
    answer = run(complete(client(server), user("?"), (), SHORT))
    assert answer.finish_reason == "length" and 1_000 < len(answer.text) < 3_000
    run(until_idle(lambda: server.active, 2.0))


@pytest.mark.parametrize("fault", ["no-done", "comments"])
def test_small_liberties_with_the_protocol_are_borne(server: ModelServer, fault: str) -> None:
    server.misbehave = [fault]
    assert run(complete(client(server), user("?"), (), SHORT)).text == TEN_WORDS


def test_an_answer_that_was_not_streamed_is_read_all_the_same(server: ModelServer) -> None:
    server.misbehave = ["whole"]
    assert run(complete(client(server), user("?"), (), SHORT)).text == "not streamed"


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85"])
def test_a_mark_that_ends_a_line_elsewhere_ends_none_in_a_stream(mark: str, server: ModelServer) -> None:
    server.words, server.raw = [f"planted{mark}the ", "ø"], True
    assert run(complete(client(server), user("?"), (), SHORT)).text == f"planted{mark}the ø"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_the_standard_has_it_wherever_the_network_cuts(end: str) -> None:
    text = f'data: {{"a": "ø"}}{end}{end}: ping{end}data:[DONE]{end}data: last'
    body = text.encode()

    async def heard(size: int) -> list[str]:
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        response = httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Pieces(pieces))
        return [data async for data in data_of(response, "here")]

    for size in (1, 2, 3, 7, len(body)):
        assert run(heard(size)) == ['{"a": "ø"}', "[DONE]", "last"]


class Pieces(httpx.AsyncByteStream):
    """A body as it comes in."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


def test_a_whole_answer_that_was_cut_off_is_asked_for_again(server: ModelServer) -> None:
    server.misbehave = ["half"]
    assert run(complete(client(server), user("?"), (), SHORT)).text == TEN_WORDS
    server.misbehave = ["half"] * 9
    with pytest.raises(ModelUnavailable, match="not JSON"):
        run(complete(client(server), user("?"), (), SHORT))
    assert len(server.requests) == 2 + 3


def test_text_that_comes_in_parts_is_joined_and_a_thought_among_them_kept_apart(server: ModelServer) -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hmm"}]}
    server.extra_deltas = [
        {"content": [thought]},
        {"content": [{"type": "text", "text": "yes, "}, "so ", {"type": "image_url"}]},
    ]
    answer = run(complete(client(server), user("?"), (), SHORT))
    assert (answer.text, answer.thought) == (f"yes, so {TEN_WORDS}", "hmm")


def test_usage_is_the_servers_and_else_counted_here(server: ModelServer) -> None:
    counted = run(complete(client(server), user("a b c"), (), SHORT)).usage
    assert (counted.prompt_tokens, counted.completion_tokens) == (3 + 4, 10)
    server.with_usage = False
    guessed = run(complete(client(server), user("a b c"), (), SHORT)).usage
    assert (guessed.prompt_tokens, guessed.completion_tokens) == (2 + 8, 10)  # ⌈5 bytes / 3⌉ + 8 a message


def test_a_count_that_is_no_number_is_made_here() -> None:
    said = usage_of({"usage": {"prompt_tokens": "12", "completion_tokens": None}}, 7)
    assert said == Usage(prompt_tokens=7)
    assert usage_of({"choices": [], "usage": None}, 7) is None


def test_thinking_is_no_part_of_the_answer(server: ModelServer) -> None:
    server.extra_deltas = [
        {"reasoning_content": "hmm"},
        {"reasoning": "so"},
        {"content": "<think>x</thi"},
        {"content": "nk>\n"},
    ]
    answer = run(complete(client(server), user("?"), (), SHORT))
    assert (answer.text, answer.thought) == (
        TEN_WORDS,
        "hmmso",
    )  # what a server keeps apart goes before what it leaves in
    server.extra_deltas = server.extra_deltas[2:]
    answer = run(complete(client(server), user("?"), (), SHORT))
    assert (answer.text, answer.thought) == (TEN_WORDS, "x")


def _fragment(index: int, arguments: str, **more: Any) -> dict[str, Any]:
    function = {"arguments": arguments, **({"name": more.pop("name")} if "name" in more else {})}
    return {"tool_calls": [{"index": index, "function": function, **more}]}


SEARCH = ToolSpec(name="search", description="finds passages", parameters={"type": "object", "properties": {}})


def test_tool_calls_are_joined_from_their_fragments(server: ModelServer) -> None:
    server.words, server.finish = [], "tool_calls"
    server.extra_deltas = [
        _fragment(0, "", id="a", name="search"),
        _fragment(0, '{"query": '),
        _fragment(1, '{"page": 2}', id="b", name="read"),
        _fragment(0, '"Größe"}'),
    ]
    answer = run(complete(client(server), user("?"), (SEARCH,), SHORT))
    assert answer.tool_calls == (
        ToolCall(call_id="a", name="search", arguments={"query": "Größe"}),
        ToolCall(call_id="b", name="read", arguments={"page": 2}),
    )
    assert answer.finish_reason == "tool_calls"
    assert server.requests[0]["tools"][0]["function"]["name"] == "search"


def _call(**at: Any) -> dict[str, Any]:
    """A fragment that is a whole call, numbered and named as ``at`` has it."""
    query = at.get("id") or "nothing"
    return {"function": {"name": "search", "arguments": f'{{"query": "{query}"}}'}, **at}


@pytest.mark.parametrize(
    "deltas",
    [
        [[_call(index=0, id="a")], [_call(index=0, id="b")]],  # Ollama
        [[_call(id="a")], [_call(id="b")]],
        [[_call(index=None, id="a")], [_call(index=None, id="b")]],
        [[_call(id="a"), _call(id="b")]],
        [[_call(index=0, id="a"), _call(index=0, id="b")]],
        [
            [{"index": 0, "id": "a", "function": {"name": "search", "arguments": '{"query":'}}],
            [{"index": 0, "function": {"arguments": ' "a"'}}],
            [{"index": 0, "id": "a", "function": {"name": "search", "arguments": "}"}}],
            [{"index": 0, "id": "b", "function": {"name": "search", "arguments": '{"query": '}}],
            [{"index": 0, "id": "fresh", "function": {"arguments": '"b"}'}}],  # names nothing: goes on with the last
        ],
        [[_call(index=0, id="a", function={"name": "search", "arguments": {"query": "a"}})], [_call(index=1, id="b")]],
    ],
)
def test_calls_with_ids_of_their_own_are_several_however_they_are_numbered(
    deltas: list[list[dict[str, Any]]], server: ModelServer
) -> None:
    server.words, server.finish = [], "tool_calls"
    server.extra_deltas = [{"tool_calls": fragments} for fragments in deltas]
    answer = run(complete(client(server), user("?"), (SEARCH,), SHORT))
    assert answer.tool_calls == tuple(ToolCall(call_id=i, name="search", arguments={"query": i}) for i in ("a", "b"))


@pytest.mark.parametrize(
    "deltas",
    [
        [[_call(index=0)], [_call(index=0)]],
        [[_call(id="")], [_call(id="")]],
        [[_call(index=0)], [_call(index=0, function={"name": "search", "arguments": {"query": "nothing"}})]],
        [
            [{"index": 0, "function": {"name": "search", "arguments": '{"query":'}}],
            [{"index": 0, "function": {"name": "search", "arguments": ' "nothing"}'}}],  # the name again, and the rest
            [{"index": 0, "function": {"name": "search", "arguments": ""}}],
            [_call(index=0)],
        ],
    ],
)
def test_calls_without_ids_are_several_where_the_arguments_of_one_are_whole(deltas: list[list[dict[str, Any]]]) -> None:
    assembler = ToolCallAssembler()
    for fragments in deltas:
        assembler.feed(fragments)
    arguments = {"query": "nothing"}
    assert assembler.calls() == [ToolCall(call_id=f"call-{n}", name="search", arguments=arguments) for n in (0, 1)]


def test_another_function_without_an_id_is_another_call() -> None:
    assembler = ToolCallAssembler()
    for name in ("outline", "search"):
        assembler.feed([{"index": 0, "function": {"name": name, "arguments": ""}}])
    assert [call.name for call in assembler.calls()] == ["outline", "search"]


def test_arguments_that_are_not_json_are_for_the_model_to_mend(server: ModelServer) -> None:
    server.words, server.finish = [], "tool_calls"
    server.extra_deltas = [_fragment(0, '{"query": ', id="a", name="search")]
    with pytest.raises(RetryModel, match="'search' are not a JSON object"):
        run(complete(client(server), user("?"), (SEARCH,), SHORT))


def test_calls_and_results_go_back_in_the_history(server: ModelServer) -> None:
    call = ToolCall(call_id="a", name="search", arguments={"query": "x"})
    history = [
        *user("?"),
        Message(role="assistant", content="", tool_calls=(call,)),
        Message(role="tool", content="found", tool_call_id="a"),
    ]
    run(complete(client(server), history, (SEARCH,), SHORT))
    _, made, result = server.requests[0]["messages"]
    assert made["tool_calls"][0]["function"] == {"name": "search", "arguments": '{"query": "x"}'}
    assert result["tool_call_id"] == "a"


def test_control_tokens_in_a_message_are_sent_as_text(server: ModelServer) -> None:
    run(complete(client(server), user("a<|im_end|>"), (), SHORT))
    assert server.requests[0]["messages"][0]["content"] == "a< |im_end|>"


def test_near_the_context_the_server_counts_and_the_answer_is_shortened(server: ModelServer) -> None:
    server.max_model_len = 100
    answer = run(complete(client(server), user("word " * 90), (), SamplingParams(max_tokens=50)))
    assert "/tokenize" in server.paths
    assert server.requests[0]["max_tokens"] == 100 - (90 + 4)
    assert answer.finish_reason == "length"


def test_what_the_server_refuses_is_passed_on(server: ModelServer) -> None:
    server.misbehave = ["status 422", "status 422"]  # the second time log-probabilities are not the reason
    with pytest.raises(InvalidRequest, match="answered 422: out of order"):
        run(complete(client(server), user("?"), (), SHORT))


def test_a_server_that_refuses_the_length_by_itself_is_understood(server: ModelServer) -> None:
    lm = client(server, context_tokens=10_000)
    lm.load()
    server.max_model_len = 50  # changed after it was asked
    with pytest.raises(TooLarge, match="maximum context length is 50"):
        run(complete(lm, user("word " * 60), (), SHORT))


def test_a_hundred_streams_can_be_cancelled(server: ModelServer) -> None:
    server.delay_s = 0.01

    async def scene() -> None:
        lm = client(server)
        for burst in range(4):
            tasks = [asyncio.create_task(complete(lm, user("?"))) for _ in range(25)]
            await asyncio.sleep(0.02 * burst)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await until_idle(lambda: server.active, 2.0)

    run(scene())


class TestRoomForThoughts:
    THOUGHT = ("<think>", *(f"t{i} " for i in range(10)), "</think>")

    def asked(self, server: ModelServer) -> list[int]:
        return [body["max_tokens"] for body in server.requests]

    def test_a_model_that_turns_out_to_think_is_asked_again_with_room(self, server: ModelServer) -> None:
        server.words = [*self.THOUGHT, "yes ", "it ", "is "]
        lm = OpenAICompatibleLM(server.base_url)
        params = SamplingParams(max_tokens=2, thought_tokens=100)
        answer = run(complete(lm, user("?"), (), params))
        assert (answer.text, answer.finish_reason) == ("yes it ", "length")
        assert answer.thought.startswith("t0 t1")
        assert self.asked(server) == [2, 102]
        assert run(complete(lm, user("?"), (), params)).text == "yes it "
        assert self.asked(server) == [2, 102, 102]

    def test_a_thought_that_the_server_keeps_apart_counts_as_one(self, server: ModelServer) -> None:
        server.extra_deltas = [{"reasoning_content": f"t{i} "} for i in range(10)]
        lm = OpenAICompatibleLM(server.base_url)
        lm.abilities.thinks = True
        answer = run(complete(lm, user("?"), (), SamplingParams(max_tokens=2, thought_tokens=100)))
        assert (answer.text, answer.finish_reason, answer.usage.completion_tokens) == ("w0 w1 ", "length", 12)
        assert self.asked(server) == [102]

    def test_a_thought_without_an_end_is_asked_for_once_more_at_most(self, server: ModelServer) -> None:
        server.words = ["<think>", *(f"t{i} " for i in range(390))]
        lm = OpenAICompatibleLM(server.base_url)
        answer = run(complete(lm, user("?"), (), SamplingParams(max_tokens=2, thought_tokens=100)))
        assert (answer.text, answer.finish_reason) == ("", "length")
        assert self.asked(server) == [2, 102]

    def test_where_it_may_be_asked_only_once_the_thought_is_the_answer(self, server: ModelServer) -> None:
        server.words = list(self.THOUGHT)
        lm = OpenAICompatibleLM(server.base_url, max_attempts=1)
        answer = run(complete(lm, user("?"), (), SamplingParams(max_tokens=2, thought_tokens=100)))
        assert (answer.text, answer.finish_reason, answer.thought) == ("", "length", "t0")

    def test_what_may_think_is_told_no_stop_strings_and_stopped_here(self, server: ModelServer) -> None:
        server.thought = ["Maria?\n\n", "Yes."]
        lm = OpenAICompatibleLM(server.base_url)
        lm.abilities.thinks = False
        for _ in range(2):
            answer = run(complete(lm, user("?"), (), SamplingParams(max_tokens=20, stop=("\n\n", "w3"))))
            assert (answer.text, answer.finish_reason, answer.thought) == ("w0 w1 w2 ", "stop", "Maria?\n\nYes.")
        assert [body.get("stop") for body in server.requests] == [["\n\n", "w3"], None, None]

    def test_what_does_not_think_is_told_them(self, server: ModelServer) -> None:
        lm = OpenAICompatibleLM(server.base_url)
        for _ in range(2):
            assert run(complete(lm, user("?"), (), SamplingParams(max_tokens=20, stop=("w3",)))).text == "w0 w1 w2 "
        assert [body.get("stop") for body in server.requests] == [None, ["w3"]]  # the first showed that it does not

    def test_one_that_does_not_think_is_asked_as_ever(self, server: ModelServer) -> None:
        lm = OpenAICompatibleLM(server.base_url)
        for _ in range(2):
            assert run(complete(lm, user("?"), (), SamplingParams(max_tokens=2, thought_tokens=100))).text == "w0 w1 "
        assert not lm.thinks
        assert self.asked(server) == [2, 2]
