"""What the report of an evaluation says, and what stands first in it, over real services in this process."""

from __future__ import annotations

from pathlib import Path

from app.eval_configs import Configuration
from app.eval_results import EvalResult, compare
from eval.html_report import html_report
from eval.markdown_report import markdown_report
from tests.support.evaluating import laboratory

TOWNS = ["Alby", "Brenna", "Corvey", "Dunmor"]


def searched_in_two_ways(folder: Path) -> EvalResult:
    """What words find of half of the questions, which the other half words otherwise."""
    with laboratory(folder) as lab:
        for n, town in enumerate(TOWNS):
            lab.put(town, f"The bridge of {town} is {107 + 8 * n} long.")
        asked = [(f"How long is the bridge of {town if n % 2 else ''}?", "1", town) for n, town in enumerate(TOWNS)]
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
