"""Passages judged by the spans that answer, whatever they were cut by."""

from __future__ import annotations

import math

import pytest

from eval.questions import Gold
from eval.spans import FoundSpan, grades, holds, span_metrics


def found(start: int, end: int, doc_id: str = "d") -> FoundSpan:
    return FoundSpan(doc_id=doc_id, start=start, end=end)


def gold(start: int, end: int, doc_id: str = "d") -> Gold:
    return Gold(doc_id=doc_id, title="", start=start, end=end)


@pytest.mark.parametrize(
    ("passage", "held"),
    [
        (found(50, 250), True),  # 40 of the 80 characters from 10 to 90
        (found(51, 250), False),  # 39 of them
        (found(20, 30), True),  # small, and all of it within the span
        (found(90, 200), False),  # touches it
        (found(10, 90, "other"), False),
    ],
)
def test_half_of_the_span_is_held(passage: FoundSpan, held: bool) -> None:
    assert holds(passage, gold(10, 90)) is held


def test_a_span_without_an_end_is_the_whole_document() -> None:
    assert holds(found(5000, 5001), Gold(doc_id="d", title=""))


def test_a_passage_that_repeats_what_was_found_gains_nothing() -> None:
    assert grades([found(0, 100), found(0, 100), found(200, 300)], [gold(10, 90), gold(210, 290)]) == [1, 0, 1]


def test_metrics_of_a_span_found_second() -> None:
    values = span_metrics([found(500, 600), found(0, 100)], [gold(10, 90)])
    assert values == {
        "ndcg@10": pytest.approx(1 / math.log2(3)),
        "mrr@10": 0.5,
        "recall@10": 1.0,
        "hits@1": 0.0,
        "hits@4": 1.0,
    }


def test_recall_counts_spans_of_which_one_passage_may_hold_two() -> None:
    values = span_metrics([found(0, 100)], [gold(0, 10), gold(50, 60), gold(500, 510)])
    assert values["recall@10"] == pytest.approx(2 / 3)
