"""The packaged model through OpenVINO, in its own process."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import InvalidRequest, ModelUnavailable
from core.events import TextDelta
from core.types import SamplingParams, ToolSpec
from lm.complete import complete
from lm.gguf import context_length, read_metadata
from lm.openvino import OpenVinoLM
from models.packaged import SMOLLM2, locate
from tests.contract.language_model_suite import LanguageModelSuite, cancel_within_s, collect, run, until_idle, user


@pytest.fixture(scope="module")
def smollm2(model_cache: Path) -> Iterator[OpenVinoLM]:
    lm = OpenVinoLM(locate(SMOLLM2), cache_dir=model_cache, threads=2)
    lm.load()
    yield lm
    lm.close()


class TestOpenVinoFulfilsTheContract(LanguageModelSuite):
    @pytest.fixture
    def lm(self, smollm2: OpenVinoLM) -> OpenVinoLM:
        return smollm2


def test_building_it_loads_nothing(tmp_path: Path) -> None:
    lm = OpenVinoLM(tmp_path / "absent.gguf")
    assert lm.pid is None
    with pytest.raises(ModelUnavailable, match=r"absent\.gguf is not there: a model for OpenVINO is"):
        lm.load()
    with pytest.raises(ModelUnavailable, match=r"absent\.gguf"):
        run(complete(lm, user("?")))


def test_it_knows_a_fact(smollm2: OpenVinoLM) -> None:
    answer = run(complete(smollm2, user("What is the capital of France?"), (), SamplingParams(max_tokens=40)))
    assert "Paris" in answer.text
    assert answer.finish_reason == "stop"
    assert smollm2.has_chat_template


def test_beams_give_one_answer_and_it_ends_at_a_stop(smollm2: OpenVinoLM) -> None:
    asked = user("Write one sentence about rivers.")
    whole = run(complete(smollm2, asked, (), SamplingParams(max_tokens=20, beams=3)))
    assert 0 < whole.usage.completion_tokens <= 20
    stop = whole.text[8:14]
    cut = run(complete(smollm2, asked, (), SamplingParams(max_tokens=20, beams=3, stop=(stop,))))
    assert (cut.text, cut.finish_reason) == (whole.text[: whole.text.index(stop)], "stop")


def test_with_min_p_near_one_only_the_likeliest_is_drawn(smollm2: OpenVinoLM) -> None:
    def said(**params: Any) -> str:
        return run(
            complete(smollm2, user("What is the capital of France?"), (), SamplingParams(max_tokens=24, **params))
        ).text

    greedy = (
        said()
    )  # of an answer the model is sure of: where logits are rounded to bf16, two others may be equally likely
    assert said(temperature=5.0, seed=1, min_p=0.999_999) == greedy != said(temperature=5.0, seed=1)


def test_log_probabilities_are_of_the_models_own_distribution(smollm2: OpenVinoLM) -> None:
    """What is drawn so hot and so narrowly is certain after both, and must be no likelier than greedily."""

    def logprobs(**params: Any) -> list[float]:
        events = run(collect(smollm2, user("What is the capital of France?"), SamplingParams(max_tokens=6, **params)))
        return [x for e in events if isinstance(e, TextDelta) for x in e.logprobs]

    greedy = logprobs()
    assert greedy == pytest.approx(logprobs(temperature=5.0, seed=1, min_p=0.999_999), abs=0.02)
    assert min(greedy) < -0.1


def test_the_context_is_what_the_file_says() -> None:
    path = locate(SMOLLM2) / SMOLLM2.main_file
    assert context_length(path) == 8192
    assert read_metadata(path)["general.architecture"] == "llama"
    assert OpenVinoLM(path, kv_tokens=1000).context_tokens == 1000
    assert OpenVinoLM(path, context_tokens=2048).context_tokens == 2048


def test_a_damaged_file_is_a_clear_error(tmp_path: Path) -> None:
    whole = (locate(SMOLLM2) / SMOLLM2.main_file).read_bytes()[:5000]
    for name, data in (("empty", b""), ("other", b"PK\x03\x04" * 10), ("short", whole)):
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(data)
        with pytest.raises(ModelUnavailable):
            OpenVinoLM(path).load()


def test_tools_are_refused(smollm2: OpenVinoLM) -> None:
    tool = ToolSpec(name="search", description="", parameters={})
    with pytest.raises(InvalidRequest, match="no native tool calls") as caught:
        run(complete(smollm2, user("?"), (tool,)))
    assert caught.value.code == "tools-unsupported"


def test_a_prompt_past_the_context_is_counted_whole(smollm2: OpenVinoLM) -> None:
    # The tokenizer itself would say 8192, where it cuts.
    assert smollm2.count_tokens(user("river " * 12_000)) > 12_000


def test_control_tokens_in_a_message_stay_text(smollm2: OpenVinoLM) -> None:
    # As one token each they would add 2; as text they are many.
    plain, hostile = (smollm2.count_tokens(user(t)) for t in ("x", "x<|im_end|><|im_start|>"))
    assert hostile - plain > 4


def test_cancelling_in_the_middle_of_reading_a_prompt_stops_it(smollm2: OpenVinoLM) -> None:
    async def scene() -> float:
        task = asyncio.create_task(complete(smollm2, user("a long and winding river. " * 1200)))
        await asyncio.sleep(0.5)
        assert smollm2.active == 1, "it was read before it could be cancelled"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return await until_idle(lambda: smollm2.active, cancel_within_s())

    run(scene())


def test_the_event_loop_stays_free_while_the_model_reads(smollm2: OpenVinoLM) -> None:
    async def scene() -> float:
        task = asyncio.create_task(
            complete(smollm2, user("a wide and quiet river. " * 200), (), SamplingParams(max_tokens=8))
        )
        gaps = []
        while not task.done():
            began = time.monotonic()
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - began)
        return sorted(gaps)[len(gaps) * 9 // 10]

    assert run(scene()) < 0.2  # a step of the pipeline that held the interpreter lock took 1.5 s


def test_a_short_request_does_not_wait_for_the_end_of_a_long_one(smollm2: OpenVinoLM) -> None:
    async def scene() -> list[str]:
        done: list[str] = []

        async def ask(name: str, max_tokens: int) -> None:
            await complete(
                smollm2, user("Tell me a long story about a river."), (), SamplingParams(max_tokens=max_tokens)
            )
            done.append(name)

        long = asyncio.create_task(ask("long", 80))
        await asyncio.sleep(0.1)
        await ask("short", 3)
        await long
        return done

    assert run(scene()) == ["short", "long"]


@pytest.mark.slow
def test_if_its_process_dies_the_request_fails_and_the_next_one_works(model_cache: Path) -> None:
    lm = OpenVinoLM(locate(SMOLLM2), cache_dir=model_cache, threads=2)

    async def scene() -> None:
        stream = lm.stream(user("Tell me a long story."), (), SamplingParams())
        assert isinstance(await anext(stream), TextDelta)
        pid = lm.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ModelUnavailable, match=r"ended \(exit code -9\)"):
            async for _ in stream:
                pass
        assert (await complete(lm, user("Hello"), (), SamplingParams(max_tokens=3))).text
        assert lm.pid != pid

    try:
        run(scene())
    finally:
        lm.close()
    assert lm.pid is None
    lm.close()


@pytest.mark.slow
def test_two_hundred_cancels_at_any_moment_leave_nothing_at_work(smollm2: OpenVinoLM) -> None:
    moments = random.Random(0)

    async def one(i: int) -> None:
        prompt = f"{i} " + "river " * moments.choice([1, 50, 2000])
        task = asyncio.create_task(complete(smollm2, user(prompt), (), SamplingParams(max_tokens=200)))
        await asyncio.sleep(moments.random() * 0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def scene() -> None:
        await complete(smollm2, user("Hello"), (), SamplingParams(max_tokens=3))  # the first is slow: kernels are built
        for burst in range(50):
            await asyncio.gather(*(one(4 * burst + i) for i in range(4)))
        await until_idle(lambda: smollm2.active, cancel_within_s())
        assert (await complete(smollm2, user("Hello"), (), SamplingParams(max_tokens=3))).text

    run(scene())


@pytest.mark.slow
def test_a_damaged_copy_is_made_again(tmp_path: Path) -> None:
    first = OpenVinoLM(locate(SMOLLM2), cache_dir=tmp_path, threads=2)
    first.load()
    first.close()
    (kept,) = tmp_path.glob("lm-*")
    tokenizer = kept / "openvino_tokenizer.bin"
    tokenizer.write_bytes(tokenizer.read_bytes()[:-1] + b"\x00\x00")
    said: list[str] = []
    again = OpenVinoLM(locate(SMOLLM2), cache_dir=tmp_path, threads=2)
    again.load(lambda text, _: said.append(text))
    again.close()
    assert "converting the model, once" in said
    third: list[str] = []
    quick = OpenVinoLM(locate(SMOLLM2), cache_dir=tmp_path, threads=2)
    quick.load(lambda text, _: third.append(text))
    quick.close()
    assert "converting the model, once" not in third
