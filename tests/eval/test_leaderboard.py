"""Places on a leaderboard, and the Pareto front of quality against seconds."""

from __future__ import annotations

import random

from eval.leaderboard import Contender, leaderboard, pareto_front
from eval.plots import as_picture, curves, pareto, reliability, waterfall, whiskers


def contender(label: str, values: list[float], seconds: float) -> Contender:
    return Contender(label=label, values={str(i): v for i, v in enumerate(values)}, seconds=seconds)


def test_the_best_is_first_and_what_the_data_do_not_tell_apart_is_tied() -> None:
    chance = random.Random(0)
    good = [chance.random() for _ in range(60)]
    places = leaderboard(
        [
            contender("worse", [v - 0.3 for v in good], 0.1),
            contender("good", good, 1.0),
            contender("as good", [v + (-0.2 if i % 2 else 0.19) for i, v in enumerate(good)], 2.0),
        ],
        "ndcg@10",
    )
    assert places[0].label in ("good", "as good") and places[0].p_holm is None and places[0].tied
    assert places[1].tied and not places[2].tied
    assert places[2].label == "worse" and places[2].p_holm is not None and places[2].p_holm < 0.01
    assert all(p.ci_low is not None and p.ci_low <= p.mean for p in places)


def test_of_wrong_answers_fewer_are_better() -> None:
    places = leaderboard([contender("many", [1.0, 1.0, 0.0], 1.0), contender("few", [0.0, 0.0, 0.0], 1.0)], "wrong")
    assert [p.label for p in places] == ["few", "many"]


def test_only_questions_that_all_have_count() -> None:
    a = Contender(label="a", values={"x": 1.0, "y": 0.0}, seconds=1.0)
    b = Contender(label="b", values={"y": 0.5, "z": 1.0}, seconds=1.0)
    assert [(p.label, p.mean, p.n) for p in leaderboard([a, b], "em")] == [("b", 0.5, 1), ("a", 0.0, 1)]
    assert leaderboard([], "em") == []
    assert leaderboard([a, Contender(label="c", values={"z": 1.0}, seconds=1.0)], "em") == []


def test_the_front_is_whom_nobody_beats_in_both() -> None:
    #        seconds           quality
    front = pareto_front([1.0, 2.0, 2.0, 3.0, 1.0], [0.5, 0.7, 0.6, 0.7, 0.5])
    assert front == {0, 1, 4}  # 2 is as slow as 1 and worse; 3 is slower and no better; 0 and 4 are equals


def test_labels_cannot_become_markup_in_a_plot() -> None:
    bad = '<script>alert(1)</script>"'
    mean = {"mean": 0.5, "ci_low": 0.4, "ci_high": 0.6}
    for plot in (
        pareto([(bad, 0.01, 0.5), ("x", 1.0, 0.6)], [1], bad),
        waterfall([(bad, 0.2), ("x", 0.1)]),
        whiskers({bad: [mean, None]}),
        curves([[0.1, 0.2], None], bad),
    ):
        assert "<script" not in plot and "var(" not in as_picture(plot, dark=True)


def test_a_reliability_diagram_has_as_many_questions_in_each_bin() -> None:
    points = reliability([0.1, 0.9, 0.2, 0.8], [False, True, False, False], bins=2)
    assert [(round(a, 9), b) for a, b in points] == [(0.15, 0.0), (0.85, 0.5)]
    assert reliability([], []) == []
