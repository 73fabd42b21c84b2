"""Our ranking metrics equal pytrec_eval, question by question, to 1e-9."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

pytrec_eval = pytest.importorskip("pytrec_eval")

from eval.metrics.ranking import evaluate_run, mean_over_queries, parse_metric  # noqa: E402

KS = (1, 2, 3, 4, 5, 10, 20, 100)
# Ours → theirs. pytrec_eval has no reciprocal rank with a cutoff; theirs(…) derives it.
THEIRS = {
    **{f"ndcg@{k}": f"ndcg_cut_{k}" for k in KS},
    **{f"recall@{k}": f"recall_{k}" for k in KS},
    **{f"precision@{k}": f"P_{k}" for k in KS},
    **{f"hits@{k}": f"success_{k}" for k in KS},
    **{f"map@{k}": f"map_cut_{k}" for k in KS},
    "ndcg": "ndcg",
    "map": "map",
    "mrr": "recip_rank",
    "r_precision": "Rprec",
}
CUT = ",".join(map(str, KS))
ASKED = {f"{m}.{CUT}" for m in ("ndcg_cut", "recall", "P", "success", "map_cut")} | {
    "ndcg",
    "map",
    "recip_rank",
    "Rprec",
}
METRICS = [parse_metric(name) for name in (*THEIRS, *(f"mrr@{k}" for k in KS))]

Run = dict[str, dict[str, float]]
Qrels = dict[str, dict[str, int]]


def largest_difference(run: Run, qrels: Qrels) -> float:
    """Over all metrics and all judged questions; one that the run lacks must be 0 in ours."""
    theirs = pytrec_eval.RelevanceEvaluator(qrels, ASKED).evaluate(run)
    ours = evaluate_run(run, qrels, METRICS)
    assert ours.keys() == qrels.keys()
    worst = 0.0
    for query_id, values in ours.items():
        expected = theirs.get(query_id)
        if expected is None:
            assert query_id not in run and set(values.values()) == {0.0}
            continue
        for name, value in values.items():
            if name.startswith("mrr@"):
                rr, k = expected["recip_rank"], int(name.removeprefix("mrr@"))
                target = rr if rr > 0 and round(1 / rr) <= k else 0.0
            else:
                target = expected[THEIRS[name]]
            worst = max(worst, abs(value - target))
    return worst


def random_cases(rng: random.Random, cases: int) -> Iterator[tuple[Run, Qrels]]:
    """Small pools, so that ties, unjudged, unretrieved and missing are all common."""
    alphabet = ["d", "D", "é", "文", "😀", "0", "-", "_"]
    for _ in range(cases):
        pool = list({rng.choice(alphabet) + str(rng.randrange(60)) for _ in range(rng.randint(2, 60))})
        levels = rng.choice([(0, 1), (0, 1, 2, 3), (-2, -1, 0, 1, 2), (1,), (0,), (-1, 1), (0, 1, 7)])
        score = rng.choice(
            [
                lambda: float(rng.randint(0, 3)),  # many ties
                lambda: rng.random(),
                lambda: 1.0 + rng.randint(0, 5) * 1e-8,  # equal as float32, apart as float64
                lambda: -float(rng.randint(0, 3)),
                lambda: rng.choice([0.0, -0.0, 1e-46, 1e39, 2e39, float("inf"), float("-inf")]),
                lambda: 16_777_216.0 + rng.randint(0, 3),
            ]
        )
        qrels: Qrels = {}
        run: Run = {}
        for q in range(rng.randint(1, 4)):
            judged = rng.sample(pool, rng.randint(1, len(pool)))
            grades = {d: rng.choice(levels) for d in judged}
            if max(grades.values()) < 0:
                grades[judged[0]] = 0  # pytrec_eval 0.5.11 never returns when all grades are negative
            qrels[f"q{q}"] = grades
            if rng.random() < 0.8:  # else: judged but missing from the run
                run[f"q{q}"] = {d: score() for d in rng.sample(pool, rng.randint(0, len(pool)))}
        run["unjudged"] = {pool[0]: 1.0}
        yield run, qrels


@pytest.mark.parametrize(
    ("seed", "cases"), [(2026, 2_000), pytest.param(2027, 10_000, marks=pytest.mark.slow)], ids=["2,000", "10,000"]
)
def test_random_runs_with_ties_grades_and_missing_questions_agree(seed: int, cases: int) -> None:
    worst = max(largest_difference(run, qrels) for run, qrels in random_cases(random.Random(seed), cases))
    assert worst <= 1e-9, f"largest difference from pytrec_eval: {worst:.1e}"


def test_a_deep_run_of_a_thousand_documents_agrees() -> None:
    rng = np.random.default_rng(7)
    run = {f"q{q}": {f"d{d}": float(s) for d, s in enumerate(rng.normal(size=1000).round(2))} for q in range(20)}
    qrels = {
        f"q{q}": {f"d{d}": int(rng.integers(0, 4)) for d in rng.choice(1500, 80, replace=False)} for q in range(20)
    }
    assert largest_difference(run, qrels) <= 1e-9


def test_the_mean_counts_a_missing_question_as_zero_where_pytrec_eval_leaves_it_out() -> None:
    qrels = {"found": {"a": 1}, "missing": {"a": 1}}
    run = {"found": {"a": 1.0}}
    assert list(pytrec_eval.RelevanceEvaluator(qrels, {"map"}).evaluate(run)) == ["found"]
    assert mean_over_queries(evaluate_run(run, qrels, [parse_metric("map")])) == {"map": (1 + 0) / 2}
