"""What every verifier must keep."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import pytest

from core.protocols import Verifier
from core.types import VerdictLabel

EVIDENCE = (
    "The orchard was planted in 1987 by Maria Keller. It has 412 apple trees on nine hectares. "
    "In 2021 the harvest was 38 tonnes, which was not enough for the market of Lindau."
)
CLAIMS = (
    "The orchard was planted in 1987 by Maria Keller.",
    "Maria Keller planted the orchard in 1987.",
    "The orchard was planted in 1992 by Maria Keller.",
    "Penguins breed on the ice shelves of Antarctica.",
    "",
    "?!",
    "Is that so?",
    "word " * 2000,
    "\u0000 \ud7ff 中国 हिन्दी",
)


class VerifierSuite:
    """Subclass it with a fixture ``verifier``."""

    @pytest.fixture
    def verifier(self) -> Verifier:
        raise NotImplementedError

    @pytest.mark.parametrize("claim", CLAIMS)
    @pytest.mark.parametrize("evidence", [(EVIDENCE,), (), ("",), (EVIDENCE, "Something else.")])
    def test_a_verdict_has_a_known_label_a_score_and_a_reason(
        self, verifier: Verifier, claim: str, evidence: tuple[str, ...]
    ) -> None:
        verdict = verifier.check(claim, evidence)
        assert verdict.label in get_args(VerdictLabel)
        assert 0.0 <= verdict.score <= 1.0
        assert verdict.reason

    def test_what_the_evidence_says_word_for_word_is_supported(self, verifier: Verifier) -> None:
        assert verifier.check(CLAIMS[0], [EVIDENCE]).label == "supported"

    def test_what_it_says_nothing_of_is_not_supported(self, verifier: Verifier) -> None:
        assert verifier.check(CLAIMS[3], [EVIDENCE]).label in ("unsupported", "contradicted")

    def test_nothing_is_supported_without_evidence(self, verifier: Verifier) -> None:
        assert verifier.check(CLAIMS[0], []).label == "unsupported"
        assert verifier.check(CLAIMS[0], ["", " "]).label == "unsupported"

    def test_evidence_counts_jointly_in_any_order(self, verifier: Verifier) -> None:
        first, second = EVIDENCE.split(". ", 1)
        one, other = verifier.check(CLAIMS[1], [first, second]), verifier.check(CLAIMS[1], [second, first])
        assert one.label == other.label

    def test_the_same_claim_gets_the_same_verdict_from_many_threads(self, verifier: Verifier) -> None:
        alone = [verifier.check(c, [EVIDENCE]) for c in CLAIMS]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda c: verifier.check(c, [EVIDENCE]), CLAIMS * 8))
        assert together == alone * 8
