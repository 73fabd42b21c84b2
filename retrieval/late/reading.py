"""Texts as token vectors, whole: what is longer than the encoder's window is read window by window.

Knows nothing of indexes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.late_interaction import windows, without_specials
from core.protocols import Encoder
from core.types import Vectors
from retrieval.late.packed import VERSION, Packed, pack


def read_passages(encoder: Encoder, texts: Sequence[str]) -> list[Vectors]:
    """Per text its word pieces (n_tokens, dim), L2-normalised, of all its windows one after the other.

    Special tokens are left out where they can be told: they are much alike in every text.
    """
    pieces: list[tuple[int, str]] = []
    for i, text in enumerate(texts):
        spans = windows(text, encoder)
        pieces += [(i, text[a:b]) for a, b in spans] if len(spans) > 1 else [(i, text)]
    parts: list[list[Vectors]] = [[] for _ in texts]
    for (i, piece), vectors in zip(pieces, encoder.encode_tokens([p for _, p in pieces]), strict=True):
        parts[i].append(inner_vectors(encoder, piece, vectors))
    return [np.concatenate(p) for p in parts]


def read_packed(encoder: Encoder, texts: Sequence[str]) -> list[Packed]:
    """``read_passages``, in the form that is stored."""
    return [pack(vectors) for vectors in read_passages(encoder, texts)]


def packed_revision(encoder: Encoder) -> str:
    """Names what read and how it is packed: vectors of two revisions cannot be compared."""
    return f"{encoder.revision}-packed-{VERSION}"


def inner_vectors(encoder: Encoder, text: str, vectors: Vectors) -> Vectors:
    """What ``read_passages`` takes of ``encode_tokens`` of a text that fits the window: no special tokens."""
    inner = without_specials(vectors, encoder.tokenizer.spans(text))
    return vectors if inner is None or not len(inner) else inner


def read_query(encoder: Encoder, query: str) -> Vectors:
    """(n_tokens, dim): the word pieces of a query, as far as the encoder's window reaches."""
    return inner_vectors(encoder, query, encoder.encode_tokens([query])[0])
