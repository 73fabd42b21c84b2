"""One question of an evaluation, searched or answered, and the row that is kept of it. Of documents it holds places, not what stands there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agents.prompts import Prompts
from app.eval_asking import Asking
from app.eval_configs import Configuration, Searcher
from app.eval_runs import question_key
from app.eval_sets import KeptQuestion
from app.query_sides import query_side
from app.strategies import STRATEGIES, build_strategy, run_limits, without_lm
from core.ids import new_id
from core.types import Principal, Sample, Where
from eval.datasets import QaDataset
from eval.metrics.context import context_precision
from eval.qa_scores import Outcome, score_outcomes
from eval.slices import word_overlap
from eval.spans import FoundSpan, holds, span_metrics

if TYPE_CHECKING:
    from app.services import Services

COMMIT_EVERY_S = 1.0


def searched_rows(
    services: Services,
    principal: Principal,
    configuration: Configuration,
    found: Searcher,
    questions: Sequence[KeptQuestion],
) -> dict[str, Any]:
    """A row for each of the first questions, as many as a second allows. Each is timed as if it had never been asked: else a
    configuration would be the faster for one before it that had the question's vector made (decision 0176)."""
    rows: dict[str, Any] = {}
    began = time.monotonic()
    for question in questions:
        if rows and time.monotonic() - began > COMMIT_EVERY_S:
            break
        services.models.encoders.forget()
        started = time.perf_counter()
        hits = found.find(configuration.asked(question.question))
        seconds = time.perf_counter() - started
        rows[question_key(question)] = {
            "metrics": span_metrics([hit.span for hit in hits], question.gold),
            "seconds": seconds,
            "overlap": overlap_of(services, principal, question),
            "found": [
                {**_shown(hit.span, hit.title, question), "parts": {name: asdict(p) for name, p in hit.parts.items()}}
                for hit in hits
            ],
        }
    return rows


def overlap_of(services: Services, principal: Principal, question: KeptQuestion) -> float | None:
    """How many of its words stand where it is answered."""
    spans = [g for g in question.gold if g.end]
    texts = [services.store.get_document(principal, g.doc_id).text[g.start : g.end] for g in spans]
    return word_overlap(question.question, "\n".join(texts)) if texts else None


def _shown(span: FoundSpan, title: str, question: KeptQuestion) -> dict[str, Any]:
    return {**asdict(span), "title": title, "holds": any(holds(span, gold) for gold in question.gold)}


async def answer_of(
    services: Services,
    principal: Principal,
    collection: str,
    strategy: str,
    question: str,
    prompts: Prompts,
    asking: Asking,
) -> Outcome:
    """What became of a question; a failure is an outcome, but for those of the moment, which raise as ``Asking`` says."""
    made = build_strategy(strategy, services, principal, collections=[collection], prompts=prompts)
    where = Where(principal=principal, collections=(collection,))
    limits = run_limits(
        services.settings, strategy, query_side(services.settings, writes=STRATEGIES[strategy].needs_lm).tokens
    )
    return await asking.to_the_end(
        lambda: made.run(question, history=(), limits=limits, where=where, run_id=new_id("r")),
        None if strategy in without_lm(services.settings) else services.models.lm,
    )


def answered_row(
    services: Services, strategy: str, question: KeptQuestion, outcome: Outcome, given: Sample | None = None
) -> dict[str, Any]:
    """``given``: what it was answered from, where that was chosen for it; such passages have no place in a document."""
    sample = given or Sample(
        id=question.question_id,
        question=question.question,
        answers=question.answers,
        answerable=question.answerable,
    )
    data = QaDataset(name="", samples=(sample,), sha256="")
    scored = score_outcomes(
        data, [outcome], services.verifier, strategy=strategy, mode="collection", encoder=services.encoder
    )
    answer = outcome.answer
    metrics = dict(scored.per_query[sample.id])
    if (
        given is None and answer is not None and answer.hits and question.gold and question.answerable
    ):  # the spans are known here
        read = [FoundSpan(doc_id=h.chunk.doc_id, start=h.chunk.start, end=h.chunk.end) for h in answer.hits]
        held = sum(any(holds(r, g) for r in read) for g in question.gold)
        metrics |= {
            "context_precision": context_precision([any(holds(r, g) for g in question.gold) for r in read]),
            "context_recall": held / len(question.gold),
        }
    return {
        "metrics": metrics,
        "unscored": {m: why for m, reasons in scored.unscored.items() for why in reasons if metrics[m] is None},
        "seconds": outcome.seconds,
        "tokens": [outcome.usage.prompt_tokens, outcome.usage.completion_tokens],
        "confidence": answer.confidence if answer is not None else None,
        "answer": answer.text if answer is not None else "",
        # Places only: whoever may no longer see what a sentence says finds nothing of it here.
        "sentences": [[s.start, s.end, s.verdict] for s in (answer.sentences if answer is not None else ())],
        "abstained": outcome.abstained,
        "error": outcome.error,
        "found": [
            _shown(FoundSpan(doc_id=c.doc_id, start=c.start, end=c.end), c.title, question)
            for c in (answer.citations if answer is not None and given is None else ())
        ],
    }
