"""TREC files: runs (query Q0 document rank score tag) and qrels, also in BEIR's three-column form.

The columns of a run are separated by white space and there is no quoting, so an id that holds white space cannot
be written; that is an error rather than a file that means something else.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from core.errors import InvalidRequest
from eval.jsonl import bad_data
from eval.metrics.ranking import ScoredRun, trec_order


def check_ids(ids: Iterable[str], what: str) -> None:
    """Raises InvalidRequest if an id cannot stand in a TREC file; ``what`` names them in the message."""
    for one in ids:
        if not one or any(c.isspace() for c in one):
            raise InvalidRequest(
                f"{what} id {one!r} holds white space, which a TREC run cannot: rename it, or leave out the run file",
                code="bad-dataset",
            )


def write_run(path: Path, run: ScoredRun, tag: str) -> None:
    """Writes a run in trec_eval's order (ties by id descending), all at once: a reader never sees half a file.

    Scores are written with the shortest digits that read back as the same number.

    Raises:
        InvalidRequest: an id or the tag holds white space, or a score is not a number.
        OSError: the file cannot be written.
    """
    check_ids([tag], "run")
    check_ids(run, "query")
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            for query_id, scores in run.items():
                check_ids(scores, "document")
                for rank, doc_id in enumerate(trec_order(scores), start=1):
                    file.write(f"{query_id} Q0 {doc_id} {rank} {float(scores[doc_id])!r} {tag}\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_run(path: Path) -> dict[str, dict[str, float]]:
    """Reads a six-column run; the rank column is ignored, as trec_eval does.

    Raises:
        InvalidRequest: a line without six columns, a score that is no number, a document twice for one question.
    """
    run: dict[str, dict[str, float]] = {}
    for number, line in _lines(path):
        columns = line.split()
        if len(columns) != 6:
            raise bad_data(
                path,
                number,
                f"has {len(columns)} columns: a TREC run has six, `query Q0 document rank score tag`, and no id holds a space",
            )
        query_id, _, doc_id, _, said, _ = columns
        score = _number(path, number, said)
        documents = run.setdefault(query_id, {})
        if doc_id in documents:
            raise bad_data(path, number, f"document {doc_id!r} stands a second time for query {query_id!r}")
        documents[doc_id] = score
    if not run:
        raise bad_data(path, None, "is empty: a TREC run has lines of `query Q0 document rank score tag`")
    return run


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Reads judgements: `query 0 document grade` (TREC) or `query-id<TAB>corpus-id<TAB>score` (BEIR, header or not).

    Questions keep the order of the file.

    Raises:
        InvalidRequest: other columns, a grade that is no whole number, two grades for one pair.
    """
    qrels: dict[str, dict[str, int]] = {}
    first = True
    for number, line in _lines(path):
        columns = _qrel_columns(path, number, line)
        if first and len(columns) == 3 and not _is_number(columns[2]):
            first = False  # the header
            continue
        first = False
        query_id, doc_id, said = columns[0], columns[-2], columns[-1]
        grade = _number(path, number, said)
        if grade != int(grade):
            raise bad_data(path, number, f"relevance {said!r} is not a whole number")
        judged = qrels.setdefault(query_id, {})
        if judged.setdefault(doc_id, int(grade)) != int(grade):
            raise bad_data(
                path,
                number,
                f"query {query_id!r} and document {doc_id!r} were graded {judged[doc_id]} before and {int(grade)} here",
            )
    if not qrels:
        raise bad_data(path, None, "holds no judgement: lines are query-id, corpus-id and score, separated by tabs")
    return qrels


def _qrel_columns(path: Path, number: int, line: str) -> list[str]:
    columns = [column.strip() for column in line.split("\t")]
    if len(columns) not in (3, 4):
        columns = line.split()
    if len(columns) not in (3, 4) or not all(columns):
        raise bad_data(
            path,
            number,
            f"has {len(columns)} columns: qrels have query-id, corpus-id and score separated by tabs "
            "(or TREC's four, `query 0 document grade`)",
        )
    return columns


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                try:
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
                except UnicodeDecodeError as e:
                    raise bad_data(path, number, f"is not UTF-8 (byte {e.start}): save the file as UTF-8") from e
                if line.strip():
                    yield number, line
    except OSError as e:
        raise bad_data(path, None, f"cannot be read: {e.strerror}") from e


def _is_number(said: str) -> bool:
    try:
        return math.isfinite(float(said))
    except ValueError:
        return False


def _number(path: Path, number: int, said: str) -> float:
    if not _is_number(said):
        raise bad_data(path, number, f"{said!r} is not a number")
    return float(said)
