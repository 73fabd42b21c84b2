"""A tiny randomly initialised Llama, made here with a tiny tokenizer, through transformers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import InvalidRequest, ModelUnavailable
from core.protocols import thinks
from core.types import SamplingParams, ToolSpec
from lm.complete import complete
from lm.transformers import TransformersLM
from tests.contract.language_model_suite import LanguageModelSuite, run, user
from tests.support.tiny_llama import TEMPLATE, build_llama


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransformersLM]:
    lm = TransformersLM(str(build_llama(tmp_path_factory.mktemp("tiny"))), device="cpu")
    lm.load()
    yield lm
    lm.close()


class TestTransformersFulfilsTheContract(LanguageModelSuite):
    @pytest.fixture
    def lm(self, tiny: TransformersLM) -> TransformersLM:
        return tiny


def test_greedy_is_what_the_model_says_by_itself(tiny: TransformersLM) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tiny.name.removeprefix("transformers:")
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer("<|user|>Hello<|end|><|assistant|>", return_tensors="pt").input_ids
    for _ in range(12):
        with torch.no_grad():
            best = model(ids).logits[0, -1].argmax()
        ids = torch.cat([ids, best.view(1, 1)], 1)
    expected = tokenizer.decode(ids[0, -12:], skip_special_tokens=True)
    assert run(complete(tiny, user("Hello"), (), SamplingParams(max_tokens=12))).text == expected


def test_the_chat_template_is_the_models_own(tiny: TransformersLM) -> None:
    assert tiny.has_chat_template
    assert tiny.count_tokens(user("abc")) == 1 + 3 + 1 + 1  # <|user|> a b c <|end|> <|assistant|>


def test_a_model_that_begins_in_thought_has_answered_nothing_before_the_thought_ends(tmp_path: Path) -> None:
    begun = TEMPLATE.replace("<|assistant|>{% endif", "<|assistant|><think>{% endif")
    lm = TransformersLM(str(build_llama(tmp_path, template=begun)), device="cpu")
    try:
        answer = run(complete(lm, user("Hello"), (), SamplingParams(max_tokens=12)))
        assert answer.text == ""
        assert answer.thought
        assert answer.usage.completion_tokens == 12
        assert thinks(lm)
        longer = run(complete(lm, user("Hello"), (), SamplingParams(max_tokens=12, thought_tokens=5)))
        assert longer.usage.completion_tokens == 12 + 5
        formed = run(complete(lm, user("Hello"), (), SamplingParams(max_tokens=12, regex="yes|no")))
        assert formed.text in ("yes", "no")  # a form has no room for a thought
    finally:
        lm.close()


def test_control_tokens_in_a_message_stay_text(tiny: TransformersLM) -> None:
    assert tiny.count_tokens(user("<|end|>")) == 3 + len("< |end|>")


def test_a_seed_repeats_and_does_not_touch_the_callers(tiny: TransformersLM) -> None:
    import torch

    params = SamplingParams(max_tokens=12, temperature=1.0, seed=3)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first, second = (run(complete(tiny, user("Hello"), (), params)).text for _ in range(2))
    assert first == second
    assert torch.equal(torch.rand(1), expected)


def test_a_base_model_gets_a_plain_prompt_and_it_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lm = TransformersLM(str(build_llama(tmp_path, template=None)), device="cpu")
    try:
        assert run(complete(lm, user("Hello"), (), SamplingParams(max_tokens=4))).text
        assert lm.has_chat_template is False
        assert "has no chat template: it is a base model" in caplog.text
        assert lm.count_tokens(user("Why?")) == len("User: Why?\n\nAssistant:")
    finally:
        lm.close()


def test_a_model_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    lm = TransformersLM(str(tmp_path / "none"))
    with pytest.raises(ModelUnavailable, match=r"cannot load .*none"):
        lm.load()
    with pytest.raises(ModelUnavailable, match=r"cannot load .*none"):
        run(complete(lm, user("?")))
    lm.close()


def test_weights_that_are_not_safetensors_are_refused(tmp_path: Path) -> None:
    folder = build_llama(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match="safetensors"):
        TransformersLM(str(folder)).load()


def test_tools_are_refused(tiny: TransformersLM) -> None:
    with pytest.raises(InvalidRequest, match="no native tool calls"):
        run(complete(tiny, user("?"), (ToolSpec(name="search", description="", parameters={}),)))


def test_an_answer_ends_where_the_context_does(tmp_path: Path) -> None:
    lm = TransformersLM(str(build_llama(tmp_path, context=64)), device="cpu")
    try:
        answer = run(complete(lm, user("a" * 50), (), SamplingParams(max_tokens=500)))
        assert answer.usage.prompt_tokens == 53
        assert answer.usage.completion_tokens == 64 - 53
        assert answer.finish_reason == "length"
    finally:
        lm.close()


@pytest.mark.gpu
def test_on_a_gpu_it_says_what_it_says_on_the_cpu(tmp_path: Path) -> None:
    folder = str(build_llama(tmp_path))
    texts = []
    for device in ("cpu", "cuda"):
        lm = TransformersLM(folder, device=device, dtype="float32")
        texts.append(run(complete(lm, user("Hello"), (), SamplingParams(max_tokens=12))).text)
        lm.close()
    assert texts[0] == texts[1]
