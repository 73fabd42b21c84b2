"""Questions with the documents that answer them, one per line: the plainest judgements there are.

    {"query": "how warm is the sea?", "doc": "oceans.pdf"}
    {"id": "q7", "question": "…", "doc": ["oceans.pdf", "The climate of coasts"]}

A document is named as whoever reads the names resolves them. A line of `eval qa` with ``gold_ids`` fits as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.errors import NotFound
from eval.jsonl import Line, bad_data, read_jsonl

SHAPE = '{"query", "doc": name or list of names, "id"?}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    id: str
    query: str
    docs: tuple[str, ...]


def load_judged(path: Path) -> tuple[list[Judged], int]:
    """The questions that name a document, and how many do not (they cannot be answered, so they judge nothing).

    Raises:
        NotFound: no such file.
        InvalidRequest: a line that does not fit, an id that stands twice, or no question that names a document.
    """
    if not path.is_file():
        raise NotFound(f"no file {path}: give a JSON-lines file with lines {SHAPE}", code="no-dataset")
    found: dict[str, Judged] = {}
    without = 0
    for line in read_jsonl(path):
        one = _judged(line)
        if one.id in found:
            raise line.error(f'"id" {one.id!r} stands a second time: ids must differ')
        if one.docs:
            found[one.id] = one
        else:
            without += 1
    if not found:
        raise bad_data(path, None, f"names no document that answers a question: its lines are {SHAPE}")
    return list(found.values()), without


def _judged(line: Line) -> Judged:
    values = line.values
    docs: tuple[str, ...]
    if isinstance(values.get("doc"), str):
        docs = (line.text("doc"),)
    else:
        docs = line.texts("doc") or line.texts("gold_ids")
        if not docs and "gold_ids" not in values and "answerable" not in values:
            raise line.error(f'"doc" is missing: lines are {SHAPE}')
    return Judged(
        id=line.identifier("id") if values.get("id") is not None else f"line {line.number}",
        query=line.text("query" if "query" in values else "question"),
        docs=tuple(dict.fromkeys(docs)),
    )
