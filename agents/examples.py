"""Which worked examples a prompt shows: those whose questions are most like the one that is asked. Knows questions, not examples.

Likeness is the cosine of the questions' terms, each weighed by how few of the examples have it, and half as much again where both
ask for the same kind of thing (a time, a number, a person, a place). The most alike stands last, next to the question (Liu et
al. 2022, "What Makes Good In-Context Examples for GPT-3?", who take sentence vectors; here words, so that a replay needs no model).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from agents.lexical import question_kind, terms

T = TypeVar("T")
_SAME_KIND = 0.5


def nearest(question: str, examples: Sequence[T], most: int, question_of: Callable[[T], str]) -> list[T]:
    """At most ``most`` of ``examples``, the most alike last; where they are equally alike, in the order given."""
    asked = [Counter(terms(question_of(e))) for e in examples]
    among = Counter(term for counts in asked for term in counts)

    def weigh(counts: Counter[str]) -> dict[str, float]:
        return {term: n * math.log(1 + len(examples) / among[term]) for term, n in counts.items() if term in among}

    def cosine(a: dict[str, float], b: dict[str, float]) -> float:
        length = math.hypot(*a.values()) * math.hypot(*b.values())
        return sum(a[term] * b[term] for term in a.keys() & b.keys()) / length if length else 0.0

    wanted, kind = weigh(Counter(terms(question))), question_kind(question)

    def likeness(i: int) -> float:
        same = kind != "other" and question_kind(question_of(examples[i])) == kind
        return cosine(wanted, weigh(asked[i])) + _SAME_KIND * same

    best = sorted(range(len(examples)), key=lambda i: (-likeness(i), i))[:most]
    return [examples[i] for i in reversed(best)]
