"""Context precision and recall: whether what an answer was read from holds what answers.

By known gold passages or gold answers, not by a judge: a passage is relevant if it is a gold passage or holds a short gold
answer word for word.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.types import Answer, Sample
from eval.metrics.squad import contains

# A longer gold answer is a paragraph, which no passage holds word for word.
SHORT_WORDS = 12


def context_precision(relevant: Sequence[bool]) -> float:
    """Mean over the relevant passages of the share of relevant ones down to it: Σ_k P@k · rel_k / Σ rel_k.

    Es et al. 2023 (RAGAS). 0 if none is relevant. [relevant, not, relevant]: (1/1 + 2/3) / 2 = 0.833.
    """
    found, total = 0, 0.0
    for k, one in enumerate(relevant, start=1):
        if one:
            found += 1
            total += found / k
    return total / found if found else 0.0


def context_scores(sample: Sample, answer: Answer, *, by_ids: bool) -> tuple[float | None, float | None, str]:
    """(context precision, context recall, why there is none) of one question.

    Recall by answers is whether any short gold answer stands in what was read; by ids it is the share of gold passages.

    Args:
        by_ids: whether ``gold_ids`` are ids of documents or passages of what was searched. Elsewhere those of them count that are
            titles of the question's contexts, as supporting facts are, and if none is, the answers do.
    """
    if not sample.answerable:
        return None, None, "unanswerable"
    if not answer.hits:
        return None, None, "nothing was retrieved"
    titles = {title for title, _ in sample.contexts}
    gold = {g for g in sample.gold_ids if by_ids or g in titles}
    if gold:
        read = [({h.chunk.doc_id, h.chunk.chunk_id} if by_ids else {h.title}) & gold for h in answer.hits]
        return context_precision([bool(r) for r in read]), len(set().union(*read)) / len(gold), ""
    short = [a for a in sample.answers if len(a.split()) <= SHORT_WORDS]
    if not short:
        return None, None, "no gold passage and no short gold answer"
    relevant = [any(contains(h.chunk.text, a) for a in short) for h in answer.hits]
    return context_precision(relevant), float(any(relevant)), ""
