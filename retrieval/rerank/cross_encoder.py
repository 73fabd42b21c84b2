"""A cross-encoder as a reranker, on the CPU through OpenVINO: query and passage are read together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.legible import reads
from core.types import Hit
from models.cross_encoder import OpenVinoCrossEncoder
from models.openvino_run import Precision
from retrieval.rerank.order import Scores, check_rerank, ordered, passage_text

CROSS = "cross"


class CrossEncoderReranker:
    """A ``core.protocols.Reranker``. Building it does nothing; the first use loads. Thread-safe."""

    stage = CROSS

    def __init__(self, folder: Path, *, precision: Precision = "auto", threads: int = 0) -> None:
        """
        Args:
            folder: a cross-encoder of BERT's architecture; see ``models.cross_encoder``.
            precision: "auto" is bf16 where the CPU computes in it, else fp32.
            threads: CPU threads; 0 is as many as this process may use.

        Raises:
            InvalidRequest: an unknown precision, or a number out of range.
        """
        self._model = OpenVinoCrossEncoder(folder, precision=precision, threads=threads)

    def mixing_weight(self, query: str, hits: Sequence[Hit]) -> float | None:
        """What the model's training found best, for any query; None if it does not say. Loads."""
        del query, hits
        return self._model.mixing_weight

    def load(self) -> None:
        """Reads, checks and compiles; raises ModelUnavailable if the folder holds no such model."""
        self._model.load()

    @property
    def revision(self) -> str:
        return self._model.revision

    def reads(self, query: str) -> bool:
        """Whether the model reads ``query`` as more than letters. Loads."""
        return reads(self._model.tokenizer, query)

    def rerank(self, query: str, hits: Sequence[Hit], k: int) -> list[Hit]:
        """The best ``k`` of ``hits`` by the model alone; raises InvalidRequest for an empty query or ``k`` below 1."""
        check_rerank(query, k)
        return ordered(hits, {CROSS: self.score(query, hits)}, CROSS, k)

    def score(self, query: str, hits: Sequence[Hit]) -> Scores:
        """(n,): logits, unbounded."""
        return self._model.logits(query, [passage_text(hit) for hit in hits]).astype(np.float64)
