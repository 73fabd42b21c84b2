"""How "I don't know" is said, and how it is recognised in what a language model says."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.text import fold, sentence_spans
from core.types import Hit

I_DO_NOT_KNOW = "I don't know."

_UNKNOWN = re.compile(
    r"\b(?:i|we) (?:do not|don't|cannot|can't|could not|couldn't|am unable to|was unable to|am not able to) "
    r"(?:know|find|answer|say|determine|tell|provide)\b"
    r"|\b(?:is|are|was|were)(?: not|n't) (?:mentioned|stated|specified)\b"
    # What is not available or included may be so in the world: of a report it is a claim like any other.
    r"|\b(?:answers?|information|details?|data|this|that|it) (?:is|are|was|were)(?: not|n't) (?:given|provided|found|included|available)\b"
    r"|\b(?:not|n't) (?:(?:given|provided|found|included|available|contained) )?(?:in|from|by) (?:the|these|those|any|any of the|your) "
    r"(?:\w+ )?(?:passages?|context|documents?|texts?|sources?|excerpts?)\b"
    r"|\b(?:passages?|context|documents?|text|sources?) (?:do|does|did) ?(?:not|n't) "
    r"(?:say|mention|contain|state|provide|give|specify|include|answer|have)\b"
    r"|\b(?:there is|has|have|contains?) no (?:information|mention|answer)\b"
    r"|\b(?:not enough|insufficient|no) (?:information|context|evidence)\b"
    r"|^\W*unknown\W*$|\bich weiß (?:es )?nicht\b|\bno lo sé\b|\bje ne sais pas\b|我不知道|لا أعرف|मुझे नहीं पता"
)


def says_unknown(sentence: str) -> bool:
    """Whether one sentence says that the answer is not known or not in the passages."""
    return _UNKNOWN.search(fold(sentence)) is not None


def is_abstention(answer: str) -> bool:
    """Whether a whole answer is an abstention: it opens with one, and states nothing apart from it."""
    spans = sentence_spans(answer)
    if not spans or not says_unknown(answer[slice(*spans[0])]):
        return False
    return len(spans) <= 3


def abstention_reason(question: str, hits: Sequence[Hit], detail: str) -> str:
    """What was looked for and what was nearest."""
    asked = question if len(question) <= 160 else question[:159] + "…"
    if not hits:
        return f"Looked for “{asked}” and found no passage at all: is the right collection chosen, and is it ready?"
    nearest = hits[0]
    page = f", page {nearest.chunk.page}" if nearest.chunk.page is not None else ""
    passages = "1 passage" if len(hits) == 1 else f"{len(hits)} passages"
    return f"Looked for “{asked}” in {passages}. {detail} The nearest is in “{nearest.title}”{page}."
