"""Questions out of a table of somebody's own: CSV or JSON lines, with a mapping of its columns to what they mean.

Knows nothing of collections: whose document a name is, the caller says.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import InvalidRequest
from core.text import fold
from eval.questions import Gold, MadeQuestion, split_of

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


def read_table(text: str, form: Literal["csv", "jsonl"]) -> TableOfQuestions:
    """Raises InvalidRequest for what cannot be read, with its line."""
    rows = _csv(text.removeprefix("\ufeff")) if form == "csv" else _jsonl(text.removeprefix("\ufeff"))
    if not rows:
        raise InvalidRequest("the file holds no question: give a header and rows, or JSON lines", code="bad-dataset")
    columns = tuple(dict.fromkeys(key for row in rows for key in row))
    return TableOfQuestions(columns=columns, rows=tuple(rows))


def _csv(text: str) -> list[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        return [{str(k): v for k, v in row.items() if k} for row in reader]
    except csv.Error as e:
        raise InvalidRequest(f"line {reader.line_num} is not CSV: {e}", code="bad-dataset") from e


def _jsonl(text: str) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as e:
            raise InvalidRequest(f"line {number} is not JSON: {e}", code="bad-dataset") from e
        if not isinstance(row, dict):
            raise InvalidRequest(f"line {number} is not a JSON object", code="bad-dataset")
        rows.append(row)
    return rows


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
            value = json.loads(value)
        except json.JSONDecodeError:
            return (value.strip(),)
    if isinstance(value, list):
        return tuple(str(v).strip() for v in value if str(v).strip())
    return (str(value).strip(),) if value not in (None, "") and str(value).strip() else ()
