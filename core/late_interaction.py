"""Late interaction: how well a text answers, token by token. Knows vectors, not where they came from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.protocols import Encoder
from core.text import sentence_spans
from core.types import Vectors


def best_matches(query: Vectors, tokens: Vectors) -> NDArray[np.float32]:
    """max_j q_i · d_j for each query token i: how well the text has what that token asks for.

    Args:
        query: (n_query_tokens, dim), L2-normalised rows.
        tokens: (n_tokens, dim), L2-normalised rows; none at all match nothing.

    Returns:
        (n_query_tokens,) in [-1, 1]; 0 where there are no tokens.
    """
    if not len(tokens):
        return np.zeros(len(query), np.float32)
    found: NDArray[np.float32] = (query @ tokens.T).max(axis=1)
    return found


def max_sim(query: Vectors, tokens: Vectors, weights: NDArray[np.float32] | None = None) -> float:
    """MaxSim: Σ_i w_i · max_j q_i · d_j over query tokens i and document tokens j.

    Khattab and Zaharia, "ColBERT: Efficient and effective passage search via contextualized late interaction over
    BERT", SIGIR 2020, equation 3, which has w_i = 1.

    Args:
        query: (n_query_tokens, dim), L2-normalised rows.
        tokens: (n_tokens, dim), L2-normalised rows.
        weights: (n_query_tokens,); None is 1 for each.
    """
    best = best_matches(query, tokens)
    return float(best.sum() if weights is None else best @ weights)


def without_specials(vectors: Vectors, spans: Sequence[tuple[int, int]]) -> Vectors | None:
    """Vectors of the word pieces alone, without [CLS] and [SEP]; None where their number does not tell which those are.

    Args:
        vectors: (n, dim) as ``Encoder.encode_tokens`` gives them.
        spans: of the same text, as its tokenizer gives them.
    """
    if len(vectors) == len(spans):
        return vectors
    if len(vectors) == len(spans) + 2 or (len(vectors) >= 3 and len(vectors) - 2 < len(spans)):
        return vectors[1:-1]  # of a text that is too long only the beginning
    return None


def windows(text: str, encoder: Encoder) -> list[tuple[int, int]]:
    """Runs of sentences that the encoder reads without cutting, as ranges of ``text``; a longer sentence is its own run."""
    room = encoder.max_tokens - 2
    spans = sentence_spans(text)
    sizes = encoder.tokenizer.count([text[a:b] for a, b in spans]) if spans else []
    runs: list[tuple[int, int]] = []
    used = 0
    for (a, b), size in zip(spans, sizes, strict=True):
        if runs and used + size <= room:
            runs[-1] = (runs[-1][0], b)
            used += size
        else:
            runs.append((a, b))
            used = size
    return runs
