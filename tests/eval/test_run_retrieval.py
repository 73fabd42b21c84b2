"""Running a retriever over a benchmark: what is asked, what counts, what the result says."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InvalidRequest, OpenbookError
from core.settings import Settings
from core.types import LOCAL_USER_ID, Hit, Where
from eval.datasets import CorpusDocument, RetrievalDataset
from eval.report import retrieval_report
from eval.retrieval import document_scores, run_retrieval
from eval.saved import load_run
from eval.trec import write_run
from tests.support.word_overlap import OverlapRetriever, build_by_sentence, hit

DATASET = RetrievalDataset(
    name="tiny",
    split="test",
    corpus=(
        CorpusDocument(doc_id="cats", title="", text="cats purr. cats sleep a lot."),
        CorpusDocument(doc_id="dogs", title="", text="dogs bark. cats and dogs purr."),
        CorpusDocument(doc_id="fish", title="", text="fish swim."),
    ),
    n_documents=3,
    queries={"q1": "cats purr", "q2": "fish", "q3": "bats"},
    qrels={"q1": {"cats": 1, "fish": 1}, "q2": {"fish": 2}, "q3": {"dogs": 1}},
    judged_not_in_corpus=0,
    sha256="abc",
)


def test_a_document_counts_once_by_its_best_passage() -> None:
    result = run_retrieval(DATASET, build_by_sentence, Settings(), retriever_name="overlap")
    # "cats purr" has 2 words of q1 in one sentence of each document; "cats sleep a lot" has 1.
    assert result.run["q1"] == {"cats": 2.0, "dogs": 2.0}
    assert result.run["q3"] == {}


def test_the_metrics_are_means_over_judged_questions_with_ties_by_id_descending() -> None:
    result = run_retrieval(DATASET, build_by_sentence, Settings(), retriever_name="overlap")
    # q1: the tie puts "dogs" before "cats", so the first relevant stands at rank 2; q2: rank 1; q3: nothing found.
    q1_ndcg = (1 / math.log2(3)) / (1 / math.log2(2) + 1 / math.log2(3))
    assert result.metrics == {
        "ndcg@10": pytest.approx((q1_ndcg + 1 + 0) / 3),
        "mrr@10": pytest.approx((1 / 2 + 1 + 0) / 3),
        "recall@10": pytest.approx((1 / 2 + 1 + 0) / 3),
        "recall@100": pytest.approx((1 / 2 + 1 + 0) / 3),
        "map": pytest.approx(((1 / 2) / 2 + 1 + 0) / 3),
        "hits@4": pytest.approx((1 + 1 + 0) / 3),
    }
    assert result.unjudged == pytest.approx((1 / 2 + 0) / 2)  # q1: "dogs" was never judged; q3 found nothing


class Listening(OverlapRetriever):
    def __init__(self) -> None:
        super().__init__([])
        self.asked: list[tuple[str, int, Where]] = []

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        self.asked.append((query, k, where))
        return []


def test_the_retriever_is_asked_as_the_local_user_for_k_by_the_clock_and_then_to_a_depth_of_a_thousand() -> None:
    retriever = Listening()
    result = run_retrieval(DATASET, lambda _s, _c: retriever, Settings(), retriever_name="x", k=5)
    asked = [(query, k) for query, k, _ in retriever.asked]
    assert asked == [(query, k) for query in ("cats purr", "fish", "bats") for k in (5, 1000)]
    assert {where.principal.user_id for _, _, where in retriever.asked} == {LOCAL_USER_ID}
    assert result.n_timed == 3


def test_of_many_questions_about_a_hundred_are_timed() -> None:
    many = {f"q{i}": "cats" for i in range(250)}
    dataset = replace(DATASET, queries=many, qrels={q: {"cats": 1} for q in many})
    retriever = Listening()
    result = run_retrieval(dataset, lambda _s, _c: retriever, Settings(), retriever_name="x")
    assert result.n_timed == sum(k == 10 for _, k, _ in retriever.asked) == 84  # every third of 250


def test_another_k_adds_its_metrics_and_keeps_the_standard_ones() -> None:
    result = run_retrieval(
        DATASET, build_by_sentence, Settings(), retriever_name="x", k=1, extra_metrics=["precision@2", "r_precision"]
    )
    standard = ["ndcg@10", "mrr@10", "recall@10", "recall@100", "map", "hits@4"]
    assert list(result.metrics) == [*standard, "ndcg@1", "mrr@1", "recall@1", "hits@1", "precision@2", "r_precision"]
    assert result.metrics["hits@1"] == pytest.approx(1 / 3)
    with pytest.raises(InvalidRequest, match="k is 0"):
        run_retrieval(DATASET, build_by_sentence, Settings(), retriever_name="x", k=0)


def test_progress_is_told_stage_by_stage() -> None:
    told: list[tuple[str, int, int]] = []
    run_retrieval(DATASET, build_by_sentence, Settings(), retriever_name="x", progress=lambda *step: told.append(step))
    assert told == [("indexing", 0, 1), ("indexing", 1, 1), *(("searching", done, 3) for done in range(4))]


def test_the_json_has_the_fixed_shape_and_is_read_back_for_comparison(tmp_path: Path) -> None:
    result = run_retrieval(DATASET, build_by_sentence, Settings(), retriever_name="bm25", options={"sparse": "tantivy"})
    document = json.loads(json.dumps(result.to_json()))
    assert {"dataset", "retriever", "n_queries", "metrics", "seconds_per_query", "index_seconds"} <= document.keys()
    assert document["metrics"].keys() == {"ndcg@10", "mrr@10", "recall@10", "recall@100", "map", "hits@4"}
    assert (document["dataset"], document["split"], document["n_queries"]) == ("tiny", "test", 3)
    (tmp_path / "run.json").write_text(json.dumps(document))
    saved = load_run(tmp_path / "run.json")
    assert saved.per_query == result.per_query
    assert (saved.label, saved.data, saved.data_sha256) == ("bm25 sparse=tantivy", "tiny test", "abc")


def test_the_run_file_scores_the_same_as_the_result(tmp_path: Path) -> None:
    result = run_retrieval(DATASET, build_by_sentence, Settings(), retriever_name="bm25")
    write_run(tmp_path / "run", result.run, "bm25")
    qrels = "".join(f"{q} 0 {d} {g}\n" for q, judged in DATASET.qrels.items() for d, g in judged.items())
    (tmp_path / "qrels").write_text(qrels)
    assert load_run(tmp_path / "run", qrels=tmp_path / "qrels").per_query == result.per_query


def test_scores_that_rise_with_the_rank_are_refused_since_evaluation_orders_by_score() -> None:
    rising = [hit("a", "x", 0.9, 1), hit("b", "x", 0.4, 2), hit("c", "x", 0.8, 3)]
    with pytest.raises(OpenbookError, match=r"rises at rank 3 of question 'q' \(0.4 to 0.8\)"):
        document_scores("q", rising)
    with pytest.raises(OpenbookError, match="rises at rank 1"):
        document_scores("q", [hit("a", "x", math.nan, 1)])
    assert document_scores("q", [hit("a", "x", 0.5, 1), hit("b", "x", 0.5 + 1e-10, 2)])  # a tie as float32


def test_the_report_says_what_was_measured_on_what() -> None:
    result = run_retrieval(DATASET, build_by_sentence, Settings(), retriever_name="overlap")
    report = retrieval_report(result)
    assert report.startswith("overlap on tiny/test: 3 questions over 3 documents\n")
    assert "recall@100  0.5000" in report
    assert "| hits@4 | 0.6667 |" in retrieval_report(result, style="markdown")
