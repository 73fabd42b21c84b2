"""Questions of a collection: its documents read, candidates made by rule, each tried before it is kept. Part of the wiring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from app.eval_configs import all_documents
from app.question_writing import Written
from core.errors import InvalidRequest
from core.types import Principal, Where
from eval.comparisons import comparison_questions
from eval.multi_hop import two_hop_questions
from eval.questions import Gold, MadeQuestion, Section, SourceDocument, Split, Worth, make_questions, split_of
from eval.spans import FoundSpan, grades

if TYPE_CHECKING:
    from app.services import Services

FOUND_WITHIN = 20  # passages, by words or by meaning, among which a question's span must be
EASY_SHARE = 0.5  # of the questions, at most, that both find at once: they tell no two configurations apart
ONE_LOOK = 4  # passages that a strategy reads at once
MAX_DOCUMENTS = 200  # that questions are made of; of a larger collection so many, evenly spread


class RoundTrip:
    """Tries a question by words and by meaning, alike, so that the choice favours neither.

    Kept is what one of them finds among its first ``FOUND_WITHIN``; of a question over two passages, each step by itself; one
    whose second passage either finds within one look without the name that the first gives, and so needs no first, is put off. Those
    that both find first (of two passages: both within one look) are at most half of the questions, unless there are too few
    others.
    """

    def __init__(self, services: Services, principal: Principal, collection: str) -> None:
        engine = services.engine
        self._retrievers = (engine.retriever("bm25"), engine.retriever("dense"))
        self._where = Where(principal=principal, collections=(collection,))
        self.easy = self.not_found = self.one_passage = 0  # of all that were tried
        self._kept = self._easy_kept = 0

    def __call__(self, question: MadeQuestion) -> Worth:
        if not question.answerable:
            return "yes"
        if question.hops:
            steps = [self._ranks(hop, [gold]) for hop, gold in zip(question.hops, question.gold, strict=True)]
            lost = any(ranks == [None, None] for ranks in steps)
            if not lost and question.shortcut and _within_a_look(self._ranks(question.shortcut, question.gold[-1:])):
                self.one_passage += 1
                return "later"
            # Found together at once, it takes one look, however many passages it is about.
            together = [self._ranks(question.question, [gold]) for gold in question.gold]
            easy = all(rank is not None and rank <= ONE_LOOK for ranks in together for rank in ranks)
        else:
            ranks = self._ranks(question.question, question.gold)
            lost, easy = ranks == [None, None], ranks == [1, 1]
        if lost:
            self.not_found += 1
            return "no"
        if easy:
            self.easy += 1
            if self._easy_kept + 1 > EASY_SHARE * (self._kept + 2):
                return "later"
            self._easy_kept += 1
        self._kept += 1
        return "yes"

    def _ranks(self, query: str, golds: Sequence[Gold]) -> list[int | None]:
        """By words and by meaning: the rank of the first passage that holds one of ``golds``."""
        ranks = []
        for retriever in self._retrievers:
            hits = retriever.search(query, FOUND_WITHIN, self._where)
            found = [FoundSpan(doc_id=h.chunk.doc_id, start=h.chunk.start, end=h.chunk.end) for h in hits]
            by_rank = grades(found, golds)
            ranks.append(by_rank.index(1) + 1 if 1 in by_rank else None)
        return ranks


def _within_a_look(ranks: Sequence[int | None]) -> bool:
    return any(rank is not None and rank <= ONE_LOOK for rank in ranks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The documents that questions are made of, in halves; ``shas`` by document."""

    documents: tuple[SourceDocument, ...]
    splits: dict[str, Split]
    shas: dict[str, str]


def sources_of(services: Services, principal: Principal, collection: str, seed: int) -> Sources:
    """Up to ``MAX_DOCUMENTS`` of a collection, evenly spread.

    Raises:
        NotFound: no such collection for this person.
        InvalidRequest: it holds no document.
    """
    infos = all_documents(services, principal, collection)
    if not infos:
        raise InvalidRequest(f"the collection {collection!r} holds no document yet: add some", code="empty-collection")
    chosen = infos[:: -(-len(infos) // MAX_DOCUMENTS)]
    documents = []
    for info in chosen:
        document = services.store.get_document(principal, info.doc_id)
        chunks = services.store.list_chunks(principal, info.doc_id)
        sections = tuple(Section(start=c.start, end=c.end, heading_path=c.heading_path) for c in chunks)
        documents.append(
            SourceDocument(doc_id=info.doc_id, title=document.title, text=document.text, sections=sections)
        )
    return Sources(
        documents=tuple(documents),
        splits=split_of([d.doc_id for d in documents], seed),
        shas={info.doc_id: info.sha256 for info in chosen},
    )


def questions_of(
    services: Services,
    principal: Principal,
    collection: str,
    sources: Sources,
    *,
    n: int,
    seed: int,
    unanswerable: float,
    multi_hop: float,
    written: Written | None = None,
) -> tuple[list[MadeQuestion], dict[str, Any]]:
    """Questions and how they were made; what was ``written`` is tried first."""
    trip = RoundTrip(services, principal, collection)
    made = make_questions(
        sources.documents,
        n,
        seed=seed,
        unanswerable=unanswerable,
        written=() if written is None else written.questions,
        joined=_in_turn(
            two_hop_questions(sources.documents, sources.splits, seed),
            comparison_questions(sources.documents, sources.splits, seed),
        ),
        multi_hop=multi_hop,
        keep=trip,
    )
    stamped = [replace(q, gold=tuple(replace(g, sha256=sources.shas[g.doc_id]) for g in q.gold)) for q in made]
    origin = {
        "made": "by rule" if written is None else f"by rule and by {written.by}",
        "seed": seed,
        "wanted": n,
        "documents": len(sources.documents),
        "easy": trip.easy,
        "not_found": trip.not_found,
        "one_passage": trip.one_passage,
    }
    if written is not None:
        origin["written"] = {"asked": written.asked, "not_kept": written.not_kept, "late": written.late}
    return stamped, origin


def _in_turn(*kinds: Iterator[MadeQuestion]) -> Iterator[MadeQuestion]:
    """One of each kind as long as there are any, so that neither takes the place of the other."""
    return (question for row in zip_longest(*kinds) for question in row if question is not None)
