"""How far the packaged models reach into the language of a question: decision 0263.

Not a detector of languages: it tells English, which they were trained on, from what their encoder reads without having
learnt it, and that from what it only spells. Each has weights of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias, get_args

from core.legible import reads
from core.lexical import STOP_WORDS
from core.protocols import Tokenizer
from core.text import words

Reach: TypeAlias = Literal["english", "read", "spelt"]
REACHES: tuple[Reach, ...] = get_args(Reach)

# Of words that are English function words. Paragraphs of xquad have at most 0.08 in German and 0.06 in Spanish; of English
# paragraphs of xquad 99 in 100 have 0.11 and more, of 1,200 words of technical documents 98 in 100.
_OF_PASSAGES = 0.1
_OF_QUESTION = 0.2
# English function words that German, French, Spanish and other languages of Latin script write alike ("was", "on", "me"). A
# question that has no others may be of any of them: then the passages decide, as where it has none.
_SPELT_ALIKE = (
    """a an are as at be but by do for had has have he her i if in is me my of on or over so such to us was we will"""
)
_SHARED = frozenset(_SPELT_ALIKE.split())
_TOO_FEW = 12  # words that say nothing of their language


def reach_of(question: str, passages: Iterable[str], tokenizer: Tokenizer) -> Reach:
    """ "english" unless neither question nor passages have English function words, or the question is only spelt."""
    if not reads(tokenizer, question):
        return "spelt"
    asked = _spelled(question)
    if _share(asked) >= _OF_QUESTION and any(word in STOP_WORDS - _SHARED for word in asked):
        return "english"
    found = [word for passage in passages for word in _spelled(passage)]
    return "english" if len(found) < _TOO_FEW or _share(found) >= _OF_PASSAGES else "read"


def _spelled(text: str) -> list[str]:
    return [word for word in words(text) if word.isalpha()]


def _share(found: list[str]) -> float:
    return sum(word in STOP_WORDS for word in found) / len(found) if found else 0.0
