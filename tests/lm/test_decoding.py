"""How tokens are chosen: against definitions written out here, with tiny models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.wiring import build_lm
from core.errors import InvalidRequest, ModelUnavailable
from core.settings import Settings
from core.types import Message, SamplingParams
from lm.complete import complete
from lm.decoding import Decoding, DecodingLM
from lm.transformers import TransformersLM
from tests.contract.language_model_suite import run, user
from tests.support.tiny_llama import build_llama

QUESTION = user("Of what is the moon?")
BARE = tuple(user("Moon?"))
Choose = Callable[[Sequence[int]], int]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = tmp_path_factory.mktemp("models")
    return {
        "expert": build_llama(made / "expert"),
        "amateur": build_llama(made / "amateur", layers=1, seed=9),
        "stranger": build_llama(made / "stranger", letters=200),
    }


@pytest.fixture(scope="module")
def plain(folders: dict[str, Path]) -> Iterator[TransformersLM]:
    lm = TransformersLM(str(folders["expert"]), device="cpu")
    yield lm
    lm.close()


def said(lm: TransformersLM, messages: Sequence[Message] = QUESTION, **params: Any) -> str:
    return run(complete(lm, messages, (), SamplingParams(**{"max_tokens": 16, **params}))).text


def with_models(folders: dict[str, Path], **names: str) -> Iterator[TransformersLM]:
    lm = TransformersLM(str(folders["expert"]), device="cpu", **names)  # type: ignore[arg-type]
    try:
        yield lm
    finally:
        lm.close()


class ByHand:
    """The models without any of our code, and without a cache."""

    def __init__(self, folders: dict[str, Path]) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(folders["expert"])
        self.expert: Any = AutoModelForCausalLM.from_pretrained(folders["expert"])
        self.amateur: Any = AutoModelForCausalLM.from_pretrained(folders["amateur"])

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        turns = [{"role": m.role, "content": m.content} for m in messages]
        text = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def probabilities(self, model: Any, ids: Sequence[int]) -> Any:
        import torch

        with torch.no_grad():
            return model(torch.tensor([list(ids)])).logits[0, -1].softmax(-1)

    def written(self, choose: Choose, n: int = 16) -> str:
        tokens: list[int] = []
        for _ in range(n):
            tokens.append(choose(tokens))
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))


@pytest.fixture(scope="module")
def by_hand(folders: dict[str, Path]) -> ByHand:
    return ByHand(folders)


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_an_answer_against_what_would_be_said_without_the_passages(
    plain: TransformersLM, by_hand: ByHand, weight: float
) -> None:
    whole, bare = by_hand.prompt(QUESTION), by_hand.prompt(BARE)

    def choose(tokens: Sequence[int]) -> int:
        within = by_hand.probabilities(by_hand.expert, [*whole, *tokens])
        without = by_hand.probabilities(by_hand.expert, [*bare, *tokens])
        return int((within ** (1 + weight) / without**weight).argmax())

    found = said(plain, contrast=weight, without=BARE)
    assert found == by_hand.written(choose)
    assert found != said(plain)


def test_a_contrast_with_nothing_or_of_no_weight_is_plain(plain: TransformersLM) -> None:
    assert said(plain, contrast=2.0) == said(plain, without=BARE) == said(plain)


def test_an_amateur_takes_away_what_it_would_say_too(folders: dict[str, Path], by_hand: ByHand) -> None:
    prompt = by_hand.prompt(QUESTION)

    def choose(tokens: Sequence[int]) -> int:
        expert = by_hand.probabilities(by_hand.expert, [*prompt, *tokens])
        amateur = by_hand.probabilities(by_hand.amateur, [*prompt, *tokens])
        ratio = expert / amateur
        ratio[expert < 0.1 * expert.max()] = 0
        return int(ratio.argmax())

    for lm in with_models(folders, amateur=str(folders["amateur"])):
        assert said(lm) == by_hand.written(choose)


def test_only_what_the_expert_finds_plausible_may_be_said() -> None:
    import torch

    from lm.contrast import against_amateur

    expert = torch.tensor([[0.50, 0.45, 0.04, 0.01]]).log()
    amateur = torch.tensor([[0.60, 0.30, 0.0999, 0.0001]]).log()
    found = against_amateur(expert, amateur)
    assert found[0, 2:].isinf().all()  # the last would win by far: 0.01 against 0.0001
    torch.testing.assert_close(found[0, :2].exp(), torch.tensor([0.5 / 0.6, 1.5]))


def test_a_draft_changes_no_token_and_respects_the_end(folders: dict[str, Path], plain: TransformersLM) -> None:
    for lm in with_models(folders, draft=str(folders["amateur"])):
        for text in ("Of what is the moon?", "a", "Tell me a story of rivers and of stones."):
            for n in (1, 5, 40):
                asked, params = user(text), SamplingParams(max_tokens=n)
                ours, theirs = (run(complete(m, asked, (), params)) for m in (lm, plain))
                assert (ours.text, ours.finish_reason) == (theirs.text, theirs.finish_reason)
                assert ours.usage.completion_tokens == theirs.usage.completion_tokens
        whole = said(plain, max_tokens=40)
        stop = whole[9:11]
        assert said(lm, max_tokens=40, stop=(stop,)) == whole[: whole.index(stop)]
        assert said(lm, temperature=1.0, seed=4) == said(
            plain, temperature=1.0, seed=4
        )  # a draft is for greedy requests


def test_beams_find_what_transformers_finds(plain: TransformersLM, by_hand: ByHand) -> None:
    import torch

    ids = torch.tensor([by_hand.prompt(QUESTION)])
    with torch.no_grad():
        best = by_hand.expert.generate(ids, num_beams=4, do_sample=False, max_new_tokens=16)[0, ids.shape[1] :]
    found = said(plain, beams=4)
    assert found == by_hand.tokenizer.decode(best, skip_special_tokens=True)
    assert found != said(plain)


def test_no_tokens_come_twice_in_the_same_order(plain: TransformersLM) -> None:
    # These tokens are bytes, some of them half a character, so a whole answer is compared.
    assert len(set(said(plain, user("x"), max_tokens=60))) < 60
    found = said(plain, user("x"), max_tokens=60, no_repeat_ngram=1)
    letters = [c for c in found if c.isascii()]
    assert len(letters) == len(set(letters)) and "x" not in letters


def test_with_min_p_near_one_only_the_likeliest_is_drawn(plain: TransformersLM) -> None:
    hot = {"temperature": 5.0, "seed": 1}
    assert said(plain, **hot, min_p=0.999_999) == said(plain)
    assert said(plain, **hot) != said(plain)


@pytest.fixture(scope="module")
def adapter(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    import peft
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folders["expert"])
    config = peft.LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("adapter")
    peft.get_peft_model(model, config).save_pretrained(folder)
    return folder


def test_an_adapter_says_what_it_says_in_peft(
    folders: dict[str, Path], adapter: Path, plain: TransformersLM, by_hand: ByHand
) -> None:
    import peft
    from transformers import AutoModelForCausalLM

    base: Any = AutoModelForCausalLM.from_pretrained(folders["expert"])
    unmerged: Any = peft.PeftModel.from_pretrained(base, adapter).eval()
    prompt = by_hand.prompt(QUESTION)
    expected = by_hand.written(lambda t: int(by_hand.probabilities(unmerged, [*prompt, *t]).argmax()))
    lm = TransformersLM(str(folders["expert"]), device="cpu", adapter=adapter)
    try:
        assert said(lm) == expected != said(plain)
    finally:
        lm.close()


def test_an_adapter_of_another_model_or_none_at_all_is_refused(
    folders: dict[str, Path], adapter: Path, tmp_path: Path
) -> None:
    shallow = TransformersLM(str(folders["amateur"]), device="cpu", adapter=adapter)
    with pytest.raises(ModelUnavailable, match="does not fit the model: 4 of its weights fit nowhere"):
        shallow.load()
    nowhere = TransformersLM(str(folders["expert"]), device="cpu", adapter=tmp_path)
    with pytest.raises(ModelUnavailable, match=r"has no adapter_config.json and no adapter_model.safetensors"):
        nowhere.load()


def test_a_model_beside_must_speak_the_same_tokens(folders: dict[str, Path]) -> None:
    for role in ("draft", "amateur"):
        for lm in with_models(folders, **{role: str(folders["stranger"])}):
            with pytest.raises(ModelUnavailable, match=f"lm_{role}_model .*stranger.* has another vocabulary"):
                lm.load()
    with pytest.raises(InvalidRequest, match="both set"):
        TransformersLM("any", draft="a", amateur="b")


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"min_p": 1.0}, "min_p is 1.0"),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram is -1"),
        ({"beams": 0}, "beams is 0"),
        ({"beams": 2, "temperature": 0.5}, "beams are for greedy requests"),
        ({"contrast": -0.5}, "contrast is -0.5"),
    ],
)
def test_what_cannot_be_is_refused(plain: TransformersLM, params: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        said(plain, **params)


def test_settings_are_laid_over_what_a_strategy_leaves_off() -> None:
    ours = Decoding(top_p=0.9, min_p=0.05, beams=3, no_repeat_ngram=4, contrast=0.5)
    greedy, drawn = ours.over(SamplingParams()), ours.over(SamplingParams(temperature=0.7, top_p=0.5))
    assert (greedy.beams, greedy.top_p, greedy.min_p, greedy.no_repeat_ngram, greedy.contrast) == (3, 1.0, 0.0, 4, 0.0)
    assert (drawn.beams, drawn.top_p, drawn.min_p, drawn.no_repeat_ngram) == (1, 0.5, 0.05, 4)
    assert ours.over(SamplingParams(without=BARE)).contrast == 0.5
    formed = SamplingParams(regex="[a-z]+")
    assert ours.over(formed) == formed
    assert Decoding().over(greedy) == greedy


def test_what_is_in_force_is_in_the_name(plain: TransformersLM) -> None:
    assert DecodingLM(plain, Decoding()).name == plain.name
    assert DecodingLM(plain, Decoding(beams=3, contrast=0.5)).name == f"{plain.name} (beams 3, contrast 0.5)"
    assert not DecodingLM(plain, Decoding()).contrasting and DecodingLM(plain, Decoding(contrast=0.5)).contrasting
    lm = TransformersLM("expert", adapter=Path("a/lora"), amateur="small")
    assert lm.name == "transformers:expert+lora-small"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lm_runtime": "openvino", "lm_context_contrast": 0.5}, "lm_context_contrast: the runtime openvino"),
        ({"lm_runtime": "openvino", "lm_adapter": "x", "lm_draft_model": "y"}, "lm_adapter, lm_draft_model: the"),
        ({"lm_runtime": "openai", "lm_base_url": "http://127.0.0.1:9", "lm_beams": 2}, "lm_beams: the runtime openai"),
    ],
)
def test_a_setting_that_a_runtime_would_not_heed_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        build_lm(Settings(**settings))
