"""Fitting the fusion of hybrid search on questions whose right documents are known. Part of the wiring: retrieval ranks,
eval judges, and neither knows the other.

What is fitted is the fusion alone: what comes after it (reranking, leaving out near-duplicates) sees another list
afterwards, and is not measured here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest, OpenbookError
from core.settings import Settings
from core.types import Principal
from eval.choosing import Choice, choose
from eval.compare import signed
from eval.datasets import RetrievalDataset
from eval.metrics.ndcg import ndcg
from eval.progress import Progress, silent
from retrieval.engine import SearchEngine
from retrieval.fusion_grid import RankedRows, grid, ranks_under
from retrieval.fusion_weights import FusionWeights, kept_weights, weights_of
from retrieval.stage_lists import CollectionLists, DocumentNames, StageLists, document_names

Lists: TypeAlias = Callable[[str, int], StageLists]

METRIC, CUTOFF = "ndcg@10", 10
MAX_QUESTIONS = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """``docs`` are names of the documents that answer, with their grade of 1 or more."""

    id: str
    query: str
    docs: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    present: FusionWeights
    chosen: FusionWeights
    n_candidates: int
    choice: Choice

    def to_json(self) -> dict[str, Any]:
        """The document of `openbook tune --json`, less where it was measured and what was done about it."""
        c = self.choice.comparison
        return {
            "kind": "tune",
            "metric": METRIC,
            "n_questions": self.choice.n_questions,
            "n_candidates": self.n_candidates,
            "n_folds": self.choice.n_folds,
            "present": self.present.to_json(),
            "chosen": self.chosen.to_json(),
            "present_mean": self.choice.present_mean,
            "chosen_mean_seen": self.choice.chosen_mean,
            "chosen_mean_unseen": c.mean_b,
            "difference": c.difference,
            "ci_low": c.ci_low,
            "ci_high": c.ci_high,
            "p": c.p,
            "wins": c.wins,
            "losses": c.losses,
            "shown": self.choice.shown,
            "more_questions": self.choice.more_questions,
            "chosen_in_folds": self.choice.chosen_in_folds[0][1],
            "text": self.choice.text(),
        }

    def evidence(self) -> dict[str, Any]:
        """What is kept beside the weights, so that a listing can say why they are there."""
        c = self.choice.comparison
        return {
            "metric": METRIC,
            "n_questions": self.choice.n_questions,
            "gain": c.difference,
            "ci_low": c.ci_low,
            "ci_high": c.ci_high,
            "p": c.p,
        }


def tune(
    lists: Lists,
    names: DocumentNames,
    questions: Sequence[Question],
    present: FusionWeights,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Tuned:
    """Chooses among all candidates by nDCG@10 over documents, and measures the choice by nested cross-validation.

    Raises:
        InvalidRequest: too few or too many questions, an id twice, or a document that is not there or not named for sure.
    """
    if len(questions) > MAX_QUESTIONS:
        raise InvalidRequest(f"{len(questions):,} questions: {MAX_QUESTIONS:,} are enough, take a sample", code="usage")
    twice = {q.id for q in questions}
    if len(twice) < len(questions):
        raise InvalidRequest("two questions have the same id: ids must differ", code="bad-dataset")
    relevant = [_numbers(q, names) for q in questions]
    candidates = grid(present)
    values = _values(lists, names, questions, relevant, candidates, progress)
    groups = [names.ids[min(judged)] for judged in relevant]
    choice = choose(values, groups, metric=METRIC, seed=seed, progress=progress)
    return Tuned(present=present, chosen=candidates[choice.chosen], n_candidates=len(candidates), choice=choice)


def values_under(
    lists: Lists, names: DocumentNames, questions: Sequence[Question], candidates: Sequence[FusionWeights]
) -> NDArray[np.float64]:
    """(n_questions, n_candidates): nDCG@10 over documents, as a search that is fused by a candidate would have it.

    Raises:
        InvalidRequest: a document that is not there or not named for sure.
    """
    return _values(lists, names, questions, [_numbers(q, names) for q in questions], candidates, silent)


def _values(
    lists: Lists,
    names: DocumentNames,
    questions: Sequence[Question],
    relevant: Sequence[Mapping[int, int]],
    candidates: Sequence[FusionWeights],
    progress: Progress,
) -> NDArray[np.float64]:
    values = np.zeros((len(questions), len(candidates)))
    depth = max(candidate.depth for candidate in candidates)
    for i, (question, judged) in enumerate(zip(questions, relevant, strict=True)):
        progress("searching", i, len(questions))
        found = lists(question.query, depth)
        by_terms, by_vectors = (_known(one, names.document_of) for one in (found.by_terms, found.by_vectors))
        wanted = list(judged)
        # As each would be searched with: of an identifier, say, no candidate can let the vectors say more.
        searched = [candidate.within(found.trust) for candidate in candidates]
        ranks = ranks_under(searched, by_terms, by_vectors, names.document_of, wanted, found.tiers)
        values[i] = [_ndcg(row, list(judged.values())) for row in ranks.tolist()]
    return values


def tune_collection(
    engine: SearchEngine,
    settings: Settings,
    principal: Principal,
    collection: str,
    questions: Sequence[Question],
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Tuned:
    """``tune`` over what a collection holds now. Raises NotFound for a collection that this principal cannot see."""
    return tune(
        CollectionLists(engine, principal, collection, settings),
        document_names(engine, principal, collection),
        questions,
        present_weights(engine, settings, principal, collection),
        seed=seed,
        progress=progress,
    )


def present_weights(engine: SearchEngine, settings: Settings, principal: Principal, collection: str) -> FusionWeights:
    """What a search of this collection alone is fused by."""
    collection_id = engine.store.readable_collections(principal, [collection])[collection]
    with engine.store.database.read() as connection:
        return kept_weights(connection, collection_id) or weights_of(settings)


def questions_of(dataset: RetrievalDataset) -> list[Question]:
    """The judged questions of a BEIR folder, without those of which nothing is relevant."""
    found = []
    for query_id, judged in dataset.qrels.items():
        docs = {doc_id: grade for doc_id, grade in judged.items() if grade > 0}
        if docs:
            found.append(Question(id=query_id, query=dataset.queries[query_id], docs=docs))
    return found


def refusal(tuned: Tuned) -> OpenbookError:
    """What --apply says where there is nothing to apply."""
    if tuned.chosen.same_order_as(tuned.present):
        return OpenbookError(
            f"nothing to apply: {tuned.present.text()} is the best of {tuned.n_candidates}", code="not-shown"
        )
    return OpenbookError(
        f"not applied: {tuned.chosen.text()} gains {signed(tuned.choice.comparison.difference)} on questions that it "
        f"has not seen; {tuned.choice.text()}",
        code="not-shown",
    )


def _known(found: RankedRows, document_of: NDArray[np.int64]) -> RankedRows:
    """Without rows that came after the documents were looked up."""
    keep = found.rows < len(document_of)
    keep[keep] = document_of[found.rows[keep]] >= 0
    return RankedRows(rows=found.rows[keep], scores=found.scores[keep])


def _numbers(question: Question, names: DocumentNames) -> dict[int, int]:
    numbers: dict[int, int] = {}
    for name, grade in question.docs.items():
        ids = names.names.get(name, ())
        if len(ids) != 1:
            found = f"{len(ids)} documents are called {name!r}" if ids else f"no document is called {name!r}"
            raise InvalidRequest(
                f"question {question.id!r}: {found}: name it by its doc_id, its file's name or its title, as "
                "`openbook documents list` shows them",
                code="bad-dataset",
            )
        numbers[bisect_left(names.ids, ids[0])] = grade
    if not numbers:
        raise InvalidRequest(f"question {question.id!r} names no document that answers it", code="bad-dataset")
    return numbers


def _ndcg(ranks: Sequence[int], grades: Sequence[int]) -> float:
    by_rank = [0] * CUTOFF
    for rank, grade in zip(ranks, grades, strict=True):
        if 1 <= rank <= CUTOFF:
            by_rank[rank - 1] = grade
    return ndcg(by_rank, grades, CUTOFF)
