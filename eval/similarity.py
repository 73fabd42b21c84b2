"""How like an answer is to the gold answers, beyond SQuAD's F1: ROUGE-L, BLEU, BERTScore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.protocols import Encoder
from core.types import Sample, Score
from eval.metrics.bertscore import bert_f1
from eval.metrics.bleu import sentence_bleu
from eval.metrics.rouge import rouge_l
from eval.metrics.squad import best_over_golds

if TYPE_CHECKING:
    from eval.qa_scores import Outcome

SIMILARITIES = ("rouge_l", "bleu", "bertscore")


def similarity_scores(sample: Sample, outcome: Outcome, encoder: Encoder | None) -> list[Score]:
    """Best over the gold answers (BLEU takes them together). As for f1, an abstention or a failure scores 0, and a
    question that is unanswerable or has no gold answer cannot be scored."""
    if not sample.answerable:
        reason = "unanswerable"
    elif not sample.answers:
        reason = "no gold answer"
    else:
        reason = ""
    values: dict[str, float | None] = {"rouge_l": None, "bleu": None, "bertscore": None}
    if not reason:
        text = outcome.text
        values["rouge_l"] = best_over_golds(rouge_l, text, sample.answers) if outcome.answered else 0.0
        values["bleu"] = sentence_bleu(text, sample.answers) if outcome.answered else 0.0
        if encoder is not None:
            values["bertscore"] = _bertscore(text, sample, encoder) if outcome.answered else 0.0
    return [
        Score(
            metric=name, sample_id=sample.id, value=value, reason=reason or ("" if value is not None else "no encoder")
        )
        for name, value in values.items()
    ]


def _bertscore(text: str, sample: Sample, encoder: Encoder) -> float:
    said, *golds = encoder.encode_tokens([text, *sample.answers])
    return max(bert_f1(said, gold) for gold in golds)
