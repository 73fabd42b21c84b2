"""Requests that begin alike, in the process that owns the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lm.openvino_engine import Engine
from lm.openvino_load import STEP_TOKENS, build_pipeline, find_model
from models.packaged import SMOLLM2, locate

PARAMS = {
    "max_tokens": 4,
    "stop": [],
    "repetition_penalty": 1.0,
    "beams": 1,
    "temperature": 0.0,
    "regex": "",
    "top_p": 1.0,
    "min_p": 0.0,
    "top_k": 0,
    "seed": None,
}
LONG = "Rivers run to the sea, and the sea is not full. " * 30  # some 400 tokens: four steps


@pytest.fixture(scope="module")
def pipeline(model_cache: Path) -> Any:
    return build_pipeline(find_model(locate(SMOLLM2)), model_cache, 8192, 2, lambda *_: None, STEP_TOKENS)


class Heard(list[Mapping[str, Any]]):
    def who(self, event: str) -> list[int]:
        return [said["id"] for said in self if said["event"] == event]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def engine(pipeline: Any, heard: Heard) -> Any:
    engine = Engine(pipeline, "SmolLM2", 2048, heard.append)
    yield engine
    engine.close()


def ask(engine: Engine, number: int, prompt: str, **params: Any) -> None:
    messages = [{"role": "user", "content": prompt}]
    engine.handle({"op": "generate", "id": number, "messages": messages, "params": {**PARAMS, **params}})


def steps_until(engine: Engine, heard: Heard, event: str, numbers: set[int]) -> int:
    steps = 0
    while not numbers <= set(heard.who(event)):
        engine.step()
        steps += 1
        assert steps < 200
    return steps


def test_prompts_that_begin_alike_are_read_once(engine: Engine, heard: Heard) -> None:
    ask(engine, 0, f"First. {LONG}")
    alone = steps_until(engine, heard, "done", {0})
    assert alone > len(LONG.split()) // STEP_TOKENS
    for number in (1, 2, 3, 4):
        ask(engine, number, f"Second. {LONG}", max_tokens=8)
    assert steps_until(engine, heard, "text", {1}) <= alone
    # The others had waited; their prompts are in the cache but for the last block each, so one step reads them all.
    assert steps_until(engine, heard, "text", {2, 3, 4}) <= 3
    steps_until(engine, heard, "done", {1, 2, 3, 4})


def test_other_prompts_do_not_wait(engine: Engine, heard: Heard) -> None:
    ask(engine, 0, f"Third. {LONG}")
    ask(engine, 1, f"Third. {LONG}")
    ask(engine, 2, "Hello")
    steps_until(engine, heard, "done", {0, 1, 2})
    assert heard.who("text").index(2) < heard.who("text").index(1)


def test_one_that_waits_is_let_in_when_the_one_before_is_cancelled(engine: Engine, heard: Heard) -> None:
    ask(engine, 0, f"Fourth. {LONG}")
    ask(engine, 1, f"Fourth. {LONG}")
    engine.step()
    engine.handle({"op": "cancel", "id": 0})
    steps_until(engine, heard, "done", {1})
    assert heard.who("cancelled") == [0] and not engine.busy


def test_one_that_waits_can_be_cancelled(engine: Engine, heard: Heard) -> None:
    ask(engine, 0, f"Fifth. {LONG}")
    ask(engine, 1, f"Fifth. {LONG}")
    engine.handle({"op": "cancel", "id": 1})
    steps_until(engine, heard, "done", {0})
    assert heard.who("cancelled") == [1] and heard.who("text").count(1) == 0 and not engine.busy


def test_nobody_waits_for_beams_which_say_nothing_until_they_end(engine: Engine, heard: Heard) -> None:
    ask(engine, 0, f"Sixth. {LONG}", beams=2, max_tokens=30)
    ask(engine, 1, f"Sixth. {LONG}")
    steps_until(engine, heard, "done", {0, 1})
    assert heard.who("done") == [1, 0]
