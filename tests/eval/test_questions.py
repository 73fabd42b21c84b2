"""Questions made by rule, without a server."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from core.errors import InvalidRequest
from eval.mapped import mapped_questions, read_table
from eval.questions import BLANK, Gold, MadeQuestion, Section, SourceDocument, make_questions, split_of

TEXT = (
    "The reactor at Northfield was switched on for the first time in the autumn of 1961 by its two designers. "
    "It delivered 240 megawatts to the towns along the coast until the second turbine was rebuilt. "
    "The director Ada Vance reported that the cooling water had warmed the bay by 3 degrees within one year."
)
OTHER = "In the harbour the pilot Ben Orme guided 412 ships past the northern shoal before the lighthouse was built."


def documents() -> list[SourceDocument]:
    sections = (
        Section(start=0, end=100, heading_path=("History", "The first start")),
        Section(start=90, end=len(TEXT), heading_path=("History", "The first start")),
    )
    return [
        SourceDocument(doc_id="d1", title="Reactor", text=TEXT, sections=sections),
        SourceDocument(doc_id="d2", title="Harbour", text=OTHER),
    ]


def test_a_cloze_leaves_out_what_answers_it_and_keeps_its_span() -> None:
    clozes = [q for q in make_questions(documents(), 10, unanswerable=0) if q.kind == "cloze"]
    assert {q.answers[0] for q in clozes} == {"1961", "240", "3", "412"}
    for question in clozes:
        (gold,) = question.gold
        text = TEXT if gold.doc_id == "d1" else OTHER
        assert question.answers[0] in text[gold.start : gold.end]
        assert BLANK in question.question and question.answers[0] not in question.question


def test_a_number_has_its_separators_and_not_the_comma_after_it() -> None:
    text = "In the year 2013, the whole valley was flooded by the river once more. They paid $1,204.50 for each of the old mills."
    made = make_questions([SourceDocument(doc_id="d", title="Flood", text=text)], 5, unanswerable=0)
    assert {q.answers[0] for q in made} == {"2013", "$1,204.50"}


def test_all_that_stands_under_a_heading_is_one_span() -> None:
    (heading,) = [q for q in make_questions(documents(), 10, unanswerable=0) if q.kind == "heading"]
    assert heading.question == "What does Reactor say about The first start?"
    assert (heading.gold[0].start, heading.gold[0].end) == (0, len(TEXT))


def test_an_unanswerable_question_speaks_of_a_stranger() -> None:
    found = [q for q in make_questions(documents(), 10, unanswerable=0.5) if not q.answerable]
    assert found and all(q.answers == () and q.kind == "unanswerable" for q in found)
    assert any("Ben Orme" in q.question or "Ada Vance" in q.question for q in found)


def test_what_is_put_off_is_taken_only_for_want_of_better_ones() -> None:
    def keep(question: MadeQuestion):  # type: ignore[no-untyped-def]
        return "later" if question.kind == "cloze" else "yes"

    assert [q.kind for q in make_questions(documents(), 2, unanswerable=0, keep=keep)] == ["heading", "cloze"]
    assert make_questions(documents(), 5, unanswerable=0, keep=lambda question: "no") == []


def test_the_same_sentence_twice_is_asked_once() -> None:
    twice = [documents()[1], replace(documents()[1], doc_id="d3")]
    assert len(make_questions(twice, 10, unanswerable=0)) == 1


def test_documents_are_halved_between_development_and_test() -> None:
    splits = split_of([f"d{n}" for n in range(10)], seed=1)
    assert sorted(splits.values()) == ["dev"] * 5 + ["test"] * 5
    assert split_of(["only"], seed=1) == {"only": "test"}


def gold_of(name: str, answers: object) -> Gold | str:
    del answers
    return Gold(doc_id=name, title=name) if name.startswith("d") else f"nothing is called {name}"


def test_rows_are_mapped_and_what_is_wrong_is_said() -> None:
    table = read_table(
        '{"q": "Who?", "a": ["Ada"], "d": "d1"}\n\n{"q": "", "a": []}\n{"q": "Why?", "d": "x"}\n', "jsonl"
    )
    made, problems = mapped_questions(table, {"question": "q", "answers": "a", "document": "d"}, gold_of)
    assert [(q.question, q.answers, q.gold[0].doc_id) for q in made] == [("Who?", ("Ada",), "d1")]
    assert problems == ["row 2: it has no question", "row 3: nothing is called x"]


def read(answers: object, question: object = "Who?", document: object = None) -> tuple[list[MadeQuestion], list[str]]:
    table = read_table(json.dumps({"q": question, "a": answers, "d": document}), "jsonl")
    return mapped_questions(table, {"question": "q", "answers": "a", "document": "d"}, gold_of)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"text": ["Ada", "Ada L.", "Ada"], "answer_start": [10, 10, 31]}, ("Ada", "Ada L.")),
        ([{"text": "Ada", "answer_start": 3}, {"text": "Ada L."}], ("Ada", "Ada L.")),
        ({"text": "Ada"}, ("Ada",)),
        (["Ada", None, ""], ("Ada",)),
        ([1843, 0.5], ("1843", "0.5")),
        (0, ("0",)),
        ('{"text": ["Ada"], "answer_start": [3]}', ("Ada",)),
        ("{Ada}", ("{Ada}",)),
    ],
)
def test_right_answers_are_read_as_published_sets_write_them(answers: object, expected: tuple[str, ...]) -> None:
    (question,), problems = read(answers)
    assert (question.answers, problems) == (expected, [])


@pytest.mark.parametrize("answers", [{"x": 1}, [["Ada"]], {"text": {"x": 1}}, [{"answer_start": 3}]])
def test_an_answer_that_is_no_text_is_a_problem_of_its_row(answers: object) -> None:
    made, (problem,) = read(answers)
    assert not made and problem.startswith("row 1: its answer is ") and '["…"]' in problem


def test_a_question_or_a_document_that_is_no_text_is_a_problem_of_its_row() -> None:
    assert read("Ada", {"x": 1}) == ([], ['row 1: its question is {"x": 1}: give a text'])
    assert read("Ada", ["Who?"])[1] == ['row 1: its question is ["Who?"]: give a text']
    assert read("Ada", document=[{"x": 1}])[1] == [
        'row 1: its document is {"x": 1}: give a text, or a list of texts, ["…"]'
    ]


def test_a_row_is_left_out_for_any_document_that_there_is_not() -> None:
    assert read("Ada", document=["d1", "x"]) == ([], ["row 1: nothing is called x"])
    (question,), _ = read("Ada", document=["d1", "d2", "d1"])
    assert [g.doc_id for g in question.gold] == ["d1", "d2"]


def test_an_empty_list_of_places_says_that_the_document_does_not_answer() -> None:
    (question,), _ = read({"text": [], "answer_start": []}, document="d1")
    assert (question.answerable, question.answers, question.gold) == (False, (), ())
    (whole,), _ = read("", document="d1")
    assert whole.answerable and whole.gold, "an answer that is not given may still stand there"


@pytest.mark.parametrize(
    ("text", "form", "said"),
    [
        ("", "csv", "holds no question"),
        ("[1]", "jsonl", "line 1 is not a JSON object"),
        ('{"a', "jsonl", "line 1 is not JSON"),
        ('{"q": NaN}', "jsonl", "line 1 is not JSON: NaN is no number of JSON; write null"),
        ('{"q": 1e999}', "jsonl", "line 1 is not JSON: Out of range float"),
        ('{"q": ' + "1" * 5000 + "}", "jsonl", "line 1 is not JSON"),
        ('{"q": ' + "[" * 100_000 + "}", "jsonl", "line 1 is not JSON: it is nested too deeply"),
        ("PK\x03\x04\0\0", "csv", "is not text: save the table as CSV"),
        ("q,q\nWho?,Why?\n", "csv", "two columns are called 'q'"),
        ("q,a\nWho, and why?,Ada\n", "csv", "line 2 has 3 cells and the header 2: put text that has a comma in it"),
        ('q,a\n"Who?,Ada\n', "csv", "is not CSV"),
        ("q\n" + "Who?\n" * 6, "csv", "more than 5 rows, which is the most a set holds"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_table_that_cannot_be_read_says_where(text: str, form: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        read_table(text, form, most=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_of_any_spreadsheet_has_its_columns_told_apart(mark: str) -> None:
    table = read_table(f'\ufeffFrage{mark}Antwort\r\n"Wer{mark} und wo?"{mark}Käthe\r\n\r\n', "csv")
    assert table.columns == ("Frage", "Antwort")
    assert table.rows == ({"Frage": f"Wer{mark} und wo?", "Antwort": "Käthe"},)


def test_a_row_that_says_the_same_again_is_left_out_and_named() -> None:
    table = read_table("q,d\nWho?,d1\nWho?,d2\nWho?,d1\n", "csv")
    made, problems = mapped_questions(table, {"question": "q", "document": "d"}, gold_of)
    assert [q.gold[0].doc_id for q in made] == ["d1", "d2"]
    assert problems == ["row 3: it says the same as row 1"]


def test_an_answer_that_begins_like_a_list_and_is_none_is_a_text() -> None:
    table = read_table('{"q": "Who?", "a": "[sic"}\n{"q": "Why?", "a": "' + "[" * 50_000 + '"}', "jsonl")
    made, _ = mapped_questions(table, {"question": "q", "answers": "a"}, gold_of)
    assert [q.answers[0][:4] for q in made] == ["[sic", "[[[["]


def test_a_mapping_needs_a_question() -> None:
    with pytest.raises(InvalidRequest, match="which column holds the question"):
        mapped_questions(read_table("a,b\n1,2\n", "csv"), {"answers": "a"}, gold_of)
