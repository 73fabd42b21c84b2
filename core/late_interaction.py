"""Late interaction: how well a text answers, token by token. Knows vectors, not where they came from."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.lexical import STOP_WORDS
from core.protocols import Encoder
from core.text import fold, sentence_spans
from core.types import Vectors

FUNCTION_WORD_WEIGHT = 0.15

# So many multiplications OpenBLAS does on the calling thread. With more it wakes a second one and waits for it: of the small
# products of a sentence most of the time was that, on a busy machine 8 ms of the clock and 3.5 of the processor for 0.1 of work.
_SERIAL = 1 << 18
_ROWS = 32


def inner_products(left: Vectors, right: Vectors) -> NDArray[np.float32]:
    """(n, m): ``left`` (n, dim) @ ``right``.T (dim, m), in pieces that one thread does."""
    step = max(1, _SERIAL // max(1, min(len(left), _ROWS) * left.shape[1]))
    found = np.empty((len(left), len(right)), np.float32)
    for i in range(0, len(left), _ROWS):
        for j in range(0, len(right), step):
            np.matmul(left[i : i + _ROWS], right[j : j + step].T, out=found[i : i + _ROWS, j : j + step])
    return found


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
    found: NDArray[np.float32] = inner_products(query, tokens).max(axis=1)
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


def max_sims(query: Vectors, passages: Sequence[Vectors]) -> NDArray[np.float32]:
    """``max_sim`` of the query with each passage.

    Args:
        query: (n_query_tokens, dim), L2-normalised rows.
        passages: of each (n_tokens, dim); one without tokens matches nothing.

    Returns:
        (n_passages,)
    """
    found = np.zeros(len(passages), np.float32)
    some = [i for i, tokens in enumerate(passages) if len(tokens)]
    if some:
        similar = inner_products(np.concatenate([passages[i] for i in some]), query)  # (all tokens, n_query_tokens)
        found[some] = best_of_each(similar, [len(passages[i]) for i in some]).sum(axis=1)
    return found


def best_of_each(similar: NDArray[np.float32], lengths: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
    """The largest of each column within runs of rows.

    Args:
        similar: (Σ lengths, n).
        lengths: of the runs, each at least 1.

    Returns:
        (n_runs, n)
    """
    ends = np.cumsum(lengths)
    found: NDArray[np.float32] = np.maximum.reduceat(similar, ends - np.asarray(lengths), axis=0)
    return found


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


def question_tokens(question: str, encoder: Encoder) -> tuple[Vectors, NDArray[np.float32]]:
    """Word pieces of a question (n, dim), without special tokens where they can be told, and their weights (n,).

    A piece of an English function word, or of no letter or digit, weighs ``FUNCTION_WORD_WEIGHT``, any other 1.
    """
    vectors = encoder.encode_tokens([question])[0]
    spans = encoder.tokenizer.spans(question)
    inner = without_specials(vectors, spans)
    if inner is None or not len(inner):
        return vectors, np.ones(len(vectors), np.float32)
    spans = spans[: len(inner)]
    content = [any(c.isalnum() for c in question[a:b]) and fold(question[a:b]) not in STOP_WORDS for a, b in spans]
    return inner, np.where(content, 1.0, FUNCTION_WORD_WEIGHT).astype(np.float32)


def weakest(best: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of the two worst matches of content words: what a text lacks.

    Args:
        best: (…, n) best match of each of the question's tokens.
        weights: (n,) as ``question_tokens`` gives them.

    Returns:
        (…)
    """
    content = weights > 0.5
    kept = best[..., content] if content.any() else best
    found: NDArray[np.float32] = np.sort(kept, axis=-1)[..., :2].mean(axis=-1)
    return found


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


@dataclass(frozen=True, slots=True)
class PlacedTokens:
    """The word pieces of a text in their order: ``vectors[i]`` is that of ``text[starts[i]:ends[i]]``."""

    starts: list[int]
    ends: list[int]
    vectors: Vectors  # (n, dim)

    def within(self, start: int, end: int) -> Vectors:
        """Vectors of the pieces that lie in ``[start, end)``: (n, dim)."""
        return self.vectors[bisect_left(self.starts, start) : bisect_right(self.ends, end)]


def place_tokens(texts: Sequence[str], encoder: Encoder, beside: Sequence[str] = ()) -> list[PlacedTokens] | None:
    """The tokens of each text, every one read within as much of its text as the encoder takes.

    Args:
        beside: further texts that are read in the same pass, for an encoder that remembers (``core.token_memory``).

    Returns:
        One entry per text; None if the encoder's tokens cannot be placed in what they were read from.
    """
    read = [(i, a, b) for i, text in enumerate(texts) for a, b in windows(text, encoder)]
    pieces = [texts[i][a:b] for i, a, b in read]
    starts: list[list[int]] = [[] for _ in texts]
    ends: list[list[int]] = [[] for _ in texts]
    parts: list[list[Vectors]] = [[] for _ in texts]
    every = encoder.encode_tokens([*pieces, *beside])
    for (i, offset, _), piece, vectors in zip(read, pieces, every[: len(pieces)], strict=True):
        spans = encoder.tokenizer.spans(piece)
        inner = without_specials(vectors, spans)
        if inner is None:
            return None
        starts[i] += [offset + a for a, _ in spans[: len(inner)]]
        ends[i] += [offset + b for _, b in spans[: len(inner)]]
        parts[i].append(inner)
    nothing = np.zeros((0, encoder.dim), np.float32)
    return [
        PlacedTokens(s, e, np.concatenate(p) if p else nothing) for s, e, p in zip(starts, ends, parts, strict=True)
    ]
