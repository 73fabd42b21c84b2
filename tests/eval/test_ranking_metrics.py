"""Ranking metrics on cases that can be worked by hand."""

from __future__ import annotations

import math

import pytest

from core.errors import InvalidRequest
from eval.metrics.hits import hits
from eval.metrics.map import average_precision
from eval.metrics.mrr import reciprocal_rank
from eval.metrics.ndcg import dcg, ndcg
from eval.metrics.precision import precision, r_precision
from eval.metrics.ranking import evaluate_query, evaluate_run, mean_over_queries, parse_metric, trec_order
from eval.metrics.recall import recall


def test_ndcg_uses_the_grade_as_gain_and_log2_of_rank_plus_one() -> None:
    assert dcg([3, 0, 2]) == pytest.approx(3 / math.log2(2) + 2 / math.log2(4))
    ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert ndcg([3, 0, 2], judged=[1, 2, 3, 0]) == pytest.approx((3 + 2 / 2) / ideal)


def test_ndcg_cuts_the_ideal_order_too() -> None:
    assert ndcg([1, 0], judged=[1, 1, 1], k=1) == 1


def test_a_negative_grade_gains_nothing_and_costs_nothing() -> None:
    assert ndcg([-2, 1], judged=[-2, 1]) == pytest.approx((1 / math.log2(3)) / 1)


def test_average_precision_charges_what_was_not_found() -> None:
    assert average_precision([1, 0, 1], n_relevant=3) == pytest.approx((1 / 1 + 2 / 3 + 0) / 3)


def test_the_rest_of_the_formulas_on_one_list() -> None:
    grades = [0, 2, 0, 1]
    assert reciprocal_rank(grades) == 1 / 2
    assert reciprocal_rank(grades, k=1) == 0
    assert recall(grades, n_relevant=3, k=2) == 1 / 3
    assert precision(grades, k=10) == 2 / 10
    assert r_precision(grades, n_relevant=3) == 1 / 3
    assert hits(grades, k=1) == 0
    assert hits(grades, k=2) == 1


def test_without_anything_relevant_every_metric_is_zero() -> None:
    names = ["ndcg@10", "mrr", "map", "recall@10", "precision@10", "hits@4", "r_precision"]
    values = evaluate_query({"a": 1.0}, {"a": 0, "b": -1}, [parse_metric(n) for n in names])
    assert values == dict.fromkeys(names, 0.0)


def test_ties_are_broken_by_document_id_descending_whatever_order_they_came_in() -> None:
    assert trec_order({"a": 1.0, "c": 1.0, "b": 1.0, "z": 0.5, "y": 2.0}) == ["y", "c", "b", "a", "z"]


def test_scores_that_are_equal_as_float32_are_a_tie() -> None:
    assert trec_order({"a": 1.0 + 1e-9, "b": 1.0}) == ["b", "a"]
    assert trec_order({"a": 1.0 + 1e-6, "b": 1.0}) == ["a", "b"]


def test_infinite_scores_are_ranked_and_nan_is_refused() -> None:
    assert trec_order({"a": math.inf, "b": math.inf, "c": 0.0, "d": -math.inf}) == ["b", "a", "c", "d"]
    with pytest.raises(InvalidRequest, match="'b' is not a number"):
        trec_order({"a": 1.0, "b": math.nan})


def test_a_question_that_the_run_lacks_counts_as_zero_and_one_without_judgements_not_at_all() -> None:
    per_query = evaluate_run(
        {"q1": {"a": 1.0}, "q9": {"a": 1.0}}, {"q1": {"a": 1}, "q2": {"a": 1}}, [parse_metric("mrr")]
    )
    assert per_query == {"q1": {"mrr": 1.0}, "q2": {"mrr": 0.0}}
    assert mean_over_queries(per_query) == {"mrr": (1 + 0) / 2}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ndgc@10", "unknown metric 'ndgc@10'"),
        ("ndcg@0", "1 or more"),
        ("ndcg@", "1 or more"),
        ("ndcg@ten", "1 or more"),
        ("hits", "as in 'hits@10'"),
        ("r_precision@5", "no cutoff"),
    ],
)
def test_a_name_that_is_no_metric_is_explained(name: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        parse_metric(name)
