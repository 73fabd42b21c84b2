"""What the report of an evaluation says, and what stands first in it, over real services in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.eval_configs import Configuration
from app.eval_leaderboard import board_of
from app.eval_results import EvalResult, Measured, compare, first_metric
from core.errors import InvalidRequest
from eval.html_report import html_report
from eval.markdown_report import markdown_report
from tests.support.evaluating import laboratory

TOWNS = ["Alby", "Brenna", "Corvey", "Dunmor"]


def searched_in_two_ways(folder: Path, *, times: int = 1) -> EvalResult:
    """Of half of the questions words say which document answers, ``times`` each; of the others they do not."""
    with laboratory(folder) as lab:
        for k, town in enumerate(TOWNS):
            lab.put(town, f"The bridge of {town} is {107 + 8 * k} long.")
        asked = [
            (f"How {'very ' * i}long is the bridge of {town if k % 2 else ''}?", "1", town)
            for k, town in enumerate(TOWNS)
            for i in range(times)
        ]
        run = lab.ended(lab.start(lab.asked(asked), Configuration(retriever="bm25"), Configuration(retriever="dense")))
        return lab.result(run)


def test_the_reports_say_of_each_metric_which_difference_would_have_been_found(tmp_path: Path) -> None:
    result = searched_in_two_ways(tmp_path)
    comparison = compare(result, 0, 1).to_json()
    page = html_report(result.to_json(), [comparison])
    text = markdown_report(result.to_json(), [comparison])
    assert "<th>found in 80 %</th>" in page and "| found in 80 % |" in text
    spread = [m for m in comparison["metrics"] if m["sd"]]
    assert spread, "some metric differs between the two"
    for metric in spread:
        said = f"{metric['detectable_difference']:.3f} or more"
        assert f"<td>{said}</td>" in page and f"| {said} |" in text
        assert metric["significant"] or f"find one of {said}" in metric["text"]


def test_what_stands_first_is_a_metric_that_tells_the_questions_apart(tmp_path: Path) -> None:
    """No answer is word for word the right one, so that exact match is 0 everywhere and says nothing."""
    with laboratory(tmp_path, extract_threshold=0.0) as lab:
        for n, town in enumerate(TOWNS):
            lab.put(town, f"The bridge of {town} is {107 + 8 * n} long.")
        asked = [
            (f"How long is the bridge of {town}?", str(107 + 8 * n) if n else "9", town) for n, town in enumerate(TOWNS)
        ]
        ways = [Configuration(strategy="extract", contexts=contexts) for contexts in (None, "own")]
        result = lab.result(lab.ended(lab.start(lab.asked(asked), *ways)))
    shown = result.to_json()
    assert {r["metrics"]["em"] for q in shown["questions"] for r in q["results"]} == {0.0}
    assert shown["metric"] not in ("", "em")
    assert len({r["metrics"][shown["metric"]] for q in shown["questions"] for r in q["results"]}) > 1
    assert board_of(result.measured)["metric"] == shown["metric"]
    comparison = compare(result, 0, 1).to_json()
    assert comparison["metrics"][0]["metric"] == "em", "in the table each keeps its place"
    page = html_report(shown, [comparison], board_of(result.measured))
    assert f'<p class="said">{shown["metric"]}: ' in page
    assert f"<h2>From one to the next, by {shown['metric']}</h2>" in page
    assert f"<summary>{shown['metric']} of each question</summary>" in page


def test_where_no_metric_tells_the_questions_apart_the_first_stands_first(tmp_path: Path) -> None:
    with laboratory(tmp_path) as lab:
        lab.put("gate", "Ann keeps the gate.")
        of = lab.asked([("Who keeps the gate?", "Ann", "gate")])
        result = lab.result(lab.ended(lab.start(of, Configuration(retriever="bm25"))))
    assert result.to_json()["metric"] == "ndcg@10"


def test_slices_are_of_the_metric_that_is_asked_for(tmp_path: Path) -> None:
    result = searched_in_two_ways(tmp_path, times=5)
    assert {s["metric"] for s in result.to_json(metric="hits@1")["slices"]} == {"hits@1"}
    with pytest.raises(InvalidRequest, match=r"unknown metric 'hit@1': these have ndcg@10, "):
        result.to_json(metric="hit@1")


def test_what_is_compared_only_where_it_is_named_stands_first_only_for_want_of_others() -> None:
    def measured(*rows: dict[str, float | None]) -> Measured:
        named = {str(i): {"metrics": row} for i, row in enumerate(rows)}
        return Measured(configuration=Configuration(strategy="extract"), key="k", rows=named, facts={})

    both = measured({"em": 0.0, "squad2_em": 0.0, "f1": 0.2}, {"em": 0.0, "squad2_em": 1.0, "f1": 0.3})
    assert first_metric([both]) == "f1"
    alone = measured({"em": 0.0, "squad2_em": 0.0, "f1": None}, {"em": 0.0, "squad2_em": 1.0, "f1": None})
    assert first_metric([alone]) == "squad2_em"
    assert first_metric([both, measured({"em": 1.0, "f1": None}, {"em": 0.0, "f1": None})]) == "em"
    assert first_metric([]) == ""


def test_a_way_that_only_failed_has_no_say_in_what_stands_first() -> None:
    """Its zeros beside the others' 0.4 would make f1 a metric that tells apart, and the board another one."""

    def measured(error: str, *rows: dict[str, float | None]) -> Measured:
        named = {str(i): {"metrics": row, "error": error, "seconds": 1.0} for i, row in enumerate(rows)}
        return Measured(configuration=Configuration(strategy="extract"), key="k", rows=named, facts={})

    ways = [
        measured("", {"em": 0.0, "f1": 0.4, "cited": 1.0}, {"em": 0.0, "f1": 0.4, "cited": 0.0}),
        measured("limit-time", {"em": 0.0, "f1": 0.0, "cited": None}, {"em": 0.0, "f1": 0.0, "cited": None}),
    ]
    assert first_metric(ways) == board_of(ways)["metric"] == "cited"
    assert first_metric(ways[1:]) == "em"
