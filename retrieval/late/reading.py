"""Texts as token vectors, whole: what is longer than the encoder's window is read window by window.

Knows nothing of indexes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.late_interaction import windows, without_specials
from core.protocols import Encoder, JointEncoder
from core.types import Vectors
from retrieval.late.packed import VERSION, Packed, pack


def read_passages(encoder: Encoder, texts: Sequence[str]) -> list[Vectors]:
    """Per text its word pieces (n_tokens, dim), L2-normalised, of all its windows one after the other.

    The first window is read as the encoder reads the text itself, cut where it is full; the tokens of the sentence that was cut
    are left to the next one. Special tokens are left out where they can be told: they are much alike in every text.
    """
    return _to_their_ends(encoder, texts, encoder.encode_tokens(texts))


def read_both(encoder: JointEncoder, texts: Sequence[str]) -> tuple[Vectors, list[Vectors]]:
    """``encode_documents`` and ``read_passages``; what fits the window is read once for both."""
    vectors, beginnings = encoder.encode_both(texts)
    return vectors, _to_their_ends(encoder, texts, beginnings)


def _to_their_ends(encoder: Encoder, texts: Sequence[str], beginnings: Sequence[Vectors]) -> list[Vectors]:
    """
    Args:
        beginnings: what ``encode_tokens`` gives of the texts.
    """
    parts: list[list[Vectors]] = []
    rest: list[tuple[int, str]] = []
    for i, (text, vectors) in enumerate(zip(texts, beginnings, strict=True)):
        inner, runs = inner_vectors(encoder, text, vectors), windows(text, encoder)
        if len(runs) > 1:
            within = sum(end <= runs[0][1] for _, end in encoder.tokenizer.spans(text))
            inner = inner[:within]
            rest += [(i, text[a:b]) for a, b in runs[1:]]
        parts.append([inner])
    for (i, piece), vectors in zip(rest, encoder.encode_tokens([p for _, p in rest]), strict=True):
        parts[i].append(inner_vectors(encoder, piece, vectors))
    return [np.concatenate(p) for p in parts]


def read_packed(encoder: Encoder, texts: Sequence[str]) -> list[Packed]:
    """``read_passages``, in the form that is stored."""
    return [pack(vectors) for vectors in read_passages(encoder, texts)]


def packed_revision(encoder: Encoder) -> str:
    """Names what read and how it is packed: vectors of two revisions cannot be compared."""
    return f"{encoder.revision}-packed-{VERSION}"


def inner_vectors(encoder: Encoder, text: str, vectors: Vectors) -> Vectors:
    """Those of ``encode_tokens`` of a text that are word pieces of it."""
    inner = without_specials(vectors, encoder.tokenizer.spans(text))
    return vectors if inner is None or not len(inner) else inner


def read_query(encoder: Encoder, query: str) -> Vectors:
    """(n_tokens, dim): the word pieces of a query, as far as the encoder's window reaches."""
    return inner_vectors(encoder, query, encoder.encode_tokens([query])[0])
