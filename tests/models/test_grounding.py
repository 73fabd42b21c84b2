"""Models that say whether a text supports a claim: which output is which, and long texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ModelUnavailable
from models.grounding import GroundingModel, heads_of
from tests.support.tiny_models import save_tiny_grounding

SEQUENCE, TOKENS = "BertForSequenceClassification", "BertForTokenClassification"


@pytest.mark.parametrize(
    ("architecture", "labels", "expected"),
    [
        (SEQUENCE, ["entailment", "neutral", "contradiction"], ("classes", 0, 2)),
        (SEQUENCE, ["CONTRADICTION", "NEUTRAL", "ENTAILMENT"], ("classes", 2, 0)),
        (SEQUENCE, ["entailment", "not_entailment"], ("classes", 0, None)),
        (SEQUENCE, ["not_entailment", "entailment"], ("classes", 1, None)),
        (SEQUENCE, ["LABEL_0", "LABEL_1"], ("classes", 1, None)),  # MiniCheck: the second is supported
        (SEQUENCE, ["hallucinated", "consistent"], ("classes", 1, None)),  # HHEM
        (SEQUENCE, ["supported", "unsupported"], ("classes", 0, None)),
        (SEQUENCE, ["LABEL_0"], ("number", 0, None)),
        (TOKENS, ["LABEL_0", "LABEL_1"], ("tokens", 0, None)),  # LettuceDetect: the second is a hallucination
        (TOKENS, ["supported", "hallucinated"], ("tokens", 0, None)),
    ],
)
def test_labels_say_which_output_is_support(
    architecture: str, labels: list[str], expected: tuple[str, int, int | None]
) -> None:
    heads = heads_of(architecture, dict(enumerate(labels)))
    assert (heads.kind, heads.supported, heads.contradicted) == expected


@pytest.mark.parametrize(
    ("architecture", "labels"),
    [
        (SEQUENCE, ["joy", "anger", "fear"]),
        ("T5ForConditionalGeneration", ["LABEL_0", "LABEL_1"]),
        (TOKENS, list("BIO")),
    ],
)
def test_a_model_that_says_something_else_is_refused(architecture: str, labels: list[str]) -> None:
    with pytest.raises(ModelUnavailable, match="does not say whether a text supports a claim"):
        heads_of(architecture, dict(enumerate(labels)))


def test_an_nli_model_supports_by_entailment_and_contradicts_by_contradiction(tmp_path: Path) -> None:
    # Weights of the classifier are 0, so that its bias alone speaks: softmax(2, 0, 1) = (.665, .090, .245)
    save_tiny_grounding(tmp_path, ["contradiction", "neutral", "entailment"], bias=[2.0, 0.0, 1.0])
    found = GroundingModel(str(tmp_path), device="cpu").judge("the cat sat", "the dog ran")
    assert found.contradicted == pytest.approx(0.665, abs=1e-3)
    assert found.supported == pytest.approx(0.245, abs=1e-3)


def test_one_number_is_read_through_a_sigmoid(tmp_path: Path) -> None:
    save_tiny_grounding(tmp_path, ["LABEL_0"], bias=[1.0])
    found = GroundingModel(str(tmp_path), device="cpu").judge("the cat sat", "the dog ran")
    assert found.supported == pytest.approx(0.731, abs=1e-3)  # 1/(1 + e^-1)


def test_tokens_support_as_far_as_the_worst_of_the_claim(tmp_path: Path) -> None:
    save_tiny_grounding(tmp_path, ["supported", "hallucinated"], bias=[0.0, 1.0], tokens=True)
    found = GroundingModel(str(tmp_path), device="cpu").judge("the cat sat", "the dog ran")
    assert found.supported == pytest.approx(0.269, abs=1e-3)  # 1/(1 + e)


@pytest.mark.parametrize("tokens", [False, True])
def test_a_text_longer_than_the_model_reads_is_read_in_windows(tmp_path: Path, tokens: bool) -> None:
    save_tiny_grounding(tmp_path, ["LABEL_0", "LABEL_1"], bias=[1.0, 0.0], tokens=tokens)
    model = GroundingModel(str(tmp_path), device="cpu")
    found = model.judge("the cat sat " * 60, "the dog ran on the mat " * 100)
    assert 0.0 <= found.supported <= 1.0


def test_a_folder_that_is_no_model_is_an_error_that_says_what_would_be_one(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="set verifier_model to a folder"):
        GroundingModel(str(tmp_path), device="cpu").load()
