"""What tuning says of a fusion is what a search fused so gives, for every kind of question."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.tuning import Question, tune, values_under
from core.types import Where
from eval.metrics.ranking import evaluate_run, parse_metric
from retrieval.fusion_grid import RankedRows
from retrieval.fusion_weights import FusionWeights, keep_weights
from retrieval.ranking import trust_in_vectors
from retrieval.stage_lists import CollectionLists, DocumentNames, StageLists, document_names
from tests.support.hash_encoder import HashEncoder, WordTokenizer
from tests.support.library import LOCAL, Library, document_id, library

WORDS = [f"word{i}" for i in range(25)]
CANDIDATES = [
    FusionWeights(fusion="convex", alpha=0.5, rrf_k=60, depth=200),
    FusionWeights(fusion="convex", alpha=0.95, rrf_k=60, depth=10),
    FusionWeights(fusion="convex", alpha=0.05, rrf_k=60, depth=50),
    FusionWeights(fusion="rrf", alpha=0.5, rrf_k=30, depth=50),
]


class SpellsUnknown(WordTokenizer):
    """A tokenizer that knows which scripts its model was taught: none with "xenon" in it."""

    def share_read(self, text: str) -> float:
        return 0.0 if "xenon" in text else 1.0


class Encoder(HashEncoder):
    @property
    def tokenizer(self) -> WordTokenizer:
        return SpellsUnknown()


def text_of(i: int) -> str:
    drawn = np.random.default_rng(i).choice(WORDS, 5)
    return f"{drawn[0]} {drawn[1]} kx-{4000 + i} {' '.join(drawn[2:])} xenon"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder: Path = tmp_path_factory.mktemp("data")
    with library(folder, Encoder(6)) as made:  # of six numbers, so that vectors and words often disagree
        made.create("c")
        made.put_many("c", {f"d{i}": text_of(i) for i in range(60)}, words_per_chunk=20)
        yield made


def questions(kind: str) -> list[Question]:
    def query(i: int) -> str:
        words = text_of(i).split()
        match kind:
            case "identifiers":
                return f"kx-{4000 + (i + 7) % 60}"  # found by its words; the judged document by its vector, if at all
            case "quoted":
                return f'"{words[0]} {words[1]}"'
            case "unread":
                return f"{words[0]} {words[-2]} xenon"
            case _:
                return f"{words[0]} {words[-2]} or {words[3]}"

    return [Question(id=f"{kind}{i}", query=query(i), docs={f"d{i}": 1}) for i in range(0, 60, 3)]


@pytest.mark.parametrize("kind", ["words", "identifiers", "unread", "quoted"])
def test_each_question_is_worth_under_each_fusion_what_its_search_gives(shelf: Library, kind: str) -> None:
    asked = questions(kind)
    lists = CollectionLists(shelf.engine, LOCAL, "c", shelf.settings)
    measured = values_under(lists, document_names(shelf.engine, LOCAL, "c"), asked, CANDIDATES)
    where = Where(principal=LOCAL, collections=("c",))
    try:
        for at, candidate in enumerate(CANDIDATES):
            keep(shelf, candidate)
            retriever = shelf.engine.retriever("hybrid")
            run = {q.id: {h.chunk.doc_id: h.score for h in retriever.search(q.query, 10, where)} for q in asked}
            judged = {q.id: {document_id("c", uri): grade for uri, grade in q.docs.items()} for q in asked}
            found = evaluate_run(run, judged, [parse_metric("ndcg@10")])
            expected = [found[q.id]["ndcg@10"] for q in asked]
            assert measured[:, at].tolist() == pytest.approx(expected, abs=1e-9), candidate.text()
    finally:
        keep(shelf, None)
    assert measured.any()


def keep(shelf: Library, weights: FusionWeights | None) -> None:
    with shelf.database.write() as connection:
        change = keep_weights(connection, LOCAL, "c", None if weights is None else weights.to_json())
    shelf.engine.publish(change)


def test_no_gain_is_found_in_weights_that_every_search_of_an_identifier_uses_already() -> None:
    """By the plain weight of 0.5 the neighbour would be first: 0.5 · 0.6 + 0.5 · 1 > 0.5 · 1. It is searched with 0.2 at most."""
    n = 25  # documents; each has a neighbour that vectors put first, and a third that comes last by its words

    def lists(query: str, depth: int) -> StageLists:
        i = int(query.removeprefix("CVE-2026-"))
        return StageLists(
            by_terms=RankedRows.of([(i, 10.0), (n + i, 6.0), (2 * n + i, 0.0)]),
            by_vectors=RankedRows.of([(n + i, 0.9), (2 * n + i, 0.5), (i, 0.1)]),
            trust=trust_in_vectors(query, ()),
        )

    ids = tuple(f"d{i:03}" for i in range(3 * n))
    names = DocumentNames(ids=ids, names={one: (one,) for one in ids}, document_of=np.arange(3 * n))
    asked = [Question(id=str(i), query=f"CVE-2026-{i}", docs={ids[i]: 1}) for i in range(n)]
    tuned = tune(lists, names, asked, CANDIDATES[0])
    assert tuned.choice.present_mean == 1.0
    assert tuned.chosen == tuned.present and not tuned.choice.shown
