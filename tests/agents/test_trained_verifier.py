"""The shipped verifier: the contract, what must always hold, and what a person would say of a few claims."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.verify import TrainedVerifier
from agents.verify.reading import excerpt
from agents.verify.trained import NAMES
from core.errors import ModelUnavailable
from core.protocols import Encoder, Verifier
from core.types import Vectors
from models.verifier_head import VerifierHead, read_head, save_head
from tests.contract.verifier_suite import EVIDENCE, VerifierSuite

REPORT = (
    "The library of Tarn opened in March 1961 and was designed by Ines Roth. It holds 84,000 volumes, of which some are "
    "rare prints. Visitors may borrow up to five books for three weeks. In 2019 the city council approved 2.4 million "
    "euros to repair its roof. The work was finished in 2021. The reading room does not open on Sundays."
)


@pytest.fixture(scope="module")
def verifier(encoder: Encoder) -> TrainedVerifier:
    return TrainedVerifier(encoder)


class TestTrainedVerifier(VerifierSuite):
    @pytest.fixture
    def verifier(self, encoder: Encoder) -> Verifier:
        return TrainedVerifier(encoder)


@pytest.mark.parametrize(
    ("claim", "label"),
    [
        ("The library of Tarn was designed by Ines Roth and opened in 1961.", "supported"),
        ("In Tarn, visitors may borrow up to five books for three weeks.", "supported"),
        ("The city council approved 2.4 million euros in 2019 to repair the roof of the library.", "supported"),
        ("The library of Tarn opened in March 1971.", "contradicted"),
        ("The reading room does open on Sundays.", "contradicted"),
        ("It holds 48,000 volumes.", "partial"),  # too short to say that it is the same sentence
        ("What did the council approve?", "not_a_claim"),
    ],
)
def test_golden_cases(verifier: Verifier, claim: str, label: str) -> None:
    verdict = verifier.check(claim, [REPORT])
    assert verdict.label == label, verdict


@pytest.mark.parametrize(
    "claim",
    [
        "The library has a café with a view of the river.",
        "Ines Roth was born in Lisbon.",
        "The roof was repaired by volunteers without any money from the city.",
        "I really love going to the library!",
    ],
)
def test_what_the_passage_does_not_say_is_not_supported(verifier: Verifier, claim: str) -> None:
    assert verifier.check(claim, [REPORT]).label in ("unsupported", "partial", "contradicted")


@settings(deadline=None, max_examples=25)
@given(st.text(max_size=80), st.lists(st.text(max_size=120), max_size=3))
def test_a_claim_that_its_evidence_holds_is_not_unsupported(
    verifier: Verifier, claim: str, evidence: list[str]
) -> None:
    verdict = verifier.check(claim, [*evidence, claim])
    assert 0.0 <= verdict.score <= 1.0
    assert verdict.label in ("supported", "not_a_claim") or len(claim.strip()) < 3


@settings(deadline=None, max_examples=25)
@given(st.integers(6, 99_999).filter(lambda n: n not in (84_000, 1961, 2019, 2021)))
def test_a_number_that_the_passage_has_not_is_never_supported(verifier: Verifier, n: int) -> None:
    assert verifier.check(f"The library of Tarn holds {n} volumes.", [REPORT]).label != "supported"


@settings(deadline=None, max_examples=10)
@given(st.permutations(["It holds 84,000 volumes.", "The roof was repaired in 2021.", "Visitors may borrow books."]))
def test_the_order_of_the_evidence_does_not_matter(verifier: Verifier, evidence: list[str]) -> None:
    claim = "The library holds 84,000 volumes and its roof was repaired in 2021."
    first = verifier.check(claim, sorted(evidence))
    other = verifier.check(claim, evidence)
    assert other.label == first.label
    assert other.score == pytest.approx(first.score, abs=0.02)


def test_a_long_text_is_read_where_it_speaks_of_the_claim() -> None:
    text = "Rain fell all day. " * 200 + EVIDENCE + " Rain fell all night." * 200
    found = excerpt("Maria Keller planted the orchard in 1987.", text, 400)
    assert "planted in 1987 by Maria Keller" in found
    assert len(found) <= 420
    assert excerpt("anything", "short", 400) == "short"


def test_a_head_survives_being_saved_and_refuses_other_features(tmp_path: Path, encoder: Encoder) -> None:
    d = 3
    rng = np.random.default_rng(0)
    head = VerifierHead(
        features=("a", "b", "c"),
        mean=rng.normal(size=d),
        scale=np.ones(d),
        linear=rng.normal(size=d),
        pairs=rng.normal(size=(d, d)),
        bias=0.3,
        supported_from=0.5,
        partial_from=0.25,
    )
    save_head(tmp_path, head, {"made_by": "a test"}, "# card\n")
    x = rng.normal(size=d)
    assert read_head(tmp_path).probability(x) == pytest.approx(head.probability(x), abs=1e-5)
    with pytest.raises(ModelUnavailable, match="trained on other numbers"):
        TrainedVerifier(encoder, tmp_path).check("The orchard is old and large.", [EVIDENCE])
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelUnavailable, match="cannot read the verifier"):
        read_head(tmp_path)


def test_the_shipped_head_says_what_it_was_made_by_and_how_often_it_errs() -> None:
    folder = Path(__file__).parents[2] / "models" / "shipped" / "verifier"
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert tuple(config["features"]) == NAMES
    assert config["made_by"].startswith("python -m bench.fit_verifier")
    assert (folder / "README.md").is_file()


class Counting:
    """An encoder that keeps each list of texts whose tokens it was asked for."""

    def __init__(self, inner: Encoder) -> None:
        self._inner = inner
        self.read: list[list[str]] = []
        self.dim, self.revision, self.max_tokens, self.tokenizer = (
            inner.dim,
            inner.revision,
            inner.max_tokens,
            inner.tokenizer,
        )
        self.encode_queries, self.encode_documents = inner.encode_queries, inner.encode_documents

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        self.read.append(list(texts))
        return self._inner.encode_tokens(texts)


def test_a_sentence_is_read_in_one_pass_and_its_passage_once(encoder: Encoder) -> None:
    counting = Counting(encoder)
    verifier = TrainedVerifier(counting)
    first = "The library of Tarn was designed by Ines Roth and opened in 1961."
    verifier.check(first, [REPORT])
    assert counting.read == [[REPORT, first]]
    # A word in the place of another is asked about in the same pass, and the passage is not read again.
    exchanged = "The work was finished in 2021 and the reading room does not open on Fridays."
    verifier.check(exchanged, [REPORT])
    assert len(counting.read) == 2
    assert REPORT not in counting.read[1]
    # Another passage: the claim is known.
    verifier.check(first, [EVIDENCE])
    assert counting.read[2:] == [[EVIDENCE]]
    verifier.check(first, [REPORT, EVIDENCE])
    assert len(counting.read) == 3


def test_what_was_read_before_changes_no_verdict(encoder: Encoder) -> None:
    claims = [
        "The library of Tarn was designed by Ines Roth and opened in 1961.",
        "Visitors can take home five books at most.",
        "The work was finished in 2021 and it was costly.",
    ]
    shared = TrainedVerifier(encoder)
    for claim in claims:
        for evidence in ([REPORT], [EVIDENCE], [REPORT, EVIDENCE], [REPORT]):
            alone = TrainedVerifier(encoder).check(claim, evidence)
            found = shared.check(claim, evidence)
            assert (found.label, found.reason) == (alone.label, alone.reason)
            assert found.score == pytest.approx(alone.score, abs=1e-5)
