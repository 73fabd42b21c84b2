"""Several answers side by side through transformers: each is what it would be alone, and whoever leaves disturbs nobody."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from app.wiring import build_queue
from core.errors import ModelUnavailable, TooLarge
from core.events import LMDone, LMEvent, TextDelta
from core.settings import Settings
from core.types import Completion, Message, SamplingParams
from lm.complete import complete
from lm.queue import LMQueue
from lm.transformers import TransformersLM
from tests.contract.language_model_suite import cancel_within_s, run, until_idle, user
from tests.support.tiny_llama import build_llama

# Of very different lengths: the longest is read in two pieces.
QUESTIONS = ("a", "Of what is the moon?", "Tell me of rivers. " * 18, "x" * 40, "Why?", "Stones and the sea. " * 6)
KINDS: tuple[dict[str, Any], ...] = (
    {},
    {"temperature": 1.0, "seed": 3},
    {"temperature": 2.0, "top_k": 5, "seed": 3},
    {"repetition_penalty": 1.8},
    {"temperature": 0.7, "top_p": 0.9, "min_p": 0.02, "seed": 8},
    {"no_repeat_ngram": 2},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_llama(tmp_path_factory.mktemp("tiny"), context=1024)


@pytest.fixture(scope="module")
def lm(folder: Path) -> Iterator[TransformersLM]:
    lm = TransformersLM(str(folder), device="cpu")
    lm.load()
    yield lm
    lm.close()


def asked(i: int, **params: Any) -> tuple[list[Message], SamplingParams]:
    return user(QUESTIONS[i]), SamplingParams(**{"max_tokens": 6 + 4 * i, **params})


def alone(lm: TransformersLM, requests: Sequence[tuple[list[Message], SamplingParams]]) -> list[Completion]:
    return [run(complete(lm, messages, (), params)) for messages, params in requests]


def together(lm: TransformersLM, requests: Sequence[tuple[list[Message], SamplingParams]]) -> list[Completion]:
    async def scene() -> list[Completion]:
        return await asyncio.gather(*(complete(lm, messages, (), params) for messages, params in requests))

    return run(scene())


def same(found: Sequence[Completion], expected: Sequence[Completion]) -> None:
    assert [(a.text, a.finish_reason) for a in found] == [(a.text, a.finish_reason) for a in expected]
    assert [a.usage.completion_tokens for a in found] == [a.usage.completion_tokens for a in expected]


def test_greedy_answers_are_token_for_token_what_they_are_alone(lm: TransformersLM) -> None:
    requests = [asked(i) for i in range(len(QUESTIONS))]
    expected = alone(lm, requests)
    assert len({a.text for a in expected}) == len(QUESTIONS), "the answers must differ, or a mix-up would not be seen"
    same(together(lm, requests), expected)
    same(together(lm, requests[::-1]), expected[::-1])


def test_each_draws_and_penalises_by_its_own_parameters_and_seed(lm: TransformersLM) -> None:
    requests = [asked(i, **kind) for i, kind in enumerate(KINDS)]
    same(together(lm, requests), alone(lm, requests))
    twice = [asked(1, temperature=1.0, seed=3), asked(1, temperature=1.0, seed=4), asked(1, temperature=1.0, seed=3)]
    first, second, third = together(lm, twice)
    assert first.text == third.text != second.text


def test_each_ends_at_its_own_stop_string(lm: TransformersLM) -> None:
    whole = [a.text for a in alone(lm, [asked(i, max_tokens=30) for i in range(4)])]
    stops = [text[len(text) // 2 : len(text) // 2 + 3] for text in whole]
    found = together(lm, [asked(i, max_tokens=30, stop=(stop,)) for i, stop in enumerate(stops)])
    assert [a.text for a in found] == [text[: text.index(stop)] for text, stop in zip(whole, stops, strict=True)]


async def noted(lm: TransformersLM, i: int, order: list[int], **params: Any) -> str:
    """The answer; each piece of it leaves a note of when it came."""
    text = ""
    async for event in lm.stream(*_args(asked(i, **params))):
        if isinstance(event, TextDelta):
            text += event.text
            order.append(i)
    return text


def _args(request: tuple[list[Message], SamplingParams]) -> tuple[list[Message], tuple[()], SamplingParams]:
    return request[0], (), request[1]


def test_they_are_written_side_by_side_and_one_that_comes_later_joins(lm: TransformersLM) -> None:
    expected = [a.text for a in alone(lm, [asked(0, max_tokens=40), asked(1, max_tokens=40), asked(3, max_tokens=20)])]
    order: list[int] = []

    async def scene() -> list[str]:
        tasks = [asyncio.create_task(noted(lm, i, order, max_tokens=40)) for i in (0, 1)]
        while len(order) < 20:
            await asyncio.sleep(0)
        tasks.append(asyncio.create_task(noted(lm, 3, order, max_tokens=20)))
        return await asyncio.gather(*tasks)

    assert run(scene()) == expected
    last = {i: len(order) - 1 - order[::-1].index(i) for i in (0, 1, 3)}
    assert order.index(3) < min(last[0], last[1]), "it waited for the others"
    assert order.index(1) < last[0], "one was written after the other"


def test_whoever_leaves_disturbs_nobody(lm: TransformersLM) -> None:
    stay = [asked(i, max_tokens=40, **KINDS[i]) for i in (0, 1, 3)]
    expected = alone(lm, stay)

    async def leave(i: int, after: int) -> float:
        stream = cast("AsyncGenerator[LMEvent, None]", lm.stream(*_args(asked(i, max_tokens=200))))
        for _ in range(after):
            await anext(stream)
        before = lm.active
        began = time.monotonic()
        await stream.aclose()
        while lm.active >= before and before > 0:
            await asyncio.sleep(0.001)
        return time.monotonic() - began

    async def scene() -> tuple[list[Completion], list[float]]:
        answers = [asyncio.create_task(complete(lm, m, (), p)) for m, p in stay]
        left = await asyncio.gather(leave(2, 1), leave(4, 9), leave(5, 25))
        return await asyncio.gather(*answers), left

    answers, left = run(scene())
    same(answers, expected)
    assert max(left) < cancel_within_s()
    run(until_idle(lambda: lm.active, cancel_within_s()))


def test_a_prompt_that_is_given_up_while_it_is_read_disturbs_nobody(lm: TransformersLM) -> None:
    expected = alone(lm, [asked(0, max_tokens=40)])

    async def scene() -> Completion:
        answer = asyncio.create_task(complete(lm, *_args(asked(0, max_tokens=40))))
        while lm.active < 1:
            await asyncio.sleep(0)
        for _ in range(5):
            task = asyncio.create_task(complete(lm, user("river " * 150), (), SamplingParams(max_tokens=300)))
            await asyncio.sleep(0.003)
            task.cancel()
            await asyncio.wait([task])
        return await answer

    same([run(scene())], expected)
    run(until_idle(lambda: lm.active, cancel_within_s()))


def test_a_request_that_cannot_be_answered_leaves_the_others_alone(lm: TransformersLM) -> None:
    expected = alone(lm, [asked(0), asked(1)])

    async def scene() -> list[Any]:
        asks = [asked(0), (user("river " * 300), SamplingParams()), asked(1)]
        return await asyncio.gather(*(complete(lm, *_args(a)) for a in asks), return_exceptions=True)

    first, refused, last = run(scene())
    same([first, last], expected)
    assert isinstance(refused, TooLarge)


def test_what_must_be_written_alone_keeps_its_place_in_the_order(lm: TransformersLM) -> None:
    requests = [
        asked(0, max_tokens=40),
        asked(1, beams=3),
        asked(3, max_tokens=4),
        asked(4, contrast=1.0, without=tuple(user("?"))),
    ]
    expected = alone(lm, requests)
    ended: list[int] = []

    async def one(i: int) -> Completion:
        answer = await complete(lm, *_args(requests[i]))
        ended.append(i)
        return answer

    async def scene() -> list[Completion]:
        return await asyncio.gather(*(one(i) for i in range(4)))

    same(run(scene()), expected)
    assert ended == [0, 1, 2, 3]  # the third is short, but came after what is written alone


def test_no_more_than_so_many_are_written_at_once_and_the_rest_waits(folder: Path) -> None:
    lm = TransformersLM(str(folder), device="cpu", together=2)
    order: list[int] = []

    async def scene() -> None:
        await asyncio.gather(*(noted(lm, i, order, max_tokens=20) for i in (0, 1, 3, 4)))

    try:
        run(scene())
        first, second = order.index(3), order.index(4)
        assert min(first, second) > min(max(n for n, who in enumerate(order) if who == i) for i in (0, 1))
    finally:
        lm.close()


def test_a_row_joins_only_where_the_memory_is_enough_for_all_to_grow() -> None:
    import torch

    from lm.batch import Batch, Row
    from lm.choosing import Choice

    choice = Choice(SamplingParams(), torch.device("cpu"))
    batch = Batch(None, budget=300)
    assert batch.has_room(Row([1], 500, choice))  # alone a row may be longer
    batch.rows = [Row([1], 100, choice), Row([1], 80, choice)]
    assert batch.has_room(Row([1], 100, choice))  # 3 × 100
    assert not batch.has_room(Row([1], 101, choice))  # 3 × 101: all are as wide as the widest


def test_caches_that_cannot_be_laid_together_end_their_answers_and_nothing_else(folder: Path) -> None:
    from lm.batch import Batch, Row

    lm = TransformersLM(str(folder), device="cpu")
    lm.load()
    loaded = lm._load_once()
    assert loaded.batch is not None

    class Full(Batch):
        """One that has memory for one row."""

        def join(self, row: Row) -> None:
            if self.rows:
                raise RuntimeError("no memory")
            super().join(row)

    lm._loaded = replace(loaded, batch=Full(loaded.model, 100_000))

    async def scene() -> list[Any]:
        asks = [complete(lm, *_args(asked(i, max_tokens=30))) for i in (0, 1)]
        return await asyncio.wait_for(asyncio.gather(*asks, return_exceptions=True), timeout=20)

    try:
        assert all(isinstance(e, ModelUnavailable) and "no memory" in e.message for e in run(scene()))
        assert run(complete(lm, *_args(asked(0)))).text
        assert lm.active == 0
    finally:
        lm.close()


def test_closing_tells_who_is_answered_and_who_waits(folder: Path) -> None:
    lm = TransformersLM(str(folder), device="cpu", together=1)

    async def scene() -> list[Any]:
        asks = [asyncio.create_task(complete(lm, *_args(asked(i, max_tokens=900)))) for i in (0, 1)]
        while not lm.active:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(lm.close)
        return await asyncio.wait_for(asyncio.gather(*asks, return_exceptions=True), timeout=20)

    for error in run(scene()):
        assert isinstance(error, ModelUnavailable)
        assert "was closed" in error.message
    assert run(complete(lm, *_args(asked(0)))).text  # and it can be asked again
    lm.close()


def test_models_whose_caches_cannot_be_laid_side_by_side_answer_one_by_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from transformers import AutoTokenizer, MistralConfig, MistralForCausalLM

    folder = build_llama(tmp_path)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    config = MistralConfig(
        vocab_size=260, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        max_position_embeddings=512, sliding_window=16, eos_token_id=tokenizer.eos_token_id, bos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    made: Any = MistralForCausalLM(config)
    made.save_pretrained(folder)
    lm = TransformersLM(str(folder), device="cpu")
    try:
        requests = [asked(0), asked(1)]
        same(together(lm, requests), alone(lm, requests))
        assert "one answer after the other" in caplog.text
    finally:
        lm.close()


def test_angles_that_depend_on_the_longest_of_a_batch_are_noticed(folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    from lm.batch import batches

    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    assert batches(model)
    for kind in ("dynamic", "longrope"):
        model.config.rope_parameters = {**model.config.rope_parameters, "rope_type": kind}
        assert not batches(model)


def test_the_queue_lets_as_many_through_as_are_written_at_once(lm: TransformersLM) -> None:
    settings = Settings(lm_runtime="transformers", lm_model="any", lm_batch=5)
    assert build_queue(settings, lm).status().max_running == 5


def cancelled_at_random(lm: TransformersLM, n: int, seed: int) -> None:
    rng = random.Random(seed)

    async def said(queue: LMQueue, i: int, **params: Any) -> str:
        messages, sampling = asked(i, **params)
        stream = cast("AsyncGenerator[LMEvent, None]", queue.stream(messages, (), sampling))
        async with aclosing(stream):
            return "".join([e.text async for e in stream if isinstance(e, TextDelta)])

    async def work() -> None:
        queue = LMQueue(lm, max_waiting=100, max_running=8)
        before = await said(queue, 5)

        async def one(number: int) -> None:
            i = rng.randrange(len(QUESTIONS))
            params = {"beams": 2} if number % 17 == 0 else KINDS[number % len(KINDS)]
            task = asyncio.create_task(said(queue, i, max_tokens=40, **params))
            await asyncio.sleep(rng.random() ** 2 * 0.1)
            task.cancel()
            await asyncio.wait([task])

        for start in range(0, n, 12):
            await asyncio.gather(*(one(number) for number in range(start, min(n, start + 12))))
        status = queue.status()
        assert (status.running, status.waiting) == (0, 0)
        await until_idle(lambda: lm.active, cancel_within_s())
        assert await said(queue, 5) == before
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(work())


def test_sixty_cancels_at_random_leave_nothing(lm: TransformersLM) -> None:
    cancelled_at_random(lm, 60, seed=6)


@pytest.mark.slow
def test_a_thousand_cancels_at_random_leave_nothing(lm: TransformersLM) -> None:
    cancelled_at_random(lm, 1000, seed=66)


@pytest.mark.gpu
def test_on_a_gpu_thirty_two_at_once_say_what_each_says_alone(folder: Path) -> None:
    lm = TransformersLM(str(folder), device="cuda", dtype="float32", together=32)
    try:
        requests = [(user(f"{i} {QUESTIONS[i % 6]}"), SamplingParams(max_tokens=40)) for i in range(32)]
        same(together(lm, requests), alone(lm, requests))
    finally:
        lm.close()


def test_every_stream_ends_with_one_done(lm: TransformersLM) -> None:
    async def ends(i: int) -> int:
        return sum(isinstance(e, LMDone) for e in [e async for e in lm.stream(*_args(asked(i)))])

    async def scene() -> list[int]:
        return await asyncio.gather(*(ends(i) for i in range(6)))

    assert run(scene()) == [1] * 6
