"""The sentence of each found passage that answers best: what a person reads first.

By words (a fraction of a millisecond for each passage) it is the sentence that has most of the query's terms, the rare ones counting
most; by tokens (late interaction, which reads every passage with the encoder once more) the one in which the query's
tokens find their best matches. The stages before know nothing of it: it changes no rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from core.late_interaction import PlacedTokens, best_matches, place_tokens
from core.lexical import coverage, rarity
from core.protocols import Encoder
from core.text import fold, sentence_spans
from core.types import Hit, Vectors
from retrieval.sparse.analyse import ENGLISH_STOP_WORDS, Analyser

HighlightBy: TypeAlias = Literal["off", "words", "tokens"]
Span: TypeAlias = tuple[int, int]

_FUNCTION_WORD_WEIGHT = 0.15  # as in quoting (agents.scoring)


@dataclass(frozen=True, slots=True, kw_only=True)
class Highlighter:
    """Thread-safe. ``encoder`` is asked for "tokens" only."""

    analyser: Analyser
    encoder: Encoder

    def spans(self, query: str, hits: Sequence[Hit], by: HighlightBy) -> list[Span | None]:
        """Per hit the sentence, as half-open offsets in code points of its document's stored text.

        It is a sentence of what was found, where that is less than what is read. None where nothing of the passage
        speaks to the query: no term of it by words, no token at all by tokens.
        """
        passages = [hit.matched or hit.chunk for hit in hits]
        texts = [p.text for p in passages]
        match by:
            case "off":
                found: list[Span | None] = [None] * len(hits)
            case "words":
                found = best_by_words(query, texts, self.analyser)
            case "tokens":
                found = best_by_tokens(query, texts, self.encoder)
        return [
            None if span is None else (p.start + span[0], p.start + span[1])
            for p, span in zip(passages, found, strict=True)
        ]


def best_by_words(query: str, texts: Sequence[str], analyser: Analyser) -> list[Span | None]:
    """Per text its sentence with the largest share of the query's terms, by rarity among the sentences of all texts.

    Ties go to the shorter sentence, then to the earlier one.
    """
    wanted = list(dict.fromkeys(analyser.terms(query)))
    sentences = [sentence_spans(text) for text in texts]
    terms = [[set(analyser.terms(text[a:b])) for a, b in spans] for text, spans in zip(texts, sentences, strict=True)]
    weights = rarity(wanted, [found for of_text in terms for found in of_text])
    best: list[Span | None] = []
    for spans, of_text in zip(sentences, terms, strict=True):
        scored = [
            (coverage(weights, found.__contains__), a - b, -a, (a, b))
            for (a, b), found in zip(spans, of_text, strict=True)
        ]
        score, _, _, span = max(scored, default=(0.0, 0, 0, (0, 0)))
        best.append(span if score > 0 else None)
    return best


def best_by_tokens(query: str, texts: Sequence[str], encoder: Encoder) -> list[Span | None]:
    """Per text its sentence with the highest mean over the query's tokens of the best cosine in the sentence.

    Function words and signs of the query weigh less. None for all if the encoder's tokens cannot be placed.
    """
    placed = place_tokens([query, *texts], encoder)
    if placed is None:
        return [None] * len(texts)
    asked, *read = placed
    weights = np.array(
        [_weight(query[a:b]) for a, b in zip(asked.starts, asked.ends, strict=True)], dtype=np.float32
    )  # (n_query_tokens,)
    return [_closest(asked.vectors, weights, text, tokens) for text, tokens in zip(texts, read, strict=True)]


def _closest(query: Vectors, weights: Vectors, text: str, tokens: PlacedTokens) -> Span | None:
    best: tuple[float, Span] | None = None
    for a, b in sentence_spans(text):
        inside = tokens.within(a, b)
        if len(inside) and len(query):
            score = float(np.average(best_matches(query, inside), weights=weights))
            if best is None or score > best[0]:
                best = score, (a, b)
    return None if best is None else best[1]


def _weight(token: str) -> float:
    content = any(c.isalnum() for c in token) and fold(token) not in ENGLISH_STOP_WORDS
    return 1.0 if content else _FUNCTION_WORD_WEIGHT
