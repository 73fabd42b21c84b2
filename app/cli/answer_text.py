"""Judged sentences as text for a person."""

from __future__ import annotations

from app import replies
from core.types import VerdictLabel
from core.wording import VERDICT_MARKS, shortened

QUOTED = 160  # characters of a sentence or a quotation in a line


def mark(verdict: VerdictLabel) -> str:
    """One character wide."""
    return VERDICT_MARKS[verdict] or " "


def sentence_line(sentence: replies.Sentence) -> str:
    """Its verdict, the numbers of what it cites, and how it begins."""
    verdict = sentence["verdict"]
    cited = "".join(f"[{n}]" for n in sentence["citations"])
    return f"  {mark(verdict)} {verdict:<12} {cited:<8} {shortened(sentence['text'], QUOTED)}"
