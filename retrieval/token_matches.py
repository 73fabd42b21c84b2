"""For each token of a query the token of a passage that is most like it, as late interaction sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.late_interaction import PlacedTokens, inner_products, place_tokens
from core.protocols import Encoder
from core.text import word_spans


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMatch:
    """``start`` and ``end`` place ``match``, the word around the passage's best token, in the passage."""

    token: str
    match: str
    start: int
    end: int
    cosine: float


def token_matches(query: str, passages: Sequence[str], encoder: Encoder) -> list[list[TokenMatch]]:
    """Per passage one match for each token of the query, in the query's order.

    Nothing for any of them if the encoder's tokens cannot be placed in what they were read from.
    """
    placed = place_tokens([query, *passages], encoder)
    if placed is None:
        return [[] for _ in passages]
    asked, *read = placed
    return [_matches(query, asked, text, tokens) for text, tokens in zip(passages, read, strict=True)]


def _matches(query: str, asked: PlacedTokens, text: str, tokens: PlacedTokens) -> list[TokenMatch]:
    if not len(asked.vectors) or not len(tokens.vectors):
        return []
    cosines = inner_products(asked.vectors, tokens.vectors)  # (n_query_tokens, n_tokens)
    best = cosines.argmax(axis=1)
    words = word_spans(text)
    found = []
    for i, j in enumerate(best.tolist()):
        start, end = _around(words, tokens.starts[j], tokens.ends[j])
        found.append(
            TokenMatch(
                token=query[asked.starts[i] : asked.ends[i]],
                match=text[start:end],
                start=start,
                end=end,
                cosine=float(cosines[i, j]),
            )
        )
    return found


def _around(words: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    """The word that holds the range, which may be a piece of it; the range itself where none does."""
    return next(((a, b) for a, b in words if a <= start and end <= b), (start, end))
