"""Is the other word that a claim has in the place of the passage's word another word for the same?

The claim is read twice by the encoder, as it is and with the passage's word put back. Where the token vectors of the two words
in that place are far apart, the claim says something else: "the orchard was sold" for "the orchard was planted". Of the pairs
judged by people, words exchanged in supported sentences mostly have a cosine of 0.53 and more ("aims", "strives") and the least
has 0.36 ("live", "actual"); half of the words exchanged at random by ``bench.perturb`` have less than 0.24.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.verify.findings import Finding
from agents.verify.substituted import Substitution, faces, substitutions
from core.late_interaction import without_specials
from core.protocols import Encoder
from core.text import Span, word_spans
from core.types import Vectors

LIKE_FROM = 0.35
_MOST = 3  # exchanged pieces; with more it is a sentence of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """``text`` is the claim with the passage's word put back."""

    by: Substitution
    text: str


def exchanged(claim: str, likely: str) -> list[Exchanged]:
    """The words in the place of others that the encoder is to be asked about.

    Args:
        likely: the sentence of the evidence that speaks of the same; empty if there is none.
    """
    if not likely:
        return []
    found = [s for s in substitutions(claim, likely) if not (s.names or faces(s.new) or faces(s.old)) and _as_long(s)]
    if len(found) > _MOST:
        return []
    return [Exchanged(by=s, text=claim[: s.start] + s.old + claim[s.end :]) for s in found]


def check_unlike(claim: str, words: Sequence[Exchanged], encoder: Encoder) -> Iterator[Finding]:
    """Findings of the rule "unlike" (missing); ``words`` as ``exchanged`` gives them."""
    if not words:
        return
    own, *others = encoder.encode_tokens([claim, *(w.text for w in words)])
    for one, text, vectors in zip((w.by for w in words), (w.text for w in words), others, strict=True):
        new = _at(claim, own, (one.start, one.end), encoder)
        old = _at(text, vectors, (one.start, one.start + len(one.old)), encoder)
        if new is not None and old is not None and float(new @ old) < LIKE_FROM:
            yield Finding(
                rule="unlike",
                outcome="missing",
                item=one.new,
                detail=f"the claim has “{one.new}” where the passage has “{one.old}”",
            )


def _as_long(one: Substitution) -> bool:
    """Whether as many words stand there as stood there: "qb" may well be "quarterback Jimmy Garoppolo"."""
    return len(word_spans(one.old)) == len(word_spans(one.new))


def _at(text: str, vectors: Vectors, span: Span, encoder: Encoder) -> NDArray[np.float32] | None:
    """The mean direction of the tokens within ``span``; None where the encoder read none there."""
    spans = encoder.tokenizer.spans(text)
    inner = without_specials(vectors, spans)
    if inner is None:
        return None
    rows = [i for i, (a, b) in enumerate(spans[: len(inner)]) if a < span[1] and b > span[0]]
    if not rows:
        return None
    mean: NDArray[np.float32] = inner[rows].mean(axis=0)
    length = float(np.linalg.norm(mean))
    return mean / np.float32(length) if length > 0 else None
