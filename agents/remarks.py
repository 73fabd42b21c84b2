"""What is said beside an answer: that the question takes something wrong for granted, that an objection is not borne out,
that sources disagree."""

from __future__ import annotations

from collections.abc import Sequence

from agents.premise import false_premise
from agents.pushback import note_on
from core.protocols import Verifier
from core.types import Hit


def remarks(question: str, objection: str, hits: Sequence[Hit], verifier: Verifier) -> list[str]:
    """Sentences for ``Answer.reason``.

    Args:
        question: standalone.
        objection: what the person said against the last answer; empty if nothing.
        hits: what was found for ``question``.
    """
    said = [note_on(objection, hits, verifier)] if objection else []
    if (premise := false_premise(question, hits)) is not None:
        said.append(premise.note())
    return said
