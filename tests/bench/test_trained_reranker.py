"""The mix of a cross-encoder with the default order, as the bench weighs it."""

from __future__ import annotations

import numpy as np
import pytest

from bench.trained_reranker import READ, Case, report

N = READ + 2


def case(relevant: int) -> Case:
    """Candidates in the default's order, of which the cross-encoder prefers the last that it read."""
    falling = np.arange(N, 0, -1, dtype=np.float64)
    return Case(
        doc_ids=tuple(f"d{i}" for i in range(N)),
        found=falling,
        default=falling,
        cross=np.arange(READ, dtype=np.float64),
        judged={f"d{relevant}": 1},
    )


def test_what_was_read_stands_before_what_was_not_whatever_the_weight() -> None:
    one = case(0)
    for weight in (0.0, 0.5, 1.0):
        scores = one.mixed(weight)
        assert scores.shape == (N,) and scores[:READ].min() > scores[READ] > scores[READ + 1]
    assert np.argsort(-one.mixed(0.0), kind="stable").tolist() == list(range(N)), "weight 0 is the default"
    assert np.argsort(-one.mixed(1.0), kind="stable").tolist()[:2] == [READ - 1, READ - 2]
    assert (one.ndcg(one.mixed(0.0)), case(READ - 1).ndcg(case(READ - 1).mixed(1.0))) == (1.0, 1.0)


def test_the_weight_of_a_field_is_the_best_of_the_others() -> None:
    # On "first" the default is right, on "last" the cross-encoder: each is given the other's weight, the least of those that
    # are as good, and loses all. Of the two orders, turned round against one another, 0.6 is the least that lets the second win.
    said = report({"first": [case(0)] * 4, "last": [case(READ - 1)] * 4})
    rows = {line.split(" | ")[0].strip("| "): line for line in said.splitlines()[2:4]}
    assert "0.0000 (0.6)" in rows["first"], said
    assert "0.0000 (0)" in rows["last"], said


@pytest.mark.parametrize("relevant", [READ, READ + 1])
def test_what_is_found_beyond_what_is_read_stays_where_it_was(relevant: int) -> None:
    one = case(relevant)
    assert one.ndcg(one.mixed(1.0)) == one.ndcg(one.default) == 0.0
