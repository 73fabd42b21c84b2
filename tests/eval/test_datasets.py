"""Data sets are read strictly: what is wrong is named with its file, its line and what would do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import InvalidRequest, NotFound
from eval.datasets import CorpusDocument, load_beir, load_faithfulness, load_qa

CORPUS = [{"_id": "d1", "title": "One", "text": "first"}, {"_id": "d2", "title": "", "text": "second"}]
QUERIES = [{"_id": "q1", "text": "which one?"}, {"_id": "q2", "text": "unjudged"}]


def lines(rows: list[object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def beir(
    folder: Path,
    corpus: list[object] | None = None,
    queries: list[object] | None = None,
    qrels: str = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n",
) -> Path:
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(lines(CORPUS if corpus is None else corpus))
    (folder / "queries.jsonl").write_text(lines(QUERIES if queries is None else queries))
    (folder / "qrels" / "test.tsv").write_text(qrels)
    return folder


def test_a_beir_folder_is_read(tmp_path: Path) -> None:
    dataset = load_beir(beir(tmp_path / "tiny"), "test")
    assert (dataset.name, dataset.split, dataset.n_documents) == ("tiny", "test", 2)
    assert dataset.queries == {"q1": "which one?"}  # only those that are judged
    assert dataset.qrels == {"q1": {"d1": 2, "d2": 0}}
    first = CorpusDocument(doc_id="d1", title="One", text="first")
    assert [next(iter(dataset.corpus)) for _ in range(2)] == [first, first]  # it can be read more than once


@pytest.mark.parametrize(
    "qrels",
    [
        "q1\td1\t2\nq1\td2\t0\n",
        "query-id\tcorpus-id\tscore\r\nq1\td1\t2\r\n\r\nq1\td2\t0\r\n",
        "q1 0 d1 2\nq1 0 d2 0",
        "\ufeffquery-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0.0\n",
        "q1\t0\td1\t2\nq1\t0\td2\t0\nq1\t0\td2\t0\n",
    ],
    ids=["no header", "header and CRLF", "TREC", "byte order mark", "TREC with tabs, one line twice"],
)
def test_judgements_come_with_or_without_a_header_and_in_trecs_form(tmp_path: Path, qrels: str) -> None:
    assert load_beir(beir(tmp_path / "tiny", qrels=qrels), "test").qrels == {"q1": {"d1": 2, "d2": 0}}


def test_ids_that_are_numbers_are_taken_as_their_digits(tmp_path: Path) -> None:
    folder = beir(tmp_path / "n", [{"_id": 7, "text": "seven"}], [{"_id": 1, "text": "?"}], "1\t7\t1\n")
    dataset = load_beir(folder, "test")
    assert dataset.qrels == {"1": {"7": 1}}
    assert [document.title for document in dataset.corpus] == [""]


def test_a_missing_split_names_those_that_there_are(tmp_path: Path) -> None:
    folder = beir(tmp_path / "tiny")
    (folder / "qrels" / "dev.tsv").write_text("q1\td1\t1\n")
    with pytest.raises(NotFound, match=r"no split 'train' \(qrels/train.tsv\): choose --split dev or test"):
        load_beir(folder, "train")
    with pytest.raises(NotFound, match="choose --split dev or test"):
        load_beir(folder, "../qrels/test")


def test_a_missing_folder_or_file_says_what_a_beir_folder_is(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no folder .*corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv"):
        load_beir(tmp_path / "nowhere", "test")
    folder = beir(tmp_path / "tiny")
    (folder / "queries.jsonl").unlink()
    with pytest.raises(NotFound, match=r"holds no queries.jsonl"):
        load_beir(folder, "test")


@pytest.mark.parametrize(
    ("part", "content", "message"),
    [
        ("corpus", lines([CORPUS[0], CORPUS[0]]), r"corpus.jsonl, line 2: \"_id\" 'd1' stands a second time"),
        ("corpus", lines([{"id": "d1", "text": "x"}]), r'line 1: "_id" is missing: the line has "id", "text"'),
        ("corpus", lines([{"_id": "d1", "text": 5}]), r'line 1: "text" is 5: it must be a string'),
        ("corpus", lines([{"_id": True, "text": ""}]), r'line 1: "_id" is true: it must be a non-empty string'),
        ("corpus", "\n{not json}\n", r"line 2: is not JSON \(.* at column 2\): each line must be one JSON object"),
        ("corpus", "[1]\n", r"line 1: is \[1\]: each line must be one JSON object"),
        ("corpus", '{"_id": "a", "text": "\\ud800"}\n', r"line 1: .*half a surrogate pair at character 0"),
        ("corpus", "", "holds no document"),
        ("queries", lines([{"_id": "q1", "text": " "}]), r'queries.jsonl, line 1: "text" is empty'),
        ("queries", lines([{"_id": "q9", "text": "x"}]), r"judges 'q1', which queries.jsonl lacks"),
        ("qrels", "q1\td1\tgood\nq1\td2\tbad\n", r"test.tsv, line 2: 'bad' is not a number"),
        ("qrels", "q1\td1\t1\nq1\td1\t2\n", r"line 2: query 'q1' and document 'd1' were graded 1 before and 2 here"),
        ("qrels", "q1\td1\t0.5\n", r"line 1: relevance '0.5' is not a whole number"),
        ("qrels", "q1,d1,1\n", r"line 1: has 1 columns: qrels have query-id, corpus-id and score"),
        ("qrels", "q1\t\t1\n", r"line 1: has "),
        ("qrels", "query-id\tcorpus-id\tscore\n", "holds no judgement"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(tmp_path: Path, part: str, content: str, message: str) -> None:
    folder = beir(tmp_path / "tiny")
    path = folder / "qrels" / "test.tsv" if part == "qrels" else folder / f"{part}.jsonl"
    path.write_text(content)
    with pytest.raises(InvalidRequest, match=message):
        load_beir(folder, "test")


def test_a_file_that_is_not_utf8_says_so(tmp_path: Path) -> None:
    folder = beir(tmp_path / "tiny")
    (folder / "corpus.jsonl").write_bytes(b'{"_id": "d1", "text": "ok"}\n{"_id": "d2", "text": "caf\xe9"}\n')
    with pytest.raises(InvalidRequest, match=r"line 2: is not UTF-8 \(byte 26\)"):
        load_beir(folder, "test")


def test_judged_documents_that_the_corpus_lacks_are_counted_not_hidden(tmp_path: Path) -> None:
    dataset = load_beir(beir(tmp_path / "tiny", qrels="q1\td1\t1\nq1\tgone\t1\n"), "test")
    assert dataset.judged_not_in_corpus == 1
    assert dataset.qrels["q1"] == {"d1": 1, "gone": 1}


def test_the_digest_follows_from_content(tmp_path: Path) -> None:
    same = load_beir(beir(tmp_path / "a"), "test").sha256
    assert load_beir(beir(tmp_path / "b"), "test").sha256 == same
    moved = [{"_id": "d1", "title": "Onef", "text": "irst"}, CORPUS[1]]  # the same characters, cut elsewhere
    assert load_beir(beir(tmp_path / "c", corpus=moved), "test").sha256 != same


def qa_file(folder: Path, *rows: object) -> Path:
    path = folder / "qa.jsonl"
    path.write_text(lines(list(rows)))
    return path


def test_questions_are_read_with_their_contexts(tmp_path: Path) -> None:
    row = {"id": "1", "question": "Who?", "answers": ["Ada"], "answerable": True, "gold_ids": ["p1"]}
    path = qa_file(
        tmp_path,
        row | {"contexts": [{"title": "T", "text": "Ada did."}, {"text": "no title"}]},
        {"id": "2", "question": "Why?", "answers": [], "answerable": False, "extra": "is ignored"},
        {"id": "3", "question": "When?", "answers": []},
        {"id": "4", "question": "Where?", "answerable": True},
    )
    dataset = load_qa(path)
    assert dataset.name == f"{tmp_path.name}/qa"
    first, second, third, fourth = dataset.samples
    assert (first.answers, first.gold_ids) == (("Ada",), ("p1",))
    assert first.contexts == (("T", "Ada did."), ("", "no title"))
    assert not second.answerable
    assert not third.answerable  # no answers, and not said otherwise
    assert (fourth.answerable, fourth.answers) == (True, ())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"answer": "Ada"}, r'line 1: neither "answers" nor "answerable" is there, but "answer" is: call it "answers"'),
        ({"answer": "Ada", "answerable": True}, r'"answers" is missing, but "answer" is there: call it "answers"'),
        ({}, r'neither "answers" nor "answerable" is there: .* "answers": \[\] if nothing answers it'),
        ({"answers": None}, r'neither "answers" nor "answerable" is there'),
    ],
)
def test_a_question_is_unanswerable_only_where_its_line_says_so(tmp_path: Path, row: object, message: str) -> None:
    path = qa_file(tmp_path, {"id": "1", "question": "Who?"} | row)  # type: ignore[operator]
    with pytest.raises(InvalidRequest, match=message):
        load_qa(path)
    assert [s.question for s in load_qa(path, judged=False).samples] == ["Who?"]


@pytest.mark.parametrize("content", [[], {"data": []}, {"data": [{"paragraphs": [{"context": "c", "qas": []}]}]}])
def test_a_published_file_without_questions_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(InvalidRequest, match=r"dev.json: holds no question"):
        load_qa(published(tmp_path, content))


SQUAD_QUESTIONS = [
    {
        "id": "a",
        "question": "When?",
        "answers": [{"text": "1843", "answer_start": 9}, {"text": "1843"}, {"text": "in 1843"}],
    },
    {"id": "b", "question": "Why?", "answers": [], "is_impossible": True, "plausible_answers": [{"text": "1843"}]},
]
SQUAD = {
    "version": "v2.0",
    "data": [{"title": "Ada_Lovelace", "paragraphs": [{"context": "It was in 1843.", "qas": SQUAD_QUESTIONS}]}],
}
HOTPOT = [
    {
        "_id": "5a8b",
        "question": "Whose father wrote Don Juan?",
        "answer": "Ada Lovelace",
        "supporting_facts": [["Don Juan", 0], ["Ada Lovelace", 1]],
        "context": [
            ["Don Juan", ["Byron wrote it.", " It is long."]],
            ["Empty", []],
            ["Ada Lovelace", ["Her father was Byron."]],
        ],
        "type": "bridge",
    }
]


def published(folder: Path, content: object) -> Path:
    path = folder / "dev.json"
    path.write_text(json.dumps(content))
    return path


def test_squad_is_read_as_it_is_published(tmp_path: Path) -> None:
    answerable, impossible = load_qa(published(tmp_path, SQUAD)).samples
    assert answerable.answers == ("1843", "in 1843")
    assert answerable.contexts == (("Ada Lovelace", "It was in 1843."),)
    assert answerable.answerable and not impossible.answerable
    assert impossible.answers == ()


def test_hotpot_is_read_as_it_is_published(tmp_path: Path) -> None:
    (only,) = load_qa(published(tmp_path, HOTPOT)).samples
    assert (only.id, only.answers, only.answerable) == ("5a8b", ("Ada Lovelace",), True)
    assert only.contexts == (("Don Juan", "Byron wrote it. It is long."), ("Ada Lovelace", "Her father was Byron."))
    assert only.gold_ids == ("Don Juan", "Ada Lovelace"), "the titles of its supporting facts"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"rows": []}, "is neither SQuAD"),
        ({"data": {}}, r"data must be a list, as SQuAD"),
        (
            {"data": [{"paragraphs": [{"context": "c", "qas": ["q"]}]}]},
            r"data\[0\]\.paragraphs\[0\]\.qas\[0\] must be an object",
        ),
        ({"data": [{"paragraphs": [{"context": "c", "qas": [{"question": "q"}]}]}]}, r'question 1: "id" is missing'),
        (
            [{"_id": "1", "question": "q", "context": [["t", "text"]]}],
            r"\[0\]\.context\[0\] must be \[title, \[sentence",
        ),
        (
            {"data": [{"paragraphs": [{"context": "c", "qas": [{"id": "1", "answers": [{"text": ["x"]}]}]}]}]},
            r"qas\[0\]\.answers\[0\]\.text must be a text",
        ),
        ([HOTPOT[0] | {"supporting_facts": ["Don Juan"]}], r"\[0\]\.supporting_facts\[0\] must be \[title, number"),
        ([*HOTPOT, *HOTPOT], "question 2: .* stands a second time"),
    ],
)
def test_a_published_file_that_does_not_fit_says_where(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        load_qa(published(tmp_path, content))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "1", "question": "q", "answers": "Ada"}, r'"answers" is "Ada": it must be a list of non-empty strings'),
        ({"id": "1", "question": "q", "answers": [""]}, r'"answers" is \[""\]'),
        ({"id": "1", "question": "q", "answerable": "yes"}, r'"answerable" is "yes": it must be true or false'),
        ({"id": "1", "question": "", "answers": []}, r'"question" is empty'),
        ({"question": "q", "answers": []}, r'"id" is missing'),
        ({"id": "1", "question": "q", "answers": [], "contexts": ["text"]}, r'"contexts" must be a list of objects'),
        (
            {"id": "1", "question": "q", "answers": [], "contexts": [{"title": "t"}]},
            r'line 1: "text" is missing: the line has "title"',
        ),
    ],
)
def test_a_question_that_does_not_fit_is_explained(tmp_path: Path, row: object, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        load_qa(qa_file(tmp_path, row))


def test_claims_are_read_and_labels_are_0_or_1(tmp_path: Path) -> None:
    row = {"id": "1", "evidence": "e", "claim": "c", "label": 1}
    assert load_faithfulness(qa_file(tmp_path, row)).pairs[0].label == 1
    for label in (2, "1", True, None):
        with pytest.raises(InvalidRequest, match=r"line 1: \"label\" is .*: it must be 1 \(supported\) or 0"):
            load_faithfulness(qa_file(tmp_path, row | {"label": label}))
    with pytest.raises(InvalidRequest, match=r"line 2: \"id\" '1' stands a second time"):
        load_faithfulness(qa_file(tmp_path, row, row))
    with pytest.raises(InvalidRequest, match="is empty: its lines are"):
        load_faithfulness(qa_file(tmp_path))
    with pytest.raises(NotFound, match="no file"):
        load_faithfulness(tmp_path / "none.jsonl")


@pytest.mark.data
def test_the_development_data_is_read_as_it_is(shared_data: Path) -> None:
    dev = load_beir(shared_data / "scifact", "dev")
    assert (len(dev.queries), dev.n_documents, dev.judged_not_in_corpus) == (200, 5183, 0)
    assert len(load_qa(shared_data / "clapnq" / "dev.jsonl").samples) == 150
    assert len(load_faithfulness(shared_data / "faithfulness" / "wice-dev.jsonl").pairs) == 1043
