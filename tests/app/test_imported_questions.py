"""Questions of a table, tied to the passages and documents of a collection, over real services in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.eval_configs import Configuration
from app.question_import import imported_questions
from app.table_text import form_of_table
from core.errors import InvalidRequest
from eval.html_report import html_report
from eval.mapped import read_table
from eval.markdown_report import markdown_report
from eval.questions import MadeQuestion
from tests.support.evaluating import Laboratory, laboratory
from tests.support.library import LOCAL

MAPPING = {"question": "q", "answers": "a", "document": "d"}
TEXT = (
    "The toll of the northern\nbridge is three silver\n  coins. In winter the keeper asks for 1,308 coins; scarecrows guard\n"
    "the field, and crows sit by it. The north wind is old. The north wind is cold. 石桥在冬天关闭。 다리는 삼성전자가 1308명과 지었다."
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with laboratory(tmp_path_factory.mktemp("lab")) as opened:
        opened.put("toll.md", TEXT)
        opened.put("2022 Q3 Acme.pdf", "Acme sold 5 mills.")
        opened.put("2022 Q4 Acme.pdf", "Acme sold 6 mills.")
        yield opened


def taken(lab: Laboratory, *rows: dict[str, Any]) -> tuple[list[MadeQuestion], list[str]]:
    table = read_table("\n".join(map(json.dumps, rows)), "jsonl")
    return imported_questions(lab.services, LOCAL, "c", table, MAPPING)


def span(lab: Laboratory, answer: str) -> str:
    """What the gold of a question with this answer holds; "" for the whole document."""
    (question,), problems = taken(lab, {"q": "What?", "a": [answer], "d": "toll.md"})
    assert not problems
    return TEXT[question.gold[0].start : question.gold[0].end]


@pytest.mark.parametrize(
    "answer", ["the northern bridge is three silver coins", "northern\nbridge", " three  silver coins "]
)
def test_an_answer_is_found_wherever_the_stored_text_breaks_its_lines(lab: Laboratory, answer: str) -> None:
    assert span(lab, answer).split() == answer.split()


def test_an_answer_is_found_as_whole_words_only(lab: Laboratory) -> None:
    assert TEXT.count("crows") == 2 and span(lab, "crows") == "crows", "those of the scarecrows are none"
    assert span(lab, "keep") == "", "only a part of another word"
    assert span(lab, "308 coins") == "", "only a part of another number"
    assert span(lab, "1,308 coins;") == "1,308 coins;"
    assert span(lab, "冬天关闭") == "冬天关闭", "a script without spaces has no edges"
    assert span(lab, "삼성전자") == "삼성전자", "Korean writes its particles onto a word"
    assert span(lab, "308명") == "", "only a part of another number"
    assert span(lab, "1308명") == "1308명"


def test_what_stands_there_twice_is_no_passage_of_its_own(lab: Laboratory) -> None:
    assert span(lab, "The north wind") == ""
    assert span(lab, "(*not[ there") == ""


def test_questions_that_any_passage_of_a_document_answers_are_counted_and_told(lab: Laboratory) -> None:
    questions, _ = taken(
        lab,
        {"q": "What is the toll?", "a": "three silver coins", "d": "toll.md"},
        {"q": "What is the wind?", "a": "The north wind", "d": "toll.md"},
        {"q": "Who knows?", "a": "nobody"},
    )
    of = lab.services.eval_sets.add(LOCAL, "c", "n", questions, {})
    result = lab.result(lab.ended(lab.start(of, Configuration(retriever="bm25")))).to_json()
    (note,) = result["notes"]
    assert note.startswith("1 of 3 questions names a document and no passage")
    assert note in html_report(result, []) and note in markdown_report(result, [])


def test_a_document_is_named_by_a_part_that_only_one_has_and_else_it_is_told_how_many_have_it(lab: Laboratory) -> None:
    (question,), _ = taken(lab, {"q": "Sold?", "a": "5 mills", "d": "*Q3*"})
    assert question.gold[0].end > 0
    _, problems = taken(
        lab,
        {"q": "Sold?", "a": "5 mills", "d": "*Acme*"},
        {"q": "Sold?", "a": "5 mills", "d": ["toll.md", "nope.md"]},
        {"q": "Sold?", "a": "5 mills", "d": "**"},
    )
    assert problems == [
        "row 1: 2 documents match '*Acme*' (2022 Q3 Acme.pdf, 2022 Q4 Acme.pdf): name one of them",
        "row 2: no document of the collection is called 'nope.md'",
        "row 3: no document of the collection is called '**'",
    ]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.jsonl", "jsonl"),
        ("A.JSONL", "jsonl"),
        ("a.ndjson", "jsonl"),
        ("a.csv", "csv"),
        ("a.TSV", "csv"),
        ("a", "csv"),
    ],
)
def test_the_form_of_a_table_is_told_by_its_name_in_any_case(name: str, form: str) -> None:
    assert form_of_table(name) == form


def test_a_json_document_is_no_table_and_what_would_do_is_said() -> None:
    with pytest.raises(InvalidRequest, match=r"dev\.JSON: .* one question a line, named \.jsonl"):
        form_of_table("dev.JSON")


def test_the_curve_of_what_was_found_ends_at_the_recall_of_the_table(lab: Laboratory) -> None:
    """Two documents answer, of which one is found first and the other never: 1/2 from the first passage on."""
    questions, _ = taken(lab, {"q": "northern bridge toll", "a": "nobody", "d": ["toll.md", "2022 Q3 Acme.pdf"]})
    of = lab.services.eval_sets.add(LOCAL, "c", "n", questions, {})
    result = lab.result(lab.ended(lab.start(of, Configuration(retriever="bm25")))).to_json()
    (summary,) = result["configurations"]
    assert summary["recall_curve"] == [0.5] * 10
    assert summary["metrics"]["recall@10"]["mean"] == summary["recall_curve"][-1]
    assert "share of the right passages among the first k" in html_report(result, [])
