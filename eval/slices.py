"""Results by slice: by kind, length and document of the question, and by how many of its words its passage has.

The last says how much is owed to a shared vocabulary: a retriever by words falls where questions use other words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from core.text import words

LEAST = 5  # questions of a slice that is shown
# Words that say nothing of what is asked. English; elsewhere every word counts.
_SMALL = frozenset(
    words(
        "a an the of in on at to for from by with and or is are was were be been do does did what which who whom whose when "
        "where why how many much that this these those it its as about into over completes number name say"
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    kind: str
    document: str
    text: str
    overlap: float | None  # None: not known


def word_overlap(question: str, passage: str) -> float | None:
    """Share of the question's words (small ones aside) that its passage has; None for a question without any."""
    asked = frozenset(words(question)) - _SMALL
    return len(asked & frozenset(words(passage))) / len(asked) if asked else None


def slices(
    questions: Mapping[str, Question], values: Sequence[Mapping[str, float]], least: int = LEAST
) -> list[dict[str, Any]]:
    """[{by, name, n, means: [one per configuration]}], where a way to slice has two slices or more of ``least`` questions.

    Args:
        values: by configuration: question → value of the metric. Questions that one lacks are left out.
    """
    common = [q for q in questions if all(q in v for v in values)]
    found: list[dict[str, Any]] = []
    for by, name_of in _WAYS.items():
        groups: dict[str, list[str]] = {}
        for q in common:
            if (name := name_of(questions[q])) is not None:
                groups.setdefault(name, []).append(q)
        shown = {name: ids for name, ids in sorted(groups.items()) if len(ids) >= least}
        if len(shown) < 2:
            continue
        found += [
            {"by": by, "name": name, "n": len(ids), "means": [fmean(v[q] for q in ids) for v in values]}
            for name, ids in shown.items()
        ]
    return found


def _overlap(q: Question) -> str | None:
    if q.overlap is None:
        return None
    return "1 few (under half)" if q.overlap < 0.5 else "2 most (under 90 %)" if q.overlap < 0.9 else "3 nearly all"


def _length(q: Question) -> str:
    n = len(words(q.text))
    return "1 short (to 8 words)" if n <= 8 else "2 middle (to 16)" if n <= 16 else "3 long"


_WAYS: Mapping[str, Callable[[Question], str | None]] = {
    "words that the passage has": _overlap,
    "kind": lambda q: q.kind,
    "length": _length,
    "document": lambda q: q.document or None,
}
