"""ROUGE-L: the longest common subsequence of words, as an F-measure (Lin 2004).

As the package rouge-score computes it (β = 1: F = 2PR / (P + R)), without stemming. Words are ``core.text.words``, lower-cased and
composed, so that a script without spaces is compared too; rouge-score keeps [a-z0-9]+ only.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.text import words

MAX_WORDS = 2_000  # of either side: the table is quadratic


def lcs_length(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, in O(|a| |b|) time and O(|b|) space."""
    row = [0] * (len(b) + 1)
    for x in a:
        diagonal = 0
        for j, y in enumerate(b, start=1):
            above = row[j]
            row[j] = diagonal + 1 if x == y else max(above, row[j - 1])
            diagonal = above
    return row[-1]


def rouge_l(prediction: str, gold: str) -> float:
    """F of the two shares that the longest common subsequence has. "the cat sat" against "the cat": P 2/3, R 2/2, F 0.8.

    Without a word on either side 1 if both have none, else 0.
    """
    p, g = words(prediction)[:MAX_WORDS], words(gold)[:MAX_WORDS]
    if not p or not g:
        return float(p == g)
    common = lcs_length(p, g)
    if not common:
        return 0.0
    precision, recall = common / len(p), common / len(g)
    return 2 * precision * recall / (precision + recall)
