"""Strengths from votes, against values worked by hand and simulated ones."""

from __future__ import annotations

import random

import pytest

from core.errors import InvalidRequest
from eval.bradley_terry import Vote, strengths


def test_of_two_the_odds_are_the_odds_of_the_votes() -> None:
    votes = [Vote(a=0, b=1, outcome=1.0)] * 30 + [Vote(a=0, b=1, outcome=0.0)] * 10
    first, second = strengths(votes, 2, n_resamples=50)
    # s0 / s1 = 30.5 / 10.5 with the prior; against the average √(s0 s1) = 1: s0 = √(30.5 / 10.5), chance s0 / (s0 + 1).
    s0 = (30.5 / 10.5) ** 0.5
    assert first.index == 0 and first.chance == pytest.approx(s0 / (s0 + 1), abs=1e-6)
    assert second.chance == pytest.approx(1 - first.chance, abs=1e-6) and first.n_votes == 40


@pytest.mark.slow
def test_the_intervals_hold_the_truth_and_order_is_found() -> None:
    truth = [4.0, 1.0, 0.25]
    chance = random.Random(5)
    held = 0
    for _ in range(20):
        votes = []
        for i in range(150):
            a, b = chance.sample(range(3), 2)
            votes.append(
                Vote(a=a, b=b, outcome=float(chance.random() < truth[a] / (truth[a] + truth[b])), question=str(i))
            )
        found = strengths(votes, 3, n_resamples=100)
        assert [s.index for s in found] == [0, 1, 2]
        for s in found:
            assert s.ci_low is not None and s.ci_high is not None
            held += s.ci_low <= truth[s.index] / (truth[s.index] + 1) <= s.ci_high
    assert held >= 50  # 95 % of 60 are 57; three of one draw move together, and 100 resamples are a little narrow


def test_ties_alone_make_equals_and_bad_votes_are_errors() -> None:
    few = strengths([Vote(a=0, b=1, outcome=0.5)] * 4, 2, n_resamples=20)
    assert [(s.chance, s.ci_low) for s in few] == [(0.5, None), (0.5, None)]  # too few for an interval
    with pytest.raises(InvalidRequest):
        strengths([Vote(a=0, b=0, outcome=1.0)], 2)
