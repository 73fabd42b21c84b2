"""Fitting from which confidence a strategy answers, on questions of which it is known whether they can be answered. Part of
the wiring: agents answer, eval judges, and neither knows the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from core.errors import InvalidRequest, OpenbookError, RunCancelled
from core.types import Answer, Sample
from eval.metrics.squad import best_over_golds, contains
from eval.progress import Progress, silent
from eval.qa_scores import Outcome
from eval.selective import Judged, fit_threshold

# A gold answer up to so many words is looked for in what was said; a longer one is a paragraph, which no quotation holds.
_SHORT_GOLD_WORDS = 12
MAX_QUESTIONS = 5000
# What a strategy answers from when it is calibrated: always.
ALWAYS = 0.0

Ask = Callable[[Sample], Awaitable[Answer]]


async def calibrate(
    samples: Sequence[Sample], ask: Ask, *, error: float, strategy: str, progress: Progress = silent
) -> dict[str, Any]:
    """Asks every question and fits the threshold: the document of `openbook calibrate --json`, less where it is kept.

    Args:
        ask: answers whatever its confidence.

    Raises:
        InvalidRequest: no or too many questions, none that cannot be answered, or a strategy that has no confidence.
    """
    if len(samples) > MAX_QUESTIONS:
        raise InvalidRequest(f"{len(samples):,} questions: {MAX_QUESTIONS:,} are enough, take a sample", code="usage")
    if all(s.answerable for s in samples):
        raise InvalidRequest(
            'every question can be answered: add some that the documents do not answer ("answerable": false), for they '
            "are what is to be told apart",
            code="bad-dataset",
        )
    judged: list[Judged] = []
    failed = compared = 0
    for done, sample in enumerate(samples):
        progress("asking", done, len(samples))
        try:
            answer = await ask(sample)
        except RunCancelled:
            raise
        except OpenbookError:
            failed += 1
            continue
        # A run that met a limit before it wrote anything was sure of nothing.
        sure = 0.0 if answer.confidence is None and answer.abstained else answer.confidence
        if sure is None:
            raise InvalidRequest(
                f"strategy {strategy!r} says nothing of how sure it is, so it cannot be calibrated: choose extract or rag",
                code="no-confidence",
            )
        golds = _short(sample)
        compared += bool(golds)
        text = Outcome(answer=answer).text
        wrong = not sample.answerable or (bool(golds) and not best_over_golds(contains, text, golds))
        judged.append(Judged(confidence=sure, answerable=sample.answerable, wrong=wrong))
    progress("asking", len(samples), len(samples))
    if failed == len(samples):
        raise OpenbookError("not one question could be answered", code="all-failed")
    fitted = fit_threshold(judged, error).to_json()
    return {"kind": "calibration", "strategy": strategy, **fitted, "n_failed": failed, "n_answers_compared": compared}


def _short(sample: Sample) -> tuple[str, ...]:
    """The gold answers, if all are short enough to be looked for in an answer."""
    if not sample.answerable or any(len(a.split()) > _SHORT_GOLD_WORDS for a in sample.answers):
        return ()
    return sample.answers
