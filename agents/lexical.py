"""What words say without a model: terms, how rare they are, and what kind of thing a question asks for.

English words are stemmed and freed of function words; words of other languages are folded and kept; scripts written
without spaces give pairs of characters. The kinds of question are told for English alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Literal, TypeAlias

import snowballstemmer

from core.lexical import STOP_WORDS
from core.text import Span, sentence_spans, strip_marks, words

QuestionKind: TypeAlias = Literal["when", "number", "who", "where", "other"]

_MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    "nov(?:ember)?|dec(?:ember)?"
)
_NUMBER_WORDS = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|thousand|million|billion|half|third|"
    "quarter|first|second|twice|once|several|many|most|all"
)
_ASKS: tuple[tuple[QuestionKind, re.Pattern[str]], ...] = (
    (
        "when",
        re.compile(r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|decade|century|time)\b|\bhow long ago\b"),
    ),
    (
        "number",
        re.compile(
            r"\bhow (?:many|much|long|far|old|large|big|tall|high|fast|often|deep|wide|heavy)\b|"
            r"\b(?:what|which) (?:percent\w*|number|amount|proportion|fraction|age|ratio|size)\b"
        ),
    ),
    ("who", re.compile(r"\b(?:who|whose|whom)\b")),
    (
        "where",
        re.compile(
            r"\bwhere\b|\b(?:what|which) (?:city|country|state|place|location|town|region|county|continent|area|"
            r"street|island|river)\b"
        ),
    ),
)
_DATE = re.compile(rf"\b(?:1\d\d\d|20\d\d|{_MONTHS}|century|\d{{1,4}}s|today|bce?|ad|\w+day)\b", re.IGNORECASE)
_NUMBER = re.compile(rf"\d|\b(?:{_NUMBER_WORDS})\b", re.IGNORECASE)
_NAME = re.compile(r"(?<![.!?] )(?<!^)\b[A-Z][\w'’-]+")


def terms(text: str) -> list[str]:
    """The terms of ``text`` in order, function words left out."""
    found: list[str] = []
    previous = ""
    for word in words(text):
        if len(word) == 1 and word >= "\u0e00" and word.isalpha():
            found.append(previous + word if previous else word)
            previous = word
            continue
        previous = ""
        if word not in STOP_WORDS:
            found.append(stem(word))
    return found


KEPT_TEXTS = 64  # texts of which something is remembered: the passages of some answers, for each of their sentences


@lru_cache(maxsize=KEPT_TEXTS)
def sentence_terms(text: str) -> tuple[tuple[Span, frozenset[str]], ...]:
    """The sentences of ``text``, each with its distinct terms."""
    return tuple(((a, b), frozenset(terms(text[a:b]))) for a, b in sentence_spans(text))


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The English stem of a folded word, without Latin accents and the possessive."""
    plain = strip_marks(word).removesuffix("'s").replace("'", "")
    if not plain.isascii() or not plain.isalpha():
        return plain
    # The stemmer keeps its word inside itself, so threads cannot share one; the cache makes a fresh one cheap enough.
    stemmed: str = snowballstemmer.stemmer("english").stemWord(plain)
    return stemmed


def question_kind(question: str) -> QuestionKind:
    folded = question.casefold()
    return next((kind for kind, pattern in _ASKS if pattern.search(folded)), "other")


def could_answer(kind: QuestionKind, question_words: Collection[str], sentence: str) -> bool:
    """Whether ``sentence`` holds something of the kind asked for that the question did not say itself."""
    match kind:
        case "when":
            return any(m.group().casefold() not in question_words for m in _DATE.finditer(sentence))
        case "number":
            return any(_NUMBER.search(w) for w in words(sentence) if w not in question_words)
        case "who" | "where":
            return any(m.group().casefold() not in question_words for m in _NAME.finditer(sentence))
        case "other":
            return False
