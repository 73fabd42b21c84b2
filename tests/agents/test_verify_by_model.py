"""Verifiers around models of others, and when the larger one is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.verify import ModelVerifier, RuleVerifier, SecondOpinion
from core.protocols import Verifier
from core.types import Verdict
from models.grounding import Grounding, GroundingModel
from tests.contract.verifier_suite import EVIDENCE, VerifierSuite
from tests.support.tiny_models import save_tiny_grounding

_NLI = (["entailment", "neutral", "contradiction"], [0.0, 3.0, 0.0])
_TOKENS = (["supported", "hallucinated"], [0.0, 2.0])


@pytest.fixture(scope="module", params=[_NLI, _TOKENS], ids=["nli", "tokens"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> GroundingModel:
    labels, bias = request.param
    folder = tmp_path_factory.mktemp("grounding")
    save_tiny_grounding(folder, labels, bias=bias, tokens=request.param is _TOKENS)
    return GroundingModel(str(folder), device="cpu")


class TestModelVerifier(VerifierSuite):
    """Models that believe nothing: only what stands word for word is supported, and that without them."""

    @pytest.fixture
    def verifier(self, model: GroundingModel) -> Verifier:
        return ModelVerifier(model)


class TestSecondOpinion(VerifierSuite):
    @pytest.fixture
    def verifier(self) -> Verifier:
        return SecondOpinion(RuleVerifier(), ModelVerifier(Believing(0.0)))


class Believing:
    """A model that gives every claim the same probability, and counts what it is asked."""

    name = "believing"

    def __init__(self, supported: float, contradicted: float = 0.0) -> None:
        self._found = Grounding(supported=supported, contradicted=contradicted)
        self.asked = 0

    def judge(self, claim: str, text: str) -> Grounding:
        self.asked += 1
        return self._found


PARAPHRASE = "It was Maria Keller who planted the orchard, back in 1987."


@pytest.mark.parametrize(
    ("supported", "contradicted", "label"),
    [(0.9, 0.0, "supported"), (0.3, 0.0, "partial"), (0.1, 0.2, "unsupported"), (0.1, 0.8, "contradicted")],
)
def test_probabilities_become_labels(supported: float, contradicted: float, label: str) -> None:
    verdict = ModelVerifier(Believing(supported, contradicted)).check(PARAPHRASE, [EVIDENCE])
    assert verdict.label == label


def test_no_model_overrules_a_number_that_is_not_there() -> None:
    model = Believing(0.99)
    verdict = ModelVerifier(model).check("The orchard of Maria Keller has 500 apple trees.", [EVIDENCE])
    assert verdict.label in ("partial", "contradicted", "unsupported")
    assert verdict.score < 0.5


@pytest.mark.parametrize(("score", "asked"), [(0.5, 1), (0.05, 0), (0.95, 0)])
def test_the_larger_model_is_asked_only_in_doubt(score: float, asked: int) -> None:
    class Fixed:
        def check(self, claim: str, evidence: object) -> Verdict:
            return Verdict(label="supported", score=score, reason="so it is")

    model = Believing(0.9)
    SecondOpinion(Fixed(), ModelVerifier(model)).check(PARAPHRASE, [EVIDENCE])
    assert model.asked == asked


def test_what_stands_word_for_word_is_never_sent_to_a_model(tmp_path: Path) -> None:
    model = Believing(0.0)
    verdict = ModelVerifier(model).check("It has 412 apple trees on nine hectares.", [EVIDENCE])
    assert (verdict.label, model.asked) == ("supported", 0)
