"""Seven likenesses of query and passage, and the order that their weights make."""

from __future__ import annotations

import numpy as np
import pytest

from core.types import Chunk, Hit, Principal, Where
from retrieval.rerank.late import LateInteractionReranker
from retrieval.rerank.likeness import FEATURES, Likeness, features, shipped
from retrieval.rerank.mixing import MixingReranker
from retrieval.sparse.analyse import Analyser
from tests.support.hash_encoder import HashEncoder
from tests.support.word_overlap import OverlapRetriever

ANYWHERE = Where(principal=Principal(user_id="local"))
PASSAGES = [
    ("a", "The bridge over the river was built in 1903 and it is the longest of the county."),
    ("b", "The river was over the bridge when it was built, and the longest rain of the county fell in 1903."),
    ("c", "It is in the county that the rain fell, and over the hills."),
]


def hit(text: str, score: float, title: str = "", headings: tuple[str, ...] = ()) -> Hit:
    chunk = Chunk(chunk_id=text, doc_id=text, text=text, start=0, end=len(text), n_tokens=1, heading_path=headings)
    return Hit(chunk=chunk, title=title, collection="c", score=score, rank=1, source="fused")


def named(matrix: np.ndarray) -> dict[str, list[float]]:
    return dict(zip(FEATURES, np.round(matrix, 4).T.tolist(), strict=True))


def test_each_likeness_is_what_it_says() -> None:
    hits = [
        hit("a stone bridge stands here", 3.0, title="Bridges", headings=("Old stone",)),
        hit("the stone lies on a bridge", 1.0),
        hit("nothing of it", 2.0),
    ]
    best = np.array([[0.9, 0.8, 0.1], [0.5, 0.9, 0.3], [0.1, 0.2, 0.2]], np.float32)
    weights = np.array([1.0, 1.0, 0.15], np.float32)  # the last token is a function word
    found = named(features("stone bridge of", hits, best, weights, Analyser()))
    assert found["found"] == [1.0, 0.0, 0.5]
    assert found["late"] == pytest.approx([1.0, (1.7 / 3 - 0.5 / 3) / (1.8 / 3 - 0.5 / 3), 0.0], abs=1e-3)
    assert found["late_weakest"] == pytest.approx([1.0, (0.7 - 0.15) / (0.85 - 0.15), 0.0], abs=1e-3)
    assert found["coverage"] == [1.0, 1.0, 0.0]
    assert found["title_coverage"] == [1.0, 0.0, 0.0], "titles and headings, stemmed"
    assert found["bigrams"] == [1.0, 0.0, 0.0], "in the second the words do not adjoin"


@pytest.mark.parametrize("query", ["bridge", "?!", "“", "of the"])
def test_any_query_has_numbers(query: str) -> None:
    hits = OverlapRetriever(PASSAGES).search("bridge river county", 3, ANYWHERE)
    assert np.isfinite(LateInteractionReranker(HashEncoder()).likenesses(query, hits)).all()


def test_the_shipped_weights_know_their_features_and_want_more_of_each() -> None:
    assert shipped().weights.shape == (len(FEATURES),)
    assert (shipped().weights > 0).all()


def test_the_weighed_sum_orders() -> None:
    only_found = Likeness(weights=np.eye(len(FEATURES))[0], encoder="x")
    np.testing.assert_array_equal(only_found(np.eye(len(FEATURES))), np.eye(len(FEATURES))[0])


def test_without_a_weight_the_packaged_encoder_orders_english_by_what_was_fitted() -> None:
    late = LateInteractionReranker(HashEncoder(revision=f"{shipped().encoder}-g2"))
    hits = OverlapRetriever(PASSAGES).search("bridge over the river", 3, ANYWHERE)
    fitted = shipped()(late.likenesses("bridge over the river", hits))
    reranked = MixingReranker([late], None).rerank("bridge over the river", hits, 3)
    assert [h.chunk.doc_id for h in reranked] == [hits[i].chunk.doc_id for i in np.argsort(-fitted, kind="stable")]
    assert set(reranked[0].parts) >= {"late", "rerank"}
    assert reranked[0].score == 1.0 and reranked[-1].score == 0.0
    halves = MixingReranker([late], 0.5).rerank("bridge over the river", hits, 3)
    assert [h.score for h in halves] != [h.score for h in reranked], "a weight in the settings is heeded"


@pytest.mark.parametrize("revision", ["another-encoder", "all-MiniLM-L6-v2-ffffffffffff-g2"])
def test_of_another_encoder_nothing_was_fitted(revision: str) -> None:
    hits = OverlapRetriever(PASSAGES).search("bridge over the river", 3, ANYWHERE)
    scores, fitted = LateInteractionReranker(HashEncoder(revision=revision)).weighed("bridge over the river", hits)
    assert fitted is None and len(scores) == 3
