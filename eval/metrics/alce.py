"""Citation recall and precision of an answer (ALCE; Gao et al. 2023).

Knows neither answers nor verifiers: it is handed sentences with the texts that they cite, and a test of entailment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Entails: TypeAlias = Callable[[str, Sequence[str]], bool]  # (claim, texts taken jointly)


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedSentence:
    """A sentence without its markers; ``cited`` holds one text per marker, None for one that points nowhere."""

    text: str
    cited: tuple[str | None, ...]


def citation_recall(sentences: Sequence[CitedSentence], entails: Entails) -> float:
    """Share of sentences entailed by what they cite, jointly; without a citation, or with one out of range, 0."""
    return sum(_supported(sentence, entails) for sentence in sentences) / len(sentences) if sentences else 0.0


def citation_precision(sentences: Sequence[CitedSentence], entails: Entails) -> float:
    """Share of citations that count: their sentence is supported jointly, and (the citation alone entails it, or the
    other citations together do not). 0 without any citation.

    ALCE's code leaves the citations of a sentence with an out-of-range marker out of the divisor, so that inventing a
    source costs recall only; here they stay in it and count 0, as the paper's text has it.
    """
    n_citations = sum(len(sentence.cited) for sentence in sentences)
    counted = sum(_counting(sentence, entails) for sentence in sentences)
    return counted / n_citations if n_citations else 0.0


def _texts(sentence: CitedSentence) -> list[str] | None:
    texts = [text for text in sentence.cited if text is not None]
    return texts if texts and len(texts) == len(sentence.cited) else None


def _supported(sentence: CitedSentence, entails: Entails) -> bool:
    texts = _texts(sentence)
    return texts is not None and entails(sentence.text, texts)


def _counting(sentence: CitedSentence, entails: Entails) -> int:
    texts = _texts(sentence)
    if texts is None or not entails(sentence.text, texts):
        return 0
    if len(texts) == 1:
        return 1
    return sum(
        entails(sentence.text, [text]) or not entails(sentence.text, texts[:i] + texts[i + 1 :])
        for i, text in enumerate(texts)
    )
