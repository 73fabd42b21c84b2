"""TREC run files: what is written reads back, and what cannot be written is refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidRequest
from eval.metrics.ranking import trec_order
from eval.trec import read_run, write_run

ids = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=8).filter(
    lambda s: not any(c.isspace() for c in s)
)
runs = st.dictionaries(
    ids, st.dictionaries(ids, st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8), min_size=1
)


@settings(max_examples=100, deadline=None)
@given(runs)
def test_a_run_reads_back_to_the_last_bit_and_in_trecs_order(run: dict[str, dict[str, float]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.trec"
        write_run(path, run, "tag")
        back = read_run(path)
    assert back == run
    assert {q: list(scores) for q, scores in back.items()} == {q: trec_order(scores) for q, scores in run.items()}


def test_the_six_columns_are_query_q0_document_rank_score_tag(tmp_path: Path) -> None:
    write_run(tmp_path / "r", {"q1": {"a": 0.5, "b": 0.5, "c": 2.0}}, "bm25")
    assert (tmp_path / "r").read_text() == "q1 Q0 c 1 2.0 bm25\nq1 Q0 b 2 0.5 bm25\nq1 Q0 a 3 0.5 bm25\n"


@pytest.mark.parametrize(
    ("run", "tag", "message"),
    [
        ({"q": {"10-K 2020.pdf": 1.0}}, "t", "document id '10-K 2020.pdf' holds white space"),
        ({"q 1": {"d": 1.0}}, "t", "query id 'q 1' holds white space"),
        ({"q": {"a\u2003b": 1.0}}, "t", "white space"),
        ({"q": {"d": 1.0}}, "my run", "run id 'my run' holds white space"),
        ({"q": {"": 1.0}}, "t", "document id ''"),
        ({"q": {"d": float("nan")}}, "t", "not a number"),
    ],
)
def test_what_six_columns_cannot_hold_is_refused_and_leaves_the_old_file(
    tmp_path: Path, run: dict[str, dict[str, float]], tag: str, message: str
) -> None:
    path = tmp_path / "run"
    path.write_text("old")
    with pytest.raises(InvalidRequest, match=message):
        write_run(path, run, tag)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("q Q0 d 1 2.0\n", "line 1: has 5 columns: a TREC run has six"),
        ("q Q0 my doc 1 2.0 t\n", "line 1: has 7 columns"),
        ("q Q0 d 1 high t\n", "line 1: 'high' is not a number"),
        ("q Q0 d 1 nan t\n", "line 1: 'nan' is not a number"),
        ("q Q0 d 1 2 t\n\nq Q0 d 2 1 t\n", "line 3: document 'd' stands a second time for query 'q'"),
        ("", "is empty"),
    ],
)
def test_a_file_that_is_no_run_is_explained(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "r").write_text(content)
    with pytest.raises(InvalidRequest, match=message):
        read_run(tmp_path / "r")


def test_the_rank_column_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("q Q0 a 1 0.1 t\nq Q0 b 2 0.9 t\n")
    assert trec_order(read_run(tmp_path / "r")["q"]) == ["b", "a"]
