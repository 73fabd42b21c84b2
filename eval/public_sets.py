"""The forms in which SQuAD and HotpotQA are published, read as rows of our own form.

    SQuAD 1.1, 2.0   {"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question", "answers": [{"text"}], "is_impossible"?}]}]}]}
    HotpotQA         [{"_id", "question", "answer", "context": [[title, [sentence, …]], …], "supporting_facts"?}]

Which one a file is, its outermost bracket says. Of supporting facts the titles are kept, as the ``gold_ids`` of a question whose contexts they name;
the numbers of sentences are not. Knows shapes only; whether a row can be scored is checked where all rows are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import InvalidRequest
from eval.jsonl import bad_data

Row = dict[str, Any]


def is_published_form(path: Path) -> bool:
    """Whether a file is named as one JSON document rather than as JSON lines."""
    return path.suffix.lower() == ".json"


def published_rows(path: Path) -> Iterator[Row]:
    """Rows {id, question, answers, answerable, contexts, gold_ids?} of a file of SQuAD or of HotpotQA.

    Raises:
        InvalidRequest: it cannot be read, is neither, or a part of it is not shaped so; the part is named.
    """
    try:
        found = json.loads(path.read_text("utf-8-sig"))
    except OSError as e:
        raise bad_data(path, None, f"cannot be read: {e.strerror}") from e
    except (ValueError, RecursionError) as e:
        raise bad_data(path, None, f"is not JSON in UTF-8: {e} (JSON lines are named .jsonl)") from e
    if isinstance(found, dict) and "data" in found:
        return _squad(path, found["data"])
    if isinstance(found, list):
        return _hotpot(path, found)
    raise bad_data(path, None, 'is neither SQuAD ({"data": […]}) nor HotpotQA ([…]): JSON lines are named .jsonl')


def _squad(path: Path, articles: Any) -> Iterator[Row]:
    for a, article in enumerate(_list(path, "data", articles)):
        at = f"data[{a}]"
        title = str(_object(path, at, article).get("title", "")).replace("_", " ")
        for p, paragraph in enumerate(_list(path, f"{at}.paragraphs", article.get("paragraphs"))):
            inner = f"{at}.paragraphs[{p}]"
            context = _object(path, inner, paragraph).get("context")
            for q, asked in enumerate(_list(path, f"{inner}.qas", paragraph.get("qas"))):
                here = f"{inner}.qas[{q}]"
                answers = _list(path, f"{here}.answers", _object(path, here, asked).get("answers", []))
                texts = [_answer_text(path, f"{here}.answers[{n}]", one) for n, one in enumerate(answers)]
                yield {
                    "id": asked.get("id"),
                    "question": asked.get("question"),
                    "answers": list(dict.fromkeys(texts)),  # annotators often agree
                    "answerable": not asked.get("is_impossible", False),
                    "contexts": [{"title": title, "text": context}],
                }


def _answer_text(path: Path, place: str, answer: Any) -> str:
    text = _object(path, place, answer).get("text")
    if not isinstance(text, str):
        raise _misshapen(path, f"{place}.text", "a text")
    return text


def _hotpot(path: Path, rows: list[Any]) -> Iterator[Row]:
    for i, row in enumerate(rows):
        at = f"[{i}]"
        answer = _object(path, at, row).get("answer")  # the public test file has none
        contexts = []
        for c, part in enumerate(_list(path, f"{at}.context", row.get("context"))):
            if not (isinstance(part, list) and len(part) == 2 and isinstance(part[1], list)):
                raise _misshapen(path, f"{at}.context[{c}]", "[title, [sentence, …]]")
            title, sentences = part
            text = "".join(map(str, sentences)).strip()  # each sentence brings the space before it
            if text:
                contexts.append({"title": str(title), "text": text})
        supporting = []
        for f, fact in enumerate(_list(path, f"{at}.supporting_facts", row.get("supporting_facts") or [])):
            if not (isinstance(fact, list) and fact and isinstance(fact[0], str)):
                raise _misshapen(path, f"{at}.supporting_facts[{f}]", "[title, number of a sentence]")
            supporting.append(fact[0])
        yield {
            "id": row.get("_id"),
            "question": row.get("question"),
            "answers": [] if answer is None else [answer],
            "answerable": True,
            "contexts": contexts,
            "gold_ids": list(dict.fromkeys(supporting)),
        }


def _list(path: Path, place: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _misshapen(path, place, "a list")
    return value


def _object(path: Path, place: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _misshapen(path, place, "an object")
    return value


def _misshapen(path: Path, place: str, wanted: str) -> InvalidRequest:
    return bad_data(path, None, f"{place} must be {wanted}, as SQuAD and HotpotQA have it")
