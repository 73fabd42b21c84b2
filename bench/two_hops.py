"""Two-hop questions out of two questions over two paragraphs that share a name.

    What river runs alongside Jacksonville?  (St. Johns River)
    Who mapped the St. Johns River in 1562?  (Jean Ribault)
    → X answers: What river runs alongside Jacksonville? Who mapped the X in 1562?

Both were asked by people, of two paragraphs of one article, in which the same name therefore means the same. ``eval.multi_hop`` makes
such questions out of plain text; xquad's paragraphs are too few and too short for it (three questions).
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

from core.types import Sample
from eval.datasets import load_qa

_LEAST_NAME = 4  # characters
_PER_NAME = 4  # questions about one name
_STAND_IN = "X"
_PART_OF_A_NAME = re.compile(r"[A-Z]\w* X\b|\bX [A-Z]")  # Peyton X


def two_hop_samples(xquad: Path, n: int, seed: int = 6) -> tuple[list[Sample], list[Sample]]:
    """Up to ``n`` questions over two of xquad's English paragraphs each, in a random order, and the questions that they are made of,
    whose contexts are all paragraphs."""
    single = [s for split in ("dev", "train") for s in load_qa(xquad / f"en-{split}.jsonl").samples if s.answerable]
    made = joined(single)
    random.Random(f"two hops {seed}").shuffle(made)
    kept: list[Sample] = []
    about: dict[str, int] = {}
    used: set[str] = set()  # second questions
    for name, second, sample in made:
        if about.get(name, 0) < _PER_NAME and second not in used:
            about[name] = about.get(name, 0) + 1
            used.add(second)
            kept.append(sample)
    return kept[:n], single


def joined(samples: Sequence[Sample]) -> list[tuple[str, str, Sample]]:
    """Every pair of which the answer of the first stands in the second question: the name, the second's id, the question."""
    found = []
    for first in samples:
        name = first.answers[0].strip()
        if len(name) < _LEAST_NAME or not name[0].isupper():
            continue
        whole = re.compile(rf"\b{re.escape(name)}\b")
        for second in samples:
            asked = whole.sub(_STAND_IN, second.question)
            if _PART_OF_A_NAME.search(asked):
                continue
            apart = first.contexts != second.contexts and first.contexts[0][0] == second.contexts[0][0]
            if not apart or asked == second.question or whole.search(first.question) or name in second.answers:
                continue
            sample = Sample(
                id=f"{first.id}+{second.id}",
                question=f"{_STAND_IN} answers: {first.question.strip()} {asked.strip()}",
                answers=second.answers,
                contexts=(*first.contexts, *second.contexts),
                gold_ids=(*first.gold_ids, *second.gold_ids),
            )
            found.append((name, second.id, sample))
    return found
