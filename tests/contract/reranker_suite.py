"""What every Reranker must do. A subclass gives ``reranker`` as a fixture, and ``stages`` if it adds other parts."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from core.errors import InvalidRequest
from core.protocols import Reranker
from core.types import Chunk, Hit, StagePart

QUERY = "hello passage"
TEXTS = (
    "hello world",
    "a passage that says hello, and then a good deal more before it ends",
    "word after word after word",
    "short",
    "before the world there was a word " * 40,
    "Zürich — «quoted» 漢字 😀",
    "\u200b",
    "hello passage",
)
TOLERANCE = 1e-4


def found(texts: Sequence[str] = TEXTS) -> list[Hit]:
    """Hits as a fused search gives them: scores from 1 downwards."""
    hits = []
    for rank, text in enumerate(texts, start=1):
        score = 1 - (rank - 1) / 10
        chunk = Chunk(chunk_id=f"c{rank}", doc_id=f"d{rank}", text=text, start=0, end=len(text), n_tokens=1)
        parts = {"bm25": StagePart(rank=rank, score=9.0), "fused": StagePart(rank=rank, score=score)}
        hits.append(Hit(chunk=chunk, title="", collection="c", score=score, rank=rank, source="fused", parts=parts))
    return hits


def ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.chunk.chunk_id for hit in hits]


class RerankerSuite:
    last = "rerank"  # the stage that gives the order

    def test_every_hit_comes_back_once_ranked_from_one(self, reranker: Reranker) -> None:
        hits = reranker.rerank(QUERY, found(), len(TEXTS))
        assert sorted(ids(hits)) == sorted(ids(found()))
        assert [hit.rank for hit in hits] == list(range(1, len(TEXTS) + 1))

    def test_scores_are_numbers_that_fall_with_the_rank(self, reranker: Reranker) -> None:
        scores = [hit.score for hit in reranker.rerank(QUERY, found(), len(TEXTS))]
        assert np.isfinite(scores).all()
        assert scores == sorted(scores, reverse=True)

    def test_it_says_what_it_did_beside_what_was_said_before(self, reranker: Reranker) -> None:
        before = {hit.chunk.chunk_id: hit for hit in found()}
        for hit in reranker.rerank(QUERY, found(), len(TEXTS)):
            assert hit.source == self.last
            assert hit.parts[self.last] == StagePart(rank=hit.rank, score=hit.score)
            assert set(hit.parts) > {"bm25", "fused"}
            assert hit.parts["fused"] == before[hit.chunk.chunk_id].parts["fused"]

    def test_each_stage_ranks_all_candidates_by_its_score(self, reranker: Reranker) -> None:
        hits = reranker.rerank(QUERY, found(), len(TEXTS))
        for stage in set(hits[0].parts) - {"bm25", "fused"}:
            by_rank = sorted(hits, key=lambda hit, stage=stage: hit.parts[stage].rank)  # type: ignore[misc]
            assert [hit.parts[stage].rank for hit in by_rank] == list(range(1, len(hits) + 1))
            scores = [hit.parts[stage].score for hit in by_rank]
            assert scores == sorted(scores, reverse=True)

    def test_passages_themselves_are_untouched(self, reranker: Reranker) -> None:
        given = found()
        hits = reranker.rerank(QUERY, given, len(TEXTS))
        assert given == found()
        whole = {hit.chunk.chunk_id: hit.chunk for hit in given}
        assert all(hit.chunk == whole[hit.chunk.chunk_id] for hit in hits)

    def test_fewer_are_the_beginning_of_more(self, reranker: Reranker) -> None:
        every = reranker.rerank(QUERY, found(), len(TEXTS))
        assert reranker.rerank(QUERY, found(), 3) == every[:3]
        assert reranker.rerank(QUERY, found(), 1000) == every

    def test_nothing_found_stays_nothing(self, reranker: Reranker) -> None:
        assert reranker.rerank(QUERY, [], 5) == []

    def test_a_single_hit_is_the_best(self, reranker: Reranker) -> None:
        (hit,) = reranker.rerank(QUERY, found(["hello"]), 5)
        assert (hit.rank, hit.source) == (1, self.last)

    def test_equal_passages_keep_their_order(self, reranker: Reranker) -> None:
        same = [replace(hit, score=0.5) for hit in found(["hello world"] * 5)]
        assert ids(reranker.rerank(QUERY, same, 5)) == ids(same)

    def test_the_order_they_came_in_does_not_matter(self, reranker: Reranker) -> None:
        forth = reranker.rerank(QUERY, found(), len(TEXTS))
        back = reranker.rerank(QUERY, found()[::-1], len(TEXTS))
        scores = {hit.chunk.chunk_id: hit.score for hit in back}
        for hit in forth:
            assert hit.score == pytest.approx(scores[hit.chunk.chunk_id], abs=TOLERANCE)

    def test_what_was_found_in_a_larger_passage_is_what_is_read(self, reranker: Reranker) -> None:
        plain = found()
        large = [replace(h, chunk=replace(h.chunk, text="all of it " * 50), matched=h.chunk) for h in plain]
        scores = [hit.score for hit in reranker.rerank(QUERY, plain, len(TEXTS))]
        assert [hit.score for hit in reranker.rerank(QUERY, large, len(TEXTS))] == scores

    def test_the_same_call_gives_the_same_hits(self, reranker: Reranker) -> None:
        assert reranker.rerank(QUERY, found(), 5) == reranker.rerank(QUERY, found(), 5)

    def test_threads_share_one_reranker(self, reranker: Reranker) -> None:
        queries = [QUERY, "word", "before the world", "short hello"]
        alone = [reranker.rerank(q, found(), len(TEXTS)) for q in queries]
        with ThreadPoolExecutor(max_workers=4) as pool:
            together = list(pool.map(lambda q: reranker.rerank(q, found(), len(TEXTS)), queries * 4))
        for i, hits in enumerate(together):
            expected = {hit.chunk.chunk_id: hit.score for hit in alone[i % len(queries)]}
            for hit in hits:
                assert hit.score == pytest.approx(expected[hit.chunk.chunk_id], abs=TOLERANCE)

    def test_half_a_surrogate_pair_is_read_as_an_unknown_character(self, reranker: Reranker) -> None:
        hits = reranker.rerank("before \ud83d after", found(["hello \ud83d world", "short"]), 2)
        assert len(hits) == 2

    @pytest.mark.parametrize(("query", "k", "message"), [("  ", 3, "the query is empty"), ("hello", 0, "k = 0")])
    def test_bad_requests_are_refused(self, reranker: Reranker, query: str, k: int, message: str) -> None:
        with pytest.raises(InvalidRequest, match=message):
            reranker.rerank(query, found(), k)
