"""Comparing saved runs: what is paired, what is refused, and in which words the result is given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from core.errors import InvalidRequest, NotFound
from eval.compare import Comparison, compare_runs
from eval.report import comparison_report, table
from eval.saved import SavedRun, load_run
from eval.statistics import holm, questions_needed, randomization_test


def saved(path: str, values: dict[str, dict[str, float | None]], sha256: str = "") -> SavedRun:
    return SavedRun(
        path=path, label=path, kind="retrieval", data=f"data of {path}", data_sha256=sha256, per_query=values
    )


def run_of(path: str, metric: str, values: list[float | None]) -> SavedRun:
    return saved(path, {f"q{i}": {metric: value} for i, value in enumerate(values)})


def compared(a: list[float | None], b: list[float | None], metric: str = "ndcg@10") -> Comparison:
    return compare_runs(run_of("a", metric, a), run_of("b", metric, b), n_flips=10_000)


def test_a_difference_that_is_there_is_said_with_its_interval_and_p() -> None:
    a = [0.5] * 40
    b = [0.6] * 30 + [0.45] * 10
    (m,) = compared(a, b).metrics
    assert m.difference == pytest.approx((30 * 0.1 - 10 * 0.05) / 40)
    assert (m.wins, m.losses, m.ties, m.significant) == (30, 10, 0, True)
    assert m.ci_low is not None and m.ci_high is not None and 0 < m.ci_low < m.difference < m.ci_high
    low, high = f"{m.ci_low:.3f}", f"{m.ci_high:.3f}"
    assert m.text(1) == f"B − A = +0.062 [{low}, {high}], p < 0.0001: B is better"


def test_where_there_is_no_evidence_it_says_so_and_how_many_questions_would_do() -> None:
    rng = np.random.default_rng(1)
    a = rng.random(50)
    b = a + rng.normal(0, 0.2, 50)
    (m,) = compared(a.tolist(), b.tolist()).metrics
    assert not m.significant
    assert m.text(1).startswith("no evidence of a difference (B − A = ")
    assert m.questions_needed == 551  # said with the two digits that it is worth
    assert "one of this size would take about 560 questions; in 80 % of cases these 50 find one of " in m.text(1)
    assert m.detectable_difference is not None and f"find one of {m.detectable_difference:.3f} or more)" in m.text(1)


def test_equal_runs_show_no_evidence() -> None:
    (m,) = compared([0.1, 0.9, 0.5], [0.1, 0.9, 0.5]).metrics
    assert m.text(1) == (
        "no evidence of a difference (B − A = +0.000 [0.000, 0.000], p = 1.00; all 3 questions are alike, which tells nothing of how "
        "large a difference they would find)"
    )
    assert (m.p, m.ties, m.questions_needed, m.detectable_difference) == (1, 3, None, None)


def test_where_the_difference_is_0_it_says_which_one_would_have_been_found() -> None:
    (m,) = compared([0.5] * 40, [0.4] * 20 + [0.6] * 20).metrics
    # d = ±0.1, sd = 0.1 √(40/39) = 0.10127; (1.95996 + 0.84162) × 0.10127 / √40 = 0.0449
    assert m.difference == 0 and m.detectable_difference == pytest.approx(0.0449, abs=1e-4)
    assert m.text(1).endswith("p = 1.00; in 80 % of cases these 40 find one of 0.045 or more)")


def test_the_more_metrics_are_corrected_for_the_more_questions_are_needed() -> None:
    rng = np.random.default_rng(1)
    d = rng.normal(0.06, 0.2, 50)
    alone = compared([0.0] * 50, d.tolist()).metrics[0]
    names = [f"ndcg@{k}" for k in range(1, 6)]
    a = saved("a", {f"q{i}": dict.fromkeys(names, 0.0) for i in range(50)})
    b = saved("b", {f"q{i}": dict.fromkeys(names, float(x)) for i, x in enumerate(d)})
    first = compare_runs(a, b, n_flips=10_000).metrics[0]
    # α/5 = 0.01: (2.57583 + 0.84162)² / (1.95996 + 0.84162)² = 11.679 / 7.849
    assert alone.questions_needed is not None and first.questions_needed is not None
    assert first.questions_needed == pytest.approx(alone.questions_needed * 11.679 / 7.849, abs=2)
    assert alone.detectable_difference is not None and first.detectable_difference == pytest.approx(
        alone.detectable_difference * (11.679 / 7.849) ** 0.5, rel=1e-4
    )


def test_that_many_questions_show_the_difference_as_it_is_decided_four_times_in_five() -> None:
    """Two metrics that tell nothing beside one that does: after Holm it is found as often as was said."""
    names, rng = ("map", "mrr@10", "hits@4"), np.random.default_rng(5)
    n = questions_needed(0.3, 0.1, alpha=0.05 / len(names))
    assert n is not None
    found = 0
    for _ in range(200):
        values = np.column_stack([rng.normal(mean, 0.3, n) for mean in (0.1, 0.0, 0.0)])
        p = holm([randomization_test(column.tolist(), n_flips=1_000).p for column in values.T])
        found += p[0] < 0.05
    assert found / 200 >= 0.8 - 2 * (0.8 * 0.2 / 200) ** 0.5


def test_for_wrong_answers_less_is_better() -> None:
    (m,) = compared([1.0] * 20, [0.0] * 20, metric="wrong").metrics
    assert (m.wins, m.losses, m.lower_is_better) == (20, 0, True)
    assert m.text(1) == "B − A = −1.000 [−1.000, −1.000], p < 0.0001: B is better"
    assert "wrong (lower is better)" in comparison_report(compared([1.0] * 20, [0.0] * 20, metric="wrong"))


def test_several_metrics_are_corrected_together() -> None:
    per_query = {f"q{i}": {"map": 0.0, "mrr@10": 0.0} for i in range(6)}
    better = {f"q{i}": {"map": 1.0, "mrr@10": float(i % 2)} for i in range(6)}
    first, second = compare_runs(saved("a", per_query), saved("b", better)).metrics
    assert (first.p, first.p_holm) == (2 / 2**6, 2 * 2 / 2**6)
    assert (second.p, second.p_holm) == (2 / 2**3, 2 / 2**3)
    assert not first.significant  # 0.03125 alone, 0.0625 among two
    assert "(Holm over 2)" in first.text(2)


def test_questions_without_a_value_in_either_run_are_left_out_and_counted() -> None:
    result = compared([0.5, None, 0.5, 0.5], [0.7, 0.7, None, 0.7])
    assert (result.metrics[0].n, result.metrics[0].excluded, result.n_queries) == (2, 2, 4)
    nothing = compared([None, 0.5], [0.5, None])
    assert nothing.metrics == ()
    assert "ndcg@10: no question has a value in both runs, so it is not compared" in nothing.notes


def test_different_questions_are_refused_by_name_unless_the_common_ones_are_asked_for() -> None:
    a = saved("a", {"q1": {"map": 1.0}, "q2": {"map": 0.0}})
    b = saved("b", {"q2": {"map": 1.0}, "q3": {"map": 0.0}})
    with pytest.raises(InvalidRequest, match=r"1 \('q1'\) only in a, 1 \('q3'\) only in b, 1 in both; --intersect"):
        compare_runs(a, b)
    result = compare_runs(a, b, intersect=True)
    assert (result.n_queries, result.metrics[0].difference) == (1, 1.0)
    assert "only those in both are compared" in result.notes[0]
    with pytest.raises(InvalidRequest, match="nothing can be compared"):
        compare_runs(a, saved("c", {"x": {"map": 1.0}}), intersect=True)


def test_runs_without_a_common_metric_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="share no metric: a has map; b has em"):
        compare_runs(saved("a", {"q": {"map": 1.0}}), saved("b", {"q": {"em": 1.0}}))
    with pytest.raises(InvalidRequest, match="metric 'em' is not in both runs: choose map"):
        compare_runs(saved("a", {"q": {"map": 1.0}}), saved("b", {"q": {"map": 1.0}}), metrics=["em"])


def test_different_data_under_the_same_ids_is_noted() -> None:
    values: dict[str, dict[str, float | None]] = {"q": {"map": 1.0}}
    notes = compare_runs(saved("a", values, "1"), saved("b", values, "2")).notes
    assert any("different data under the same question ids: data of a and data of b" in note for note in notes)
    assert not any("different data" in n for n in compare_runs(saved("a", values, "1"), saved("b", values, "1")).notes)


def test_fewer_than_ten_thousand_flips_are_refused() -> None:
    a = run_of("a", "map", [1.0])
    with pytest.raises(InvalidRequest, match="9999 sign flips"):
        compare_runs(a, a, n_flips=9_999)


def test_one_question_has_no_interval() -> None:
    (m,) = compared([0.0], [1.0]).metrics
    assert (m.ci_low, m.sd, m.p) == (None, None, 1.0)
    assert m.text(1) == "no evidence of a difference (B − A = +1.000, p = 1.00)"


def test_a_comparison_is_repeated_to_the_last_digit() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.random((2, 100)).tolist()
    assert compared(a, b).to_json() == compared(a, b).to_json()
    json.dumps(compared(a, b).to_json(), allow_nan=False)


def test_trec_runs_are_compared_with_judgements(tmp_path: Path) -> None:
    (tmp_path / "a.trec").write_text("q1 Q0 x 1 2.0 a\nq1 Q0 y 2 1.0 a\n")
    (tmp_path / "b.trec").write_text("q1 Q0 y 1 2.0 b\nq2 Q0 z 1 1.0 b\n")
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\ty\t1\nq2\tz\t1\n")
    with pytest.raises(
        InvalidRequest, match="not a JSON result; if it is a TREC run, name its judgements with --qrels"
    ):
        load_run(tmp_path / "a.trec")
    a, b = (load_run(tmp_path / f"{name}.trec", qrels=tmp_path / "qrels.tsv") for name in "ab")
    by_name = {m.metric: m for m in compare_runs(a, b).metrics}
    assert by_name["mrr@10"].difference == pytest.approx(((1 - 1 / 2) + (1 - 0)) / 2)
    with pytest.raises(NotFound, match="no file"):
        load_run(tmp_path / "none")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"metrics": {}}', 'holds no "per_query"'),
        ('{"per_query": {}}', 'holds no "per_query"'),
        ("[1]", 'holds no "per_query"'),
        ('{"per_query": {"q": 1}}', "of 'q' is not an object"),
        ('{"per_query": {"q": {"map": "high"}}}', "map is 'high', neither a number nor null"),
        ('{"per_query": {"q": {"map": NaN}}}', "map is nan, neither"),
        ('{"per_query": {"q": {"map": true}}}', "map is True, neither"),
        ('{"per_query": {"q": {"map": 1}, "r": {"mrr": 1}}}', "of 'r' has other metrics"),
        ('{"per_query": ', "is not JSON"),
        ('{"per_query": {"q": {"map": NaN}}}', "map is nan, neither a number nor null"),
        ('{"per_query": {"q": {"map": 1' + "0" * 400 + "}}}", "neither a number nor null"),
        ('{"per_query": ' + "1" * 5000 + "}", "is not JSON"),
        ('{"per_query": ' + "[" * 100_000, "is not JSON"),
    ],
)
def test_a_file_that_is_no_saved_result_is_explained(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(InvalidRequest, match=message):
        load_run(tmp_path / "r.json")


def test_tables_align_by_what_is_seen() -> None:
    assert table(("name", "n"), [("文", "1"), ("abc", "10")]) == "name   n\n────  ──\n文     1\nabc   10"
    assert table(("a|b", "n"), [("x\ny", "1")], style="markdown") == "| a\\|b | n |\n| --- | ---: |\n| x y | 1 |"
    with pytest.raises(ValueError, match="must have 2 cells"):
        table(("a", "b"), [("x",)])
