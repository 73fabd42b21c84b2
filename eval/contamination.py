"""Whether questions were seen before: runs of words that they share with training sets, other splits, or the collection itself.

A question shares with a source what its runs of ``N`` words (8, or all of it where it is shorter) stand there too, in the same
order, without regard to case and punctuation. Shared by half is called contaminated: by then it was copied rather than met by
chance. Questions of fewer than ``LEAST`` words are too short to tell. Paraphrases are not found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import InvalidRequest
from core.text import words

N = 8
LEAST = 5
SHARED = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """``share`` of the question's runs that stand in the source; ``where`` names the text of it that has most."""

    question_id: str
    source: str
    share: float
    where: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contamination:
    """``found``: overlaps of at least ``SHARED``, most first. ``n_short`` questions could not be told."""

    n: int
    n_questions: int
    n_short: int
    n_texts: Mapping[str, int]  # by source
    contaminated: Mapping[str, int]  # by source: questions
    found: tuple[Overlap, ...]

    def to_json(self) -> dict[str, Any]:
        """The document of `eval contamination --json`."""
        return {
            "kind": "contamination",
            "n": self.n,
            "n_questions": self.n_questions,
            "n_short": self.n_short,
            "sources": [
                {"source": s, "texts": self.n_texts[s], "contaminated": self.contaminated[s]} for s in self.n_texts
            ],
            "found": [o.to_json() for o in self.found],
        }


def contamination(
    questions: Mapping[str, str], sources: Mapping[str, Iterable[tuple[str, str]]], *, n: int = N
) -> Contamination:
    """Checks every question against every source.

    Args:
        questions: id → text.
        sources: name → (id, text) of what may hold them, each read once and not held.
        n: words in a run.

    Raises:
        InvalidRequest: ``n`` below ``LEAST``, or no question.
    """
    if n < LEAST or not questions:
        raise InvalidRequest(f"give questions, and runs of {LEAST} words or more (not {n})", code="usage")
    runs_of: dict[str, set[tuple[str, ...]]] = {}
    asked: dict[tuple[str, ...], list[str]] = {}
    for question_id, text in questions.items():
        said = words(text)
        if len(said) < LEAST:
            continue
        runs_of[question_id] = set(_runs(said, min(n, len(said))))
        for run in runs_of[question_id]:
            asked.setdefault(run, []).append(question_id)
    lengths = sorted({len(run) for run in asked})
    found: list[Overlap] = []
    n_texts: dict[str, int] = {}
    contaminated: dict[str, int] = {}
    for source, texts in sources.items():
        seen: dict[str, set[tuple[str, ...]]] = {}
        best: dict[str, tuple[int, str]] = {}
        n_texts[source] = 0
        for text_id, text in texts:
            n_texts[source] += 1
            here: dict[str, set[tuple[str, ...]]] = {}
            said = words(text)
            for length in lengths:
                for run in _runs(said, length):
                    for question_id in asked.get(run, ()):
                        here.setdefault(question_id, set()).add(run)
            for question_id, runs in here.items():
                seen.setdefault(question_id, set()).update(runs)
                if len(runs) > best.get(question_id, (0, ""))[0]:
                    best[question_id] = (len(runs), text_id)
        shares = {q: len(runs) / len(runs_of[q]) for q, runs in seen.items()}
        over = [
            Overlap(question_id=q, source=source, share=share, where=best[q][1])
            for q, share in shares.items()
            if share >= SHARED
        ]
        contaminated[source] = len(over)
        found += over
    return Contamination(
        n=n,
        n_questions=len(questions),
        n_short=len(questions) - len(runs_of),
        n_texts=n_texts,
        contaminated=contaminated,
        found=tuple(sorted(found, key=lambda o: (-o.share, o.source, o.question_id))),
    )


def _runs(said: list[str], n: int) -> Iterable[tuple[str, ...]]:
    return (tuple(said[i : i + n]) for i in range(len(said) - n + 1))
