"""What every LanguageModel must do. A subclass gives a fixture ``lm`` and, where its model says so, other prompts."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import AsyncGenerator, Coroutine, Sequence
from typing import Any, TypeVar, cast

import jsonschema
import pytest

from core.errors import InvalidRequest, OpenbookError, TooLarge
from core.events import LMDone, LMEvent, TextDelta, ToolCallMade
from core.protocols import LanguageModel, constrains, gives_logprobs, structures
from core.types import Completion, Message, SamplingParams
from lm.complete import complete

T = TypeVar("T")


def cancel_within_s() -> float:
    """2 s on a free machine; where others compute too, a step takes as many times longer as there are of them."""
    return 2.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def user(text: str) -> list[Message]:
    return [Message(role="user", content=text)]


async def collect(lm: LanguageModel, messages: Sequence[Message], params: SamplingParams) -> list[LMEvent]:
    return [event async for event in lm.stream(messages, (), params)]


async def until_idle(active: Any, within_s: float) -> float:
    """Seconds until ``active()`` is 0; fails after ``within_s``."""
    began = time.monotonic()
    while active():
        assert time.monotonic() - began < within_s, f"still computing {within_s} s after it was cancelled"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


class LanguageModelSuite:
    # A question that this model answers at some length, always alike when greedy.
    question = "Tell me a long story about a river."

    def active(self, lm: Any) -> int:
        """How many requests the runtime still works on."""
        return int(lm.active)

    def too_long(self, lm: LanguageModel) -> list[Message]:
        return user("river " * (lm.context_tokens + 100))

    def ask(self, lm: LanguageModel, text: str = "", **params: Any) -> Completion:
        return run(complete(lm, user(text or self.question), (), SamplingParams(**{"max_tokens": 24, **params})))

    def test_it_has_a_name_and_a_context(self, lm: LanguageModel) -> None:
        assert lm.name
        assert lm.context_tokens > 0
        assert 0 < lm.count_tokens(user("river")) < lm.count_tokens(user("river " * 50))

    def test_a_stream_ends_with_exactly_one_done(self, lm: LanguageModel) -> None:
        events = run(collect(lm, user(self.question), SamplingParams(max_tokens=24)))
        assert isinstance(events[-1], LMDone)
        assert all(isinstance(e, TextDelta | ToolCallMade) for e in events[:-1])

    def test_the_deltas_join_to_the_text_and_none_is_empty(self, lm: LanguageModel) -> None:
        events = run(collect(lm, user(self.question), SamplingParams(max_tokens=24)))
        deltas = [e.text for e in events if isinstance(e, TextDelta)]
        assert all(deltas)
        assert len(deltas) > 3, "it does not stream"
        assert "".join(deltas) == self.ask(lm).text

    def test_each_token_has_a_log_probability_where_the_runtime_says_so(self, lm: LanguageModel) -> None:
        events = run(collect(lm, user(self.question), SamplingParams(max_tokens=24)))
        given = [x for e in events if isinstance(e, TextDelta) for x in e.logprobs]
        assert all(x <= 1e-6 for x in given)
        done = events[-1]
        assert isinstance(done, LMDone)
        if gives_logprobs(lm):
            assert done.usage.completion_tokens - 2 <= len(given) <= done.usage.completion_tokens  # the end has no text
        else:
            assert not given

    def test_an_answer_is_of_the_form_that_was_asked_for_where_the_runtime_says_so(self, lm: LanguageModel) -> None:
        form = r"(yes|no), (lakes|rivers|seas)"
        said = self.ask(lm, "Lakes, rivers or seas?", regex=form, max_tokens=24)
        assert said.finish_reason in ("stop", "length")
        if constrains(lm):
            assert re.fullmatch(form, said.text)

    def test_an_answer_is_of_the_schema_that_was_asked_for_where_the_runtime_says_so(self, lm: LanguageModel) -> None:
        schema = {
            "type": "object",
            "properties": {"water": {"enum": ["lakes", "rivers"]}, "sure": {"type": "boolean"}},
            "required": ["water", "sure"],
            "additionalProperties": False,
        }
        said = self.ask(lm, "Lakes or rivers?", schema=json.dumps(schema), max_tokens=40)
        assert said.finish_reason in ("stop", "length")
        if structures(lm):
            jsonschema.validate(json.loads(said.text), schema)

    def test_a_schema_that_cannot_be_read_is_refused(self, lm: LanguageModel) -> None:
        with pytest.raises(InvalidRequest, match="schema"):
            self.ask(lm, schema='{"type": "date"}')

    def test_the_answer_has_at_most_max_tokens(self, lm: LanguageModel) -> None:
        short = self.ask(lm, max_tokens=5)
        assert short.finish_reason == "length"
        assert short.usage.completion_tokens == 5
        assert self.ask(lm, max_tokens=24).text.startswith(short.text.rstrip("�"))

    def test_a_stop_string_ends_the_answer_and_is_no_part_of_it(self, lm: LanguageModel) -> None:
        whole = self.ask(lm, max_tokens=24).text
        at = len(whole) // 2
        stop = whole[at : at + 4]
        stopped = self.ask(lm, max_tokens=24, stop=(stop,))
        assert stopped.text == whole[: whole.index(stop)]
        assert stopped.finish_reason == "stop"

    def test_a_stop_string_that_never_comes_changes_nothing(self, lm: LanguageModel) -> None:
        whole = self.ask(lm)
        # The last word, and something that does not follow it: held back to the end, then said.
        never = whole.text[-3:] + "\x00never"
        assert self.ask(lm, stop=(never,)).text == whole.text

    def test_usage_is_counted(self, lm: LanguageModel) -> None:
        usage = self.ask(lm).usage
        assert usage.prompt_tokens > 0
        assert usage.completion_tokens > 0
        assert usage.duration_s >= 0

    def test_closing_a_stream_stops_it_and_the_next_request_works(self, lm: LanguageModel) -> None:
        async def scene() -> Completion:
            stream = cast("AsyncGenerator[LMEvent, None]", lm.stream(user(self.question), (), SamplingParams()))
            await anext(stream)
            began = time.monotonic()
            await stream.aclose()
            await until_idle(lambda: self.active(lm), cancel_within_s())
            assert time.monotonic() - began < cancel_within_s()
            return await complete(lm, user(self.question), (), SamplingParams(max_tokens=4))

        assert run(scene()).text

    def test_cancelling_a_task_that_waits_for_the_first_word_stops_it(self, lm: LanguageModel) -> None:
        async def scene() -> None:
            long = user("river " * int(lm.context_tokens * 0.6) + self.question)
            task = asyncio.create_task(complete(lm, long, (), SamplingParams(max_tokens=200)))
            await asyncio.sleep(0.2)
            task.cancel()  # a model that is quick has answered by now
            await asyncio.gather(task, return_exceptions=True)
            await until_idle(lambda: self.active(lm), cancel_within_s())

        run(scene())
        assert self.ask(lm, max_tokens=4).text

    def test_four_requests_at_once_are_all_answered(self, lm: LanguageModel) -> None:
        async def scene() -> list[Completion]:
            asked = [complete(lm, user(self.question), (), SamplingParams(max_tokens=12)) for _ in range(4)]
            return await asyncio.gather(*asked)

        answers = run(scene())
        assert len(answers) == 4
        assert all(a.text and a.finish_reason == "length" for a in answers)

    def test_a_prompt_past_the_context_is_refused(self, lm: LanguageModel) -> None:
        with pytest.raises(TooLarge) as caught:
            run(complete(lm, self.too_long(lm)))
        assert caught.value.code == "prompt-too-long"
        assert str(lm.context_tokens) in caught.value.message
        assert self.ask(lm, max_tokens=4).text

    def test_any_unicode_may_be_asked(self, lm: LanguageModel) -> None:
        for text in ("Größe café 日本語 😀👩‍👩‍👧", "\x00\x07 null", "lone \ud800 surrogate", "עברית \u202e right"):
            answer = self.ask(lm, text + " " + self.question, max_tokens=8)
            answer.text.encode("utf-8")

    def test_sampling_answers_too(self, lm: LanguageModel) -> None:
        answer = self.ask(lm, temperature=0.9, top_p=0.9, top_k=40, seed=7, repetition_penalty=1.1, max_tokens=8)
        assert 0 < answer.usage.completion_tokens <= 8

    @pytest.mark.parametrize(
        "wrong", [{"temperature": -1.0}, {"top_p": 0.0}, {"top_k": -1}, {"max_tokens": 0}, {"repetition_penalty": 0.0}]
    )
    def test_a_parameter_out_of_range_is_refused_by_name(self, lm: LanguageModel, wrong: dict[str, float]) -> None:
        with pytest.raises(InvalidRequest, match=next(iter(wrong))):
            self.ask(lm, **wrong)

    def test_no_messages_is_a_clear_error(self, lm: LanguageModel) -> None:
        with pytest.raises(OpenbookError, match="no messages"):
            run(complete(lm, []))
