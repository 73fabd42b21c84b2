"""Texts as token vectors, whole: what is longer than the encoder's window is read window by window.

Knows nothing of indexes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from core.late_interaction import windows, without_specials
from core.protocols import Encoder, JointEncoder, LateEncoder
from core.types import Vectors
from retrieval.late.packed import VERSION, Packed, pack


def read_passages(encoder: Encoder, texts: Sequence[str]) -> list[Vectors]:
    """Per text its word pieces (n_tokens, dim), L2-normalised, of all its windows one after the other.

    Special tokens are left out where they can be told: they are much alike in every text. A model that was trained for late
    interaction says itself what is kept.
    """
    return _to_their_ends(encoder, texts, None)


def read_both(encoder: JointEncoder, texts: Sequence[str]) -> tuple[Vectors, list[Vectors]]:
    """``encode_documents`` and ``read_passages``; what fits the window is read once for both."""
    vectors, tokens = encoder.encode_both(texts)
    return vectors, _to_their_ends(encoder, texts, tokens)


def _to_their_ends(encoder: Encoder, texts: Sequence[str], known: Sequence[Vectors] | None) -> list[Vectors]:
    """
    Args:
        known: what ``encode_tokens`` gives of the texts, if that was read. It serves those that fit the window; of a
            longer one it ends within a sentence, and windows of whole sentences find better (docs/results/reranking.md).
    """
    parts: list[list[Vectors]] = [[] for _ in texts]
    pieces: list[tuple[int, str]] = []
    for i, text in enumerate(texts):
        runs = windows(text, encoder)
        if len(runs) > 1:
            pieces += [(i, text[a:b]) for a, b in runs]
        elif known is None:
            pieces.append((i, text))
        else:
            parts[i].append(inner_vectors(encoder, text, known[i]))
    late = _late(encoder, [p for _, p in pieces], "document")
    if late is None:
        read = encoder.encode_tokens([p for _, p in pieces])
        late = [inner_vectors(encoder, p, vectors) for (_, p), vectors in zip(pieces, read, strict=True)]
    for (i, _), vectors in zip(pieces, late, strict=True):
        parts[i].append(vectors)
    return [np.concatenate(p) for p in parts]


def read_packed(encoder: Encoder, texts: Sequence[str]) -> list[Packed]:
    """``read_passages``, in the form that is stored."""
    return [pack(vectors) for vectors in read_passages(encoder, texts)]


def packed_revision(encoder: Encoder) -> str:
    """Names what read and how it is packed: vectors of two revisions cannot be compared."""
    return f"{encoder.revision}-packed-{VERSION}"


def token_dim(encoder: Encoder) -> int:
    """Of its token vectors."""
    return int(encoder.encode_tokens(["a"])[0].shape[1])


def inner_vectors(encoder: Encoder, text: str, vectors: Vectors) -> Vectors:
    """Those of ``encode_tokens`` of a text that are word pieces of it."""
    inner = without_specials(vectors, encoder.tokenizer.spans(text))
    return vectors if inner is None or not len(inner) else inner


def read_query(encoder: Encoder, query: str) -> Vectors:
    """(n_tokens, dim): the word pieces of a query, as far as the encoder's window reaches; or what else a model that was trained for
    late interaction makes of it."""
    late = _late(encoder, [query], "query")
    if late is not None:
        return late[0]
    return inner_vectors(encoder, query, encoder.encode_tokens([query])[0])


def _late(encoder: Encoder, texts: Sequence[str], kind: Literal["query", "document"]) -> list[Vectors] | None:
    return encoder.encode_late(texts, kind) if isinstance(encoder, LateEncoder) else None
