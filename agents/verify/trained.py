"""The verifier of this repository: what the rules find and how well each word is met, weighed by a small trained head.

    claim, evidence ─▶ rules ─▶ findings, word coverage ─┐
                    └▶ encoder ─▶ token alignments ──────┴▶ head ─▶ probability ─▶ cascade ─▶ verdict

The head was trained on human judgements of support and on claims changed by rule (``python -m bench.fit_verifier``, which
writes its error rates). It needs the packaged MiniLM, for whose vectors it was trained.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.verify.alignment import ALIGNMENT_FEATURES, align
from agents.verify.apart import check_apart
from agents.verify.cascade import Thresholds, conclude, screen
from agents.verify.reading import EvidenceReader
from agents.verify.rules import FEATURES, Examination, examine
from agents.verify.unlike import check_unlike, exchanged
from core.errors import ModelUnavailable
from core.protocols import Encoder
from core.token_memory import TokenMemory
from core.types import Verdict
from models.verifier_head import SHIPPED_VERIFIER, VerifierHead, read_head

NAMES: tuple[str, ...] = (
    *FEATURES,
    "log_claim_to_evidence",
    *(f"align_{name}" for name in ALIGNMENT_FEATURES),
)
# Claims, for the other passages that they are held against; passages themselves are remembered by the reader.
_CLAIM_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A claim, examined, and the head's input."""

    seen: Examination
    features: NDArray[np.float64]  # (len(NAMES),)


def look(claim: str, texts: Sequence[str], reader: EvidenceReader) -> Looked:
    """All that the head is told of a claim and the texts that it cites, read in one pass: the claim, the claim with words of
    the passage put back, and what of the texts was not read before."""
    evidence = "\n\n".join(texts)
    seen = examine(claim, evidence)
    words = exchanged(claim, seen.near)
    read = reader.read(claim, texts, [claim, *(w.text for w in words)])
    unlike = check_unlike(claim, words, reader.encoder)
    seen = replace(seen, findings=(*seen.findings, *check_apart(claim, evidence, seen.findings), *unlike))
    own = [float(np.log(len(claim) + 20) - np.log(sum(map(len, texts)) + 20))]
    aligned = align(claim, read, reader.encoder).values()
    return Looked(seen=seen, features=np.concatenate([seen.features(), own, aligned]))


class TrainedVerifier:
    """A ``core.protocols.Verifier``. Building it does nothing; the first use loads. Thread-safe.

    Args:
        encoder: the packaged MiniLM.
        folder: of the head; None is the shipped one.
    """

    def __init__(self, encoder: Encoder, folder: Path | None = None) -> None:
        self._reader = EvidenceReader(TokenMemory(encoder, _CLAIM_BYTES))
        self._folder = folder or SHIPPED_VERIFIER
        self._lock = threading.Lock()
        self._head: VerifierHead | None = None

    @property
    def threshold(self) -> float:
        """The score from which a claim is called supported; raises ModelUnavailable where there is no head."""
        return self._loaded().supported_from

    def check(self, claim: str, evidence: Sequence[str]) -> Verdict:
        """As ``RuleVerifier.check``; raises ModelUnavailable where the head is absent or made for other features."""
        screened = screen(claim, evidence)
        if isinstance(screened, Verdict):
            return screened
        head = self._loaded()
        looked = look(screened.claim, screened.texts, self._reader)
        at = Thresholds(supported=head.supported_from, partial=head.partial_from)
        score = head.probability(looked.features)
        return conclude(score, looked.seen.findings, at, why=looked.seen.said())

    def _loaded(self) -> VerifierHead:
        with self._lock:
            if self._head is None:
                head = read_head(self._folder)
                if head.features != NAMES:
                    raise ModelUnavailable(
                        f"{self._folder} was trained on other numbers than this version computes: make it anew with "
                        "python -m bench.fit_verifier --write"
                    )
                self._head = head
            return self._head
