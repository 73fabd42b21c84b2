"""Questions out of a table of somebody's own: CSV or JSON lines, with a mapping of its columns to what they mean.

Knows nothing of collections: whose document a name is, the caller says.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import InvalidRequest
from core.text import fold
from eval.questions import Gold, MadeQuestion, split_of

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
    gold_of: Callable[[str, Sequence[str]], Sequence[Gold]],
    *,
    seed: int = 0,
) -> tuple[list[MadeQuestion], list[str]]:
    """The questions of a table, and what was wrong with the rows that were left out.

    A row without answer and document is one that cannot be answered.

    Args:
        mapping: field (of ``FIELDS``) → column; "question" is needed.
        gold_of: the document of a name, and within it where one of the answers stands; empty if there is no such
            document.

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
    read: list[tuple[str, tuple[str, ...], tuple[Gold, ...]]] = []
    problems: list[str] = []
    seen: dict[tuple[str, tuple[str, ...], tuple[Gold, ...]], int] = {}
    for number, row in enumerate(table.rows, start=1):
        question = str(row.get(column_of_question) or "").strip()
        if not question:
            problems.append(f"row {number}: it has no question")
            continue
        answers = _texts(row.get(mapping.get("answers") or ""))
        names = _texts(row.get(mapping.get("document") or ""))
        golds = tuple(dict.fromkeys(gold for name in names for gold in gold_of(name, answers)))
        if names and not golds:
            problems.append(f"row {number}: no document of the collection is called {names[0]!r}")
            continue
        if (question, answers, golds) in seen:
            problems.append(f"row {number}: it says the same as row {seen[question, answers, golds]}")
            continue
        seen[question, answers, golds] = number
        read.append((question, answers, golds))
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


def _texts(value: Any) -> tuple[str, ...]:
    """A list, a list written as JSON, or one text."""
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = _json(value, "it")
        except InvalidRequest:
            return (value.strip(),)  # a text that begins so
    if isinstance(value, list):
        return tuple(str(v).strip() for v in value if str(v).strip())
    return (str(value).strip(),) if value not in (None, "") and str(value).strip() else ()
