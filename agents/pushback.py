"""A person who objects to an answer without asking anything new: "No, that is wrong, it was 1992."

Such an objection is no evidence. It is not shown to a language model, which would give in: the question before it is
asked anew, of the documents as they are now, and what the person said is held against them like any claim.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agents.evidence import evidence_text
from core.protocols import Verifier
from core.text import sentence_spans
from core.types import Hit, Message
from core.wording import shortened

_OBJECTS = re.compile(
    r"^\W*(?:no|nope|nein|non|wrong|incorrect|false|falsch|actually|nonsense|impossible)\b(?!\s+(?:one|longer|matter))"
    r"|\b(?:that|this|it)(?:'s| is|’s| was)(?: just| simply| definitely| clearly)? (?:not (?:true|right|correct|so)|wrong|"
    r"incorrect|false|a mistake|an error|nonsense|impossible)\b"
    r"|\b(?:isn't|isn’t|wasn't|can't be|cannot be|can’t be) (?:true|right|correct)\b"
    r"|\byou(?:'re| are|’re|'ve| have) (?:\w+ )?(?:wrong|mistaken|confused|misread|made a mistake|lying)\b"
    r"|\bi (?:do not|don't|don’t) (?:believe|think|agree|trust)\b|\bi disagree\b"
    r"|\b(?:are|r) you (?:really |quite |absolutely )?(?:sure|certain)\b"
    r"|\b(?:check|look|read|think|try) (?:it |that )?again\b|\badmit (?:it|that)\b|\bcorrect (?:yourself|your answer)\b"
    r"|\bi(?:'m| am|’m) (?:sure|certain|positive|an? expert)\b|\bi know (?:that|for)\b|\beverybody knows\b|\beveryone knows\b",
    re.IGNORECASE,
)
# "No, I meant the other one", "Actually, tell me about the harbour": something else is wanted.
_WANTS = re.compile(
    r"\bi (?:mean|meant|want|wanted|need|would like)\b|\binstead\b|\bunderstand\b|"
    r"\b(?:tell|show|give|list|explain|describe|summari[sz]e|compare|find|write|translate|quote)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(r"\b(?:who|whom|whose|what|which|when|where|why|how)\b[^.!]*\?", re.IGNORECASE)
_LEAD_IN = re.compile(
    r"^\W*(?:(?:no|nope|wrong|actually|sorry|but|i (?:think|believe|know|read|heard)(?: that)?|i am sure(?: that)?|"
    r"i'm sure(?: that)?|everybody knows(?: that)?|everyone knows(?: that)?)\b[\s,:;.!–-]*)+",
    re.IGNORECASE,
)
_SHOWN = 120  # characters of an objection that are said back


def is_pushback(question: str, history: Sequence[Message]) -> bool:
    """Whether ``question`` objects to the last answer and asks nothing new."""
    if not any(m.role == "assistant" and m.content.strip() for m in history):
        return False
    asks = _ASKS.search(question) or _WANTS.search(question)
    return _OBJECTS.search(question) is not None and not asks


def objected_to(history: Sequence[Message]) -> tuple[str, tuple[Message, ...]]:
    """The last question that was no objection itself, and the conversation before it; empty if there is none."""
    for i in range(len(history) - 1, -1, -1):
        if history[i].role == "user" and not is_pushback(history[i].content, history[:i]):
            return history[i].content, tuple(history[:i])
    return "", ()


def claims_of(objection: str) -> list[str]:
    """What the person states in place of the answer, sentence by sentence."""
    said = [_LEAD_IN.sub("", objection[a:b]).strip() for a, b in sentence_spans(objection)]
    return [s for s in said if len(s.split()) > 2 and not _OBJECTS.search(s) and not s.endswith("?")]


def note_on(objection: str, hits: Sequence[Hit], verifier: Verifier) -> str:
    """What is told to the person who objected."""
    shown = shortened(objection, _SHOWN)
    claims = claims_of(objection)
    for claim in claims:
        for hit in hits:
            if verifier.check(claim, [evidence_text(hit)]).label == "supported":
                return f"You said “{shown}”: “{' '.join(hit.title.split())}” speaks for that; compare the passages."
    held = "no passage that was found says so, and" if claims else "asked again,"
    return f"You said “{shown}”: {held} the documents stand as before."
