"""The scripted model replays its script and records what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.errors import InvalidRequest, ModelUnavailable
from core.events import LMDone, TextDelta
from core.types import Message, SamplingParams, ToolCall, ToolSpec
from lm.complete import complete
from lm.scripted import Reply, ScriptedLM, load_script
from tests.contract.language_model_suite import LanguageModelSuite, run, user

STORY = "Once upon a time there was a river, " + " ".join(f"and it ran past town {i}" for i in range(60)) + "."


class TestScriptedFulfilsTheContract(LanguageModelSuite):
    @pytest.fixture
    def lm(self) -> ScriptedLM:
        return ScriptedLM([Reply(text=STORY, times=0, delta_delay_s=0.001)])

    def active(self, lm: ScriptedLM) -> int:
        return 0  # it computes nothing


def test_replies_come_in_order_and_each_once() -> None:
    lm = ScriptedLM(["first", Reply(text="second")])
    assert [run(complete(lm, user("?"))).text for _ in range(2)] == ["first", "second"]


def test_a_script_that_is_over_says_so_and_what_was_asked() -> None:
    lm = ScriptedLM(["only"])
    run(complete(lm, user("?")))
    with pytest.raises(InvalidRequest, match=r"1 replies and none is left for request 2.*one more") as caught:
        run(complete(lm, user("one more")))
    assert caught.value.code == "script-exhausted"


def test_it_records_messages_tools_and_parameters() -> None:
    lm = ScriptedLM(["yes"])
    tool = ToolSpec(name="search", description="finds", parameters={"type": "object"})
    params = SamplingParams(temperature=0.5)
    run(complete(lm, user("is it?"), (tool,), params))
    (asked,) = lm.asked
    assert asked.messages == tuple(user("is it?"))
    assert asked.tools == (tool,)
    assert asked.params == params


def test_a_reply_may_wait_for_a_word_in_the_prompt() -> None:
    lm = ScriptedLM([Reply(text="Lima", when="Peru"), Reply(text="Paris", when="France", times=0)])
    asked = ["Peru?", "France?", "France!"]
    assert [run(complete(lm, user(q))).text for q in ["France?", *asked]] == ["Paris", "Lima", "Paris", "Paris"]


def test_a_function_over_the_messages_may_be_the_script() -> None:
    def echo(messages: Sequence[Message]) -> str:
        return messages[-1].content.upper()

    assert run(complete(ScriptedLM(echo), user("hello there"))).text == "HELLO THERE"


def test_tool_calls_follow_the_text() -> None:
    call = ToolCall(call_id="1", name="search", arguments={"query": "x"})
    answer = run(complete(ScriptedLM([Reply(text="let me see", tool_calls=(call,))]), user("?")))
    assert answer.text == "let me see"
    assert answer.tool_calls == (call,)
    assert answer.finish_reason == "tool_calls"


def test_an_error_is_raised_after_the_text_was_said() -> None:
    async def scene() -> str:
        said = ""
        stream = ScriptedLM([Reply(text="half an", error=ModelUnavailable("gone"))]).stream(
            user("?"), (), SamplingParams()
        )
        with pytest.raises(ModelUnavailable, match="gone"):
            async for event in stream:
                said += event.text if isinstance(event, TextDelta) else ""
        return said

    assert run(scene()) == "half an"


def test_cancelling_during_the_delay_is_counted() -> None:
    async def scene() -> int:
        lm = ScriptedLM([Reply(text="late", delay_s=60)])
        task = asyncio.create_task(complete(lm, user("?")))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return lm.cancelled

    assert run(scene()) == 1


def test_an_empty_reply_is_an_empty_answer() -> None:
    events = run(_all(ScriptedLM([""])))
    assert [type(e) for e in events] == [LMDone]


async def _all(lm: ScriptedLM) -> list[object]:
    return [e async for e in lm.stream(user("?"), (), SamplingParams())]


SCRIPT = {
    "replies": [
        "plain",
        {"text": "half", "error": {"code": "busy", "message": "later"}, "when": "q2"},
        {"tool_calls": [{"name": "search", "arguments": {"query": "x"}}], "times": 0, "delay_s": 0},
    ]
}


def test_a_script_is_read_from_json(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps(SCRIPT))
    plain, half, tools = load_script(path)
    assert plain == Reply(text="plain")
    assert half.error is not None
    assert (half.text, half.when, half.error.code, half.error.message) == ("half", "q2", "busy", "later")
    assert tools.tool_calls == (ToolCall(call_id="call-0", name="search", arguments={"query": "x"}),)
    assert run(complete(ScriptedLM.from_file(path), user("?"))).text == "plain"


def test_a_script_is_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "script.toml"
    path.write_text('[[replies]]\ntext = "hello"\ntimes = 0\n')
    assert load_script(path) == [Reply(text="hello", times=0)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot read"),
        ("{}", "no replies"),
        ('{"replies": [{"txt": "x"}]}', "reply 1: unknown key 'txt'; known are text"),
        ('{"replies": ["a", {"text": 1}]}', "reply 2: text is 1"),
        ('{"replies": [{"error": {"code": "nope"}}]}', "unknown error code 'nope'; known are error, invalid-request"),
        ('{"replies": [{"finish_reason": "bored"}]}', "finish_reason is one of stop, length"),
        ('{"replies": [{"tool_calls": [{}]}]}', "a tool call is"),
        ('{"replies": [3]}', "neither a text nor an object"),
    ],
)
def test_a_script_that_is_wrong_says_where(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "script.json"
    path.write_text(text)
    with pytest.raises(InvalidRequest, match=says):
        load_script(path)


def test_a_script_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"cannot read the script .*none\.json"):
        ScriptedLM.from_file(tmp_path / "none.json")


def test_what_a_model_thinks_takes_nothing_from_what_it_may_say() -> None:
    script = [Reply(text="<think>It is a river, I think.</think> yes it is one", times=0)]
    lm = ScriptedLM(script, thinks=True)
    params = SamplingParams(max_tokens=2, thought_tokens=20)
    answer = asyncio.run(complete(lm, user("?"), (), params))
    assert (answer.text, answer.thought) == ("yes it", "It is a river, I think.")
    assert (answer.finish_reason, answer.usage.completion_tokens) == ("length", 6 + 2)
    cut = asyncio.run(
        complete(ScriptedLM(script), user("?"), (), params)
    )  # it does not say that it thinks, and gets no room
    assert (cut.text, cut.finish_reason) == ("", "length")
