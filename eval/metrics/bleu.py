"""Sentence BLEU of one answer against its gold answers (Papineni et al. 2002).

As sacrebleu's ``sentence_bleu`` defines it: up to four words at a time, clipped by the gold answer that has most of them,
exponential smoothing of what is never found, the effective order for answers of fewer than four words, and the
length of the nearest gold answer. In [0, 1], not in percent. Words and punctuation are tokens ("13a" without its rules for
markup), case counts. A mean of sentence scores is not corpus BLEU and is not to be compared with one.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

ORDER = 4
# A number with its points and commas is one token, as in 13a; other punctuation stands alone.
_TOKEN = re.compile(r"\d+(?:[.,]\d+)+|\w+|[^\w\s]")


def tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def sentence_bleu(prediction: str, golds: Sequence[str]) -> float:
    """BP · exp(mean of ln p_n), n = 1 … min(4, length); 0 if no word is shared or either side is empty."""
    said = tokens(prediction)
    references = [tokens(g) for g in golds]
    if not said or not any(references):
        return 0.0
    logs: list[float] = []
    smoothing = 1.0
    for n in range(1, ORDER + 1):
        mine = _ngrams(said, n)
        total = sum(mine.values())
        if not total:
            break  # effective order
        most: Counter[tuple[str, ...]] = Counter()
        for reference in references:
            most |= _ngrams(reference, n)
        matched = (mine & most).total()
        if not matched and n == 1:
            return 0.0
        if not matched:
            smoothing *= 2
        logs.append(math.log(matched / total if matched else 1 / (smoothing * total)))
    return brevity_penalty(len(said), [len(r) for r in references]) * math.exp(sum(logs) / len(logs))


def brevity_penalty(length: int, references: Sequence[int]) -> float:
    """1 if the answer is longer than the gold answer nearest in length (the shorter of two as near), else e^(1 − r/c)."""
    nearest = min(references, key=lambda r: (abs(r - length), r))
    return 1.0 if length >= nearest else math.exp(1 - nearest / length)


def _ngrams(text: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1))
