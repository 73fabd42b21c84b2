"""A choice among many is measured where it was not made, and claimed only where that shows something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InvalidRequest
from eval.choosing import best_of, choose, folds
from eval.judged import load_judged


def values_of(n: int, n_candidates: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((n, n_candidates))


def test_of_a_hundred_settings_that_are_all_alike_none_is_claimed_to_be_better() -> None:
    claimed = 0
    for seed in range(40):
        choice = choose(values_of(40, 100, seed), [str(i) for i in range(40)], seed=seed)
        assert choice.chosen_mean > choice.present_mean  # the best of a hundred always looks better
        claimed += choice.shown
    assert claimed <= 3  # 2.5 % of 40 are 1: whoever compared the best with the present would claim about all


def test_a_setting_that_is_better_on_most_questions_is_found_and_shown() -> None:
    values = np.round(values_of(100, 5, 0) * 0.2, 3)
    values[:, 3] += 0.1
    choice = choose(values, [str(i) for i in range(100)])
    assert (choice.chosen, choice.shown, choice.more_questions) == (3, True, None)
    assert choice.chosen_in_folds == ((3, 10),)
    assert "B is better" in choice.text()


def test_a_small_gain_says_how_many_more_questions_would_show_it() -> None:
    a = np.full(40, 0.5)
    b = a + np.array(
        [0.12, -0.08] * 20
    )  # mean 0.02, sd 0.10: n = ((1.96 + 0.84) · 0.10 / 0.02)² ≈ 200, of which 40 are there
    choice = choose(np.stack([a, b], axis=1), [str(i) for i in range(40)])
    assert not choice.shown
    assert choice.more_questions is not None and 150 <= choice.more_questions <= 170
    assert "no evidence of a difference" in choice.text()
    assert "more questions would be needed" in choice.text()


def test_with_fewer_than_twenty_questions_nothing_is_claimed() -> None:
    values = np.array([[0.0, 1.0]] * 19)
    choice = choose(values, [str(i) for i in range(19)])
    assert (choice.chosen, choice.shown) == (1, False)
    assert choice.text().startswith("too few questions to tell: 19, and 20 are the least")
    assert choose(np.array([[0.0, 1.0]] * 20), [str(i) for i in range(20)]).shown


def test_one_question_or_one_document_cannot_choose() -> None:
    with pytest.raises(InvalidRequest, match="3 questions about 1 documents"):
        choose(values_of(3, 2, 0), ["same"] * 3)


def test_of_equals_the_present_setting_is_kept_and_else_the_first_is_taken() -> None:
    assert best_of(np.array([[0.5, 0.5, 0.5]]), present=1) == 1
    assert best_of(np.array([[0.5, 0.7, 0.7]]), present=0) == 1


@settings(suppress_health_check=[HealthCheck.too_slow])  # which a busy machine is
@given(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=40), st.integers(2, 10), st.integers(0, 5))
def test_questions_about_one_document_are_never_on_both_sides_of_a_fold(groups: list[str], n: int, seed: int) -> None:
    fold = folds(groups, n, seed)
    for name in set(groups):
        assert len({int(f) for f, g in zip(fold, groups, strict=True) if g == name}) == 1
    assert set(fold.tolist()) == set(range(min(n, len(set(groups)))))  # none is empty


def test_judged_questions_are_read_from_the_plainest_lines_and_from_those_of_eval_qa(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(
        '{"query": "a?", "doc": "one.pdf"}\n'
        '{"id": 7, "question": "b?", "doc": ["one.pdf", "two.pdf", "one.pdf"]}\n'
        '{"id": "c", "question": "c?", "answers": ["x"], "gold_ids": ["three"]}\n'
        '{"id": "d", "question": "d?", "answerable": false}\n'
    )
    found, without = load_judged(path)
    assert [(q.id, q.query, q.docs) for q in found] == [
        ("line 1", "a?", ("one.pdf",)),
        ("7", "b?", ("one.pdf", "two.pdf")),
        ("c", "c?", ("three",)),
    ]
    assert without == 1
    path.write_text('{"query": "a?"}\n')
    with pytest.raises(InvalidRequest, match='line 1: "doc" is missing'):
        load_judged(path)
