"""Questions of a set answered from passages that are chosen for each: its own, its own among others', or its own with another answer put in.

So it is seen what a strategy makes of what it reads, whatever a search would have found (Chen et al. 2024, RGB: noise and counterfactual
robustness). Part of the wiring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from agents.prompts import Prompts
from app.eval_asking import Asking
from app.eval_configs import Contexts
from app.eval_runs import question_key
from app.eval_sets import KeptQuestion
from app.library import PassageLibrary
from app.query_sides import query_side
from app.strategies import STRATEGIES, Parts, assemble, run_limits, without_lm
from app.wiring import model_cache_dir
from core.errors import InvalidRequest
from core.ids import new_id
from core.types import Principal, Sample, Where
from eval.datasets import QaDataset
from eval.qa_scores import Outcome
from eval.questions import Gold
from eval.spans import FoundSpan, holds
from eval.stress import counterfactual, with_distractors
from retrieval.adhoc import build_adhoc

if TYPE_CHECKING:
    from app.services import Services

N_DISTRACTORS = 5
_WHOLE = 8_000  # characters of a span that no passage holds, or of a document that is named as a whole


def samples_of(
    services: Services, principal: Principal, questions: Sequence[KeptQuestion], contexts: Contexts
) -> tuple[dict[str, Sample], dict[str, str]]:
    """(``question_key`` → the question with the passages that it is answered from, ``question_key`` → why it has none).

    Raises:
        InvalidRequest: none is left.
    """
    own: dict[str, Sample] = {}
    for question in questions:
        passages = tuple(dict.fromkeys(p for gold in question.gold for p in [_passage(services, principal, gold)] if p))
        if passages:
            own[question_key(question)] = Sample(
                id=question_key(question),
                question=question.question,
                answers=question.answers,
                answerable=question.answerable,
                contexts=passages,
            )
    if not own:
        raise InvalidRequest(
            "none of the questions says where its answer stands, so none has passages of its own: name documents with the questions",
            code="no-passages",
        )
    left_out = {key: "no passage of its own" for key in map(question_key, questions) if key not in own}
    data = QaDataset(name="", samples=tuple(own.values()), sha256="")
    match contexts:
        case "own":
            return own, left_out
        case "distractors":
            data, why = with_distractors(data, N_DISTRACTORS), "every other passage holds its answer"
        case "counterfactual":
            data, why = counterfactual(data), "no other answer can be put in"
    samples = {sample.id: sample for sample in data.samples}
    return samples, left_out | {key: why for key in own if key not in samples}


def _passage(services: Services, principal: Principal, gold: Gold) -> tuple[str, str] | None:
    """(title, text) of the passage that holds a span; of the span itself where none does."""
    document = services.store.get_document(principal, gold.doc_id)
    if gold.end:
        for chunk in services.store.list_chunks(principal, gold.doc_id):
            if holds(FoundSpan(doc_id=chunk.doc_id, start=chunk.start, end=chunk.end), gold):
                return document.title, chunk.text
    text = document.text[gold.start : gold.end or None]
    return (document.title, text) if 0 < len(text) <= _WHOLE else None


class Reader:
    """One strategy over the passages of all the questions; each question reads its own alone."""

    def __init__(
        self,
        services: Services,
        principal: Principal,
        strategy: str,
        prompts: Prompts,
        samples: Mapping[str, Sample],
        report: Callable[[int, int], None],
    ) -> None:
        """Indexes the passages in memory; call it in a thread.

        Args:
            report: told (passages encoded, all); what it raises ends the work.
        """
        everything = dict.fromkeys(context for sample in samples.values() for context in sample.contexts)
        self._ids = {context: f"context-{n}" for n, context in enumerate(everything)}
        settings, queue = services.settings, services.models.lm
        self._queue = None if strategy in without_lm(settings) else queue
        corpus = build_adhoc(
            settings,
            ((doc_id, title, text) for (title, text), doc_id in self._ids.items()),
            services.encoder,
            model_cache_dir() / "vectors",
            report=report,
        )
        self._principal = principal
        self._made = assemble(
            strategy,
            Parts(
                settings=settings,
                retriever=corpus,
                encoder=services.reader,
                lm=None if queue is None else queue.for_user(principal.user_id),
                verifier=services.verifier,
                offload=services.offload,
                index_version=lambda: "passages of the questions",
                library=PassageLibrary(corpus.chunks, corpus.titles, corpus.name),
                prompts=prompts,
            ),
        )
        self._limits = run_limits(settings, strategy, query_side(settings, writes=STRATEGIES[strategy].needs_lm).tokens)

    async def ask(self, sample: Sample, asking: Asking) -> Outcome:
        """A failure is an outcome, but for those of the moment, which raise as ``Asking`` says."""
        where = Where(principal=self._principal, filters={"doc_id": tuple(self._ids[c] for c in sample.contexts)})
        return await asking.to_the_end(
            lambda: self._made.run(sample.question, history=(), limits=self._limits, where=where, run_id=new_id("r")),
            self._queue,
        )
