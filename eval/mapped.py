"""Questions out of a table of somebody's own: CSV or JSON lines, with a mapping of its columns to what they mean.

Knows nothing of collections: whose document a name is, the caller says.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from core.errors import InvalidRequest
from core.text import fold
from core.wording import shortened
from eval.questions import Gold, MadeQuestion, split_of

_Row: TypeAlias = tuple[str, tuple[str, ...], tuple[Gold, ...]]  # question, answers, where they stand
_MARKS = {",": "comma", ";": "semicolon", "\t": "tab"}
FIELDS = ("question", "answers", "document")
_NAMES: Mapping[str, tuple[str, ...]] = {
    "question": ("question", "query", "prompt"),
    "answers": ("answers", "answer", "gold", "reference", "expected"),
    "document": ("document", "doc", "title", "uri", "file", "filename", "source_docs", "source", "doc_id"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOfQuestions:
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]

    def suggested(self) -> dict[str, str | None]:
        """Which column each field seems to be; None where none does."""
        by_name = {fold(c).strip(): c for c in self.columns}
        return {name: next((by_name[n] for n in _NAMES[name] if n in by_name), None) for name in FIELDS}


def read_table(text: str, form: Literal["csv", "jsonl"], *, most: int = 100_000) -> TableOfQuestions:
    """Columns of a CSV file are parted by commas, semicolons or tabs, whichever its first line has most of.

    Args:
        most: rows, from which on nothing is read.

    Raises:
        InvalidRequest: it is no text, no such table, or too long; with the line, and what would do.
    """
    if "\0" in text:
        raise InvalidRequest(
            "the file is not text: save the table as CSV or JSON lines; a workbook is no table of text yet",
            code="bad-dataset",
        )
    read = _csv if form == "csv" else _jsonl
    rows: list[dict[str, Any]] = []
    for row in read(text.removeprefix("\ufeff")):
        if len(rows) == most:
            raise InvalidRequest(
                f"the file has more than {most:,} rows, which is the most a set holds: split it into several",
                code="usage",
            )
        rows.append(row)
    if not rows:
        raise InvalidRequest("the file holds no question: give a header and rows, or JSON lines", code="bad-dataset")
    columns = tuple(dict.fromkeys(key for row in rows for key in row))
    return TableOfQuestions(columns=columns, rows=tuple(rows))


def _csv(text: str) -> Iterator[dict[str, Any]]:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    columns: list[str] = []
    try:
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = [cell.strip() for cell in cells]
                _check_columns(columns)
                continue
            if len(cells) > len(columns):
                raise InvalidRequest(
                    f"line {lines.line_num} has {len(cells)} cells and the header {len(columns)}: put text that has a "
                    f"{_MARKS[lines.dialect.delimiter]} in it into quotation marks",
                    code="bad-dataset",
                )
            yield {name: cell for name, cell in zip(columns, cells, strict=False) if name}
    except csv.Error as e:
        raise InvalidRequest(f"line {lines.line_num} is not CSV: {e}", code="bad-dataset") from e


def _delimiter(text: str) -> str:
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(_MARKS, key=header.count)  # of equals the comma


def _check_columns(columns: Sequence[str]) -> None:
    twice = [name for name, n in Counter(columns).items() if name and n > 1]
    if twice:
        raise InvalidRequest(
            f"two columns are called {twice[0]!r}: name each once in the first line", code="bad-dataset"
        )


def _jsonl(text: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        row = _json(line, f"line {number}")
        if not isinstance(row, dict):
            raise InvalidRequest(f"line {number} is not a JSON object", code="bad-dataset")
        yield row


def _json(text: str, called: str) -> Any:
    """Raises InvalidRequest, also for what others could not read again: NaN, numbers past any bound, lists without end."""
    try:
        value = json.loads(text, parse_constant=_no_number)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError) as e:
        why = "it is nested too deeply" if isinstance(e, RecursionError) else e
        raise InvalidRequest(f"{called} is not JSON: {why}", code="bad-dataset") from e
    return value


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON; write null or leave it out")


def mapped_questions(
    table: TableOfQuestions,
    mapping: Mapping[str, str | None],
    gold_of: Callable[[str, Sequence[str]], Gold | str],
    *,
    seed: int = 0,
) -> tuple[list[MadeQuestion], list[str]]:
    """The questions of a table, and what was wrong with the rows that were left out.

    A row without answer and document is one that cannot be answered, and so is one whose answers are an object of no texts, as
    SQuAD 2.0 has it at Hugging Face ({"text": [], "answer_start": []}), whatever document it names.

    Args:
        mapping: field (of ``FIELDS``) → column; "question" is needed.
        gold_of: the document of a name, and within it where one of the answers stands; or why there is none.

    Raises:
        InvalidRequest: a field or column that there is not, or no column of questions.
    """
    for name, column in mapping.items():
        if name not in FIELDS:
            raise InvalidRequest(f"unknown field {name!r}: map {', '.join(FIELDS)}", code="usage")
        if column is not None and column not in table.columns:
            raise InvalidRequest(f"no column {column!r}: the file has {', '.join(table.columns)}", code="bad-mapping")
    column_of_question = mapping.get("question")
    if column_of_question is None:
        raise InvalidRequest(
            f"say which column holds the question: the file has {', '.join(table.columns)}", code="bad-mapping"
        )
    read: list[_Row] = []
    problems: list[str] = []
    seen: dict[_Row, int] = {}
    for number, row in enumerate(table.rows, start=1):
        try:
            found = _read_row(row, column_of_question, mapping, gold_of)
            if found in seen:
                raise _RowProblem(f"it says the same as row {seen[found]}")
        except _RowProblem as e:
            problems.append(f"row {number}: {e}")
            continue
        seen[found] = number
        read.append(found)
    splits = split_of(list({golds[0].doc_id for _, _, golds in read if golds}), seed)
    made = [
        MadeQuestion(
            question=question,
            answers=answers,
            answerable=bool(answers or golds),
            kind="uploaded",
            gold=golds,
            split=splits[golds[0].doc_id] if golds else "test",
        )
        for question, answers, golds in read
    ]
    return made, problems


class _RowProblem(Exception):
    """Why a row is left out; the others are taken in."""


def _read_row(
    row: Mapping[str, Any],
    column_of_question: str,
    mapping: Mapping[str, str | None],
    gold_of: Callable[[str, Sequence[str]], Gold | str],
) -> _Row:
    value = row.get(column_of_question)
    if isinstance(value, dict | list):
        raise _RowProblem(f"its question is {_shown(value)}: give a text")
    question = "" if value is None else str(value).strip()
    if not question:
        raise _RowProblem("it has no question")
    value = _unpacked(row.get(mapping.get("answers") or ""))
    answers = _texts(value, "answer")
    if isinstance(value, dict) and not answers:
        return question, (), ()
    golds = []
    for name in _texts(_unpacked(row.get(mapping.get("document") or "")), "document"):
        gold = gold_of(name, answers)
        if isinstance(gold, str):
            raise _RowProblem(gold)
        golds.append(gold)
    return question, answers, tuple(dict.fromkeys(golds))


def _unpacked(value: Any) -> Any:
    """A list or an object that is written as JSON within a cell."""
    if isinstance(value, str) and value.strip().startswith(("[", "{")):
        with suppress(InvalidRequest):  # a text that begins so
            return _json(value, "it")
    return value


def _texts(value: Any, called: str) -> tuple[str, ...]:
    """One text, a list of them, or what has them under "text", as SQuAD writes answers; each once, and no empty ones."""
    if isinstance(value, dict) and "text" in value and not isinstance(value["text"], dict):
        value = value["text"]
    found: dict[str, None] = {}
    for one in value if isinstance(value, list) else [value]:
        text = one.get("text", one) if isinstance(one, dict) else one
        if isinstance(text, dict | list) or (
            isinstance(text, str) and text.startswith("{'text'")
        ):  # Python's own writing
            raise _RowProblem(f'its {called} is {_shown(one)}: give a text, or a list of texts, ["…"]')
        if text is not None and str(text).strip():
            found[str(text).strip()] = None
    return tuple(found)


def _shown(value: Any) -> str:
    return shortened(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), 60)
