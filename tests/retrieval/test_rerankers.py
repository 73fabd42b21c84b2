"""Every reranker keeps the contract, and orders as its formula says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.errors import InvalidRequest, ModelUnavailable, OpenbookError
from core.late_interaction import max_sim
from core.types import Hit, Principal, Where
from retrieval.rerank.cross_encoder import CrossEncoderReranker
from retrieval.rerank.late import LateInteractionReranker
from retrieval.rerank.mixing import MixingReranker
from retrieval.rerank.order import Scores, minmax, mix, ordered
from retrieval.rerank.retriever import RerankingRetriever
from retrieval.rerank.sentence_transformers import SentenceTransformersReranker
from tests.contract.reranker_suite import TEXTS, RerankerSuite, found, ids
from tests.support.hash_encoder import HashEncoder, SpellingEncoder
from tests.support.tiny_models import save_tiny_cross_encoder
from tests.support.word_overlap import OverlapRetriever

ANYWHERE = Where(principal=Principal(user_id="local"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_cross_encoder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def cross(tiny: Path) -> CrossEncoderReranker:
    return CrossEncoderReranker(tiny, precision="fp32", threads=2)


@pytest.fixture(scope="module")
def torch_cross(tiny: Path) -> SentenceTransformersReranker:
    return SentenceTransformersReranker(str(tiny), device="cpu")


class TestLateInteraction(RerankerSuite):
    last = "late"

    @pytest.fixture
    def reranker(self) -> LateInteractionReranker:
        return LateInteractionReranker(HashEncoder())


class TestCrossEncoder(RerankerSuite):
    last = "cross"

    @pytest.fixture
    def reranker(self, cross: CrossEncoderReranker) -> CrossEncoderReranker:
        return cross


class TestSentenceTransformers(RerankerSuite):
    last = "cross"

    @pytest.fixture
    def reranker(self, torch_cross: SentenceTransformersReranker) -> SentenceTransformersReranker:
        return torch_cross


class TestMix(RerankerSuite):
    @pytest.fixture
    def reranker(self, cross: CrossEncoderReranker) -> MixingReranker:
        return MixingReranker([LateInteractionReranker(HashEncoder()), cross], 0.5)


# ---------------------------------------------------------------- the mix


def test_the_mix_is_a_weighted_sum_of_two_scales_from_0_to_1() -> None:
    reranked, fused = np.array([10.0, 30.0, 20.0]), np.array([0.9, 0.5, 0.7])
    # 0.25 · [0, 1, ½] + 0.75 · [1, 0, ½]
    np.testing.assert_allclose(mix(reranked, fused, 0.25), [0.75, 0.25, 0.5])
    np.testing.assert_allclose(mix(reranked, fused, 1.0), [0, 1, 0.5])
    np.testing.assert_allclose(mix(reranked, fused, 0.0), [1, 0, 0.5])


def test_equal_scores_say_nothing() -> None:
    np.testing.assert_array_equal(minmax(np.array([3.0, 3.0])), [0, 0])
    np.testing.assert_array_equal(minmax(np.array([])), [])


def test_without_weight_the_order_is_what_it_was() -> None:
    unweighted = MixingReranker([LateInteractionReranker(HashEncoder())], 0.0)
    assert ids(unweighted.rerank("hello passage", found(), 8)) == ids(found())


def test_two_scorers_count_alike(cross: CrossEncoderReranker) -> None:
    late = LateInteractionReranker(HashEncoder())
    hits = MixingReranker([late, cross]).rerank("hello passage", found(), 8)
    expected = (minmax(late.score("hello passage", found())) + minmax(cross.score("hello passage", found()))) / 2
    assert {h.chunk.chunk_id: h.score for h in hits} == pytest.approx(
        dict(zip(ids(found()), minmax(expected), strict=True)), abs=1e-4
    )


@pytest.mark.parametrize("weight", [-0.1, 1.1])
def test_a_weight_out_of_range_is_refused(weight: float) -> None:
    with pytest.raises(InvalidRequest, match=r"it lies in \[0, 1\]"):
        MixingReranker([LateInteractionReranker(HashEncoder())], weight)


def test_a_score_that_is_no_number_is_an_error_not_an_order() -> None:
    with pytest.raises(OpenbookError, match="no number"):
        ordered(found(), {"late": np.array([float("nan")] * 8)}, "late", 8)


def test_a_trained_model_brings_its_own_weight(tmp_path: Path) -> None:
    folder = save_tiny_cross_encoder(tmp_path / "own")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "mixing_weight": 0.3}))
    own = CrossEncoderReranker(folder, precision="fp32", threads=1)
    late = LateInteractionReranker(HashEncoder())
    assert MixingReranker([own], None).weight("hello", found()) == 0.3
    assert MixingReranker([own], 0.8).weight("hello", found()) == 0.8  # what is asked for counts
    assert MixingReranker([own, late], None).weight("hello", found()) == 0.5  # it was fitted for one alone
    assert MixingReranker([late], None).weight("hello", found()) == 0.5
    (folder / "config.json").write_text(json.dumps({**config, "mixing_weight": 3}))
    with pytest.raises(ModelUnavailable, match=r"mixing_weight 3: it is a number in \[0, 1\]"):
        CrossEncoderReranker(folder).load()


# ---------------------------------------------------------------- late interaction


def test_max_sim_is_the_plain_double_loop() -> None:
    rng = np.random.default_rng(0)
    largest = 0.0
    for _ in range(50):
        query, tokens = (rng.standard_normal((int(rng.integers(1, 20)), 12)).astype(np.float32) for _ in range(2))
        plain = sum(max(sum(float(a) * float(b) for a, b in zip(q, d, strict=True)) for d in tokens) for q in query)
        largest = max(largest, abs(max_sim(query, tokens) - plain))
    assert largest < 1e-4, f"largest difference {largest:.2e}"


def test_each_query_token_looks_for_its_best_match() -> None:
    one, two = np.eye(2, dtype=np.float32)
    query = np.stack([one, two])
    assert max_sim(query, np.stack([one, one])) == 1.0  # 1 + 0
    assert max_sim(query, np.stack([two, one])) == 2.0  # 1 + 1
    assert max_sim(query, np.stack([one]), np.array([0.5, 2.0], np.float32)) == 0.5  # 0.5 · 1 + 2 · 0
    assert max_sim(query, query[:0]) == 0.0


def test_a_passage_with_all_words_of_the_query_is_best() -> None:
    hits = LateInteractionReranker(HashEncoder()).rerank("hello passage", found(), 3)
    assert hits[0].chunk.text in ("hello passage", TEXTS[1])
    assert 0.5 < hits[0].score < 1.0  # three neighbouring tokens are one vector, so two words are near one, not equal


def test_token_vectors_are_kept_within_their_bytes() -> None:
    encoder = HashEncoder()
    reranker = LateInteractionReranker(encoder)
    first = reranker.rerank("hello", found(), 8)
    before = encoder.encoded
    assert reranker.rerank("hello", found(), 8) == first
    assert encoder.encoded - before == 1  # the query alone
    without = LateInteractionReranker(encoder, cache_bytes=0)
    assert without.rerank("hello", found(), 8) == first
    assert without.rerank("hello", found(), 8) == first


def test_a_passage_longer_than_the_window_is_read_to_its_end(encoder: HashEncoder) -> None:
    filler = "The weather was fine on that day and nobody had anything to say about it. " * 30
    texts = [filler + "Penguins cannot fly.", filler + "The end of the story."]
    assert encoder.tokenizer.count([filler])[0] > encoder.max_tokens
    scores = LateInteractionReranker(encoder).score("can penguins fly?", found(texts))
    assert scores[0] > scores[1] + 0.1


# ---------------------------------------------------------------- models by name


def test_both_runtimes_give_the_same_scores(
    cross: CrossEncoderReranker, torch_cross: SentenceTransformersReranker
) -> None:
    ours, theirs = (reranker.score("hello passage", found()) for reranker in (cross, torch_cross))
    assert np.abs(ours - theirs).max() < 1e-4, f"largest difference {np.abs(ours - theirs).max():.2e}"


def test_building_a_reranker_reads_nothing() -> None:
    CrossEncoderReranker(Path("no/such-model"))
    SentenceTransformersReranker("no/such-model")


def test_a_model_that_is_not_there_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="cannot load the reranker"):
        SentenceTransformersReranker(str(tmp_path / "nowhere"), device="cpu").load()
    with pytest.raises(ModelUnavailable, match=r"cannot read .*config\.json"):
        CrossEncoderReranker(tmp_path / "nowhere").load()


def test_a_classifier_of_several_labels_is_no_reranker(tmp_path: Path) -> None:
    folder = save_tiny_cross_encoder(tmp_path / "three", labels=3)
    for reranker in (SentenceTransformersReranker(str(folder), device="cpu"), CrossEncoderReranker(folder)):
        with pytest.raises(ModelUnavailable, match="3 labels"):
            reranker.load()


# ---------------------------------------------------------------- the retriever around it


class ByLength:
    """The longest passage first."""

    def rerank(self, query: str, hits: list[Hit], k: int) -> list[Hit]:
        scores = np.array([float(len(hit.chunk.text)) for hit in hits])
        return ordered(hits, {"rerank": scores}, "rerank", k) if hits else []


PASSAGES = [("a", "cat dog"), ("b", "cat dog bird"), ("c", "cat"), ("d", "cat and some more"), ("e", "fish")]


def test_candidates_are_reranked_and_what_lies_beyond_keeps_its_order() -> None:
    retriever = RerankingRetriever(OverlapRetriever(PASSAGES), ByLength(), depth=3)
    # Found: b (3 words), a (2), c, d (1 each). The first three by length: b, a, c; then d.
    hits = retriever.search("cat dog bird", 10, ANYWHERE)
    assert [h.chunk.doc_id for h in hits] == ["b", "a", "c", "d"]
    assert [h.rank for h in hits] == [1, 2, 3, 4]
    assert [h.source for h in hits] == ["rerank", "rerank", "rerank", "overlap"]
    scores = [h.score for h in hits]
    assert scores == sorted(scores, reverse=True)


def test_more_candidates_than_asked_for_are_looked_at() -> None:
    retriever = RerankingRetriever(OverlapRetriever(PASSAGES), ByLength(), depth=4)
    assert [h.chunk.doc_id for h in retriever.search("cat dog bird", 1, ANYWHERE)] == ["d"]


def test_a_query_that_is_only_spelt_is_not_reranked_and_it_is_said() -> None:
    said: list[str] = []
    late = MixingReranker([LateInteractionReranker(SpellingEncoder())])
    retriever = RerankingRetriever(OverlapRetriever(PASSAGES), late, tell=said.append)
    hits = retriever.search("cat мост", 4, ANYWHERE)
    assert ids(hits) == ids(OverlapRetriever(PASSAGES).search("cat мост", 4, ANYWHERE))
    assert {h.source for h in hits} == {"overlap"}
    assert "not made for the script of this query" in said[0]
    assert retriever.search("cat dog", 4, ANYWHERE)[0].source == "rerank"


@pytest.mark.parametrize(
    ("revision", "query", "text", "weight"),
    [
        ("all-MiniLM-L6-v2-1", "Wann wurde die Brücke gebaut?", "Die Brücke wurde von Anna Weber entworfen " * 3, 0.15),
        ("all-MiniLM-L6-v2-1", "When was the bridge built?", "The bridge was built in 1903 by Anna Weber " * 3, 0.5),
        ("multilingual-1", "Wann wurde die Brücke gebaut?", "Die Brücke wurde von Anna Weber entworfen " * 3, 0.5),
    ],
)
def test_in_a_language_that_the_packaged_encoder_has_not_learnt_its_tokens_count_less(
    revision: str, query: str, text: str, weight: float
) -> None:
    hits = OverlapRetriever([("d", text)]).search(text, 1, ANYWHERE)
    late = LateInteractionReranker(HashEncoder(revision=revision))
    assert MixingReranker([late], None).weight(query, hits) == weight
    assert MixingReranker([late], 0.7).weight(query, hits) == 0.7


class LongestReader(ByLength):
    """Scores by length, and reads whatever it is asked."""

    stage = "length"

    def mixing_weight(self, query: str, hits: Sequence[Hit]) -> float | None:
        return None

    def load(self) -> None:
        pass

    def reads(self, query: str) -> bool:
        return True

    def score(self, query: str, hits: Sequence[Hit]) -> Scores:
        return np.array([float(len(hit.chunk.text)) for hit in hits])


def test_of_two_scorers_the_one_that_reads_the_query_decides() -> None:
    two = MixingReranker([LateInteractionReranker(SpellingEncoder()), LongestReader()])
    candidates = OverlapRetriever(PASSAGES).search("cat мост", 4, ANYWHERE)
    hits = two.rerank("cat мост", candidates, 4)
    assert [h.chunk.doc_id for h in hits] == ["d", "b", "a", "c"]
    assert set(hits[0].parts) == {"length", "rerank"}
    assert "late" in two.rerank("cat", candidates, 4)[0].parts


def test_a_bad_request_is_refused_as_by_any_retriever() -> None:
    retriever = RerankingRetriever(OverlapRetriever(PASSAGES), ByLength())
    for query, k in (("cat", 0), ("cat", 1001), ("  ", 3)):
        with pytest.raises(InvalidRequest):
            retriever.search(query, k, ANYWHERE)
    with pytest.raises(InvalidRequest, match="rerank depth 0"):
        RerankingRetriever(OverlapRetriever(PASSAGES), ByLength(), depth=0)
    assert retriever.search("nothing at all", 3, ANYWHERE) == []
