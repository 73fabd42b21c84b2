"""Our graph against sentence-transformers on the same packaged weights."""

from __future__ import annotations

import numpy as np

from core.protocols import Encoder
from models.packaged import MINILM, verify
from retrieval.encoders.sentence_transformers import SentenceTransformersEncoder
from tests.contract.encoder_suite import PASSAGES


def test_both_runtimes_give_the_same_vectors(encoder: Encoder) -> None:
    reference = SentenceTransformersEncoder(str(verify(MINILM)), device="cpu", precision="fp32")
    texts = [*PASSAGES, *(f"{word} " * n for word in ("cell", "12.5 %") for n in (1, 60, 300))]

    ours, theirs = encoder.encode_documents(texts), reference.encode_documents(texts)
    cosines = (ours * theirs).sum(axis=1)
    assert cosines.min() >= 0.9999, f"lowest {cosines.min():.7f}, largest difference {np.abs(ours - theirs).max():.2e}"

    assert encoder.dim == reference.dim
    assert encoder.max_tokens == reference.max_tokens
    assert encoder.tokenizer.count(texts) == reference.tokenizer.count(texts)
    for one, other in zip(encoder.encode_tokens(texts), reference.encode_tokens(texts), strict=True):
        assert one.shape == other.shape
        assert (one * other).sum(axis=1).min() >= 0.999  # single tokens under bf16; fp32 gives 0.9999999
