"""Text to terms: one analysis for every term index, so that they differ in scoring alone.

A text is normalised (NFKC, lower case, accents of Latin letters dropped), cut into words, freed of stop words and
stemmed; a letter or digit by itself is dropped. What looks like an identifier is kept whole beside its parts:
"CVE-2026-27628" gives ``cve``, ``2026``, ``27628`` and ``cve-2026-27628``, so that half of it finds the passage and all
of it finds the right one first. Scripts written without spaces (Chinese, Japanese, Thai, …) give overlapping pairs of
characters.

Analysis knows nothing about fields, scores or queries: a query is analysed as a passage is, and characters that mean
something to a query language (``AND ( " :``) are text like any other.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable

import tantivy

from core.types import Chunk

VERSION = "1"  # part of an index's identity: other terms need another index

# A longer "word" is data (base64, hashes of hashes); its beginning is enough to find it by.
MAX_TERM_CHARS = 64
_CACHE_WORDS = 500_000

# Lucene's list. Longer ones were no better on SciFact's training queries, and drop words that carry meaning elsewhere.
_STOP_WORDS = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to "
    "was will with"
)
ENGLISH_STOP_WORDS: frozenset[str] = frozenset(_STOP_WORDS.split())

# Letters and digits of any script. Python's \w leaves out the combining marks without which words of Hindi, Thai or
# Arabic fall apart, so the blocks that have them are named.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u0900-\u0963\u0971-\u0df3\u0e31-\u0e3a\u0e47-\u0e4e\u0eb1-\u0ebc\u0ec8-\u0ecd\u0f71-\u0f84"
    "\u102b-\u103e\u1056-\u109d\u17b4-\u17d3"
)
_WORD = re.compile(rf"[\w{_MARKS}]+")  # of a text whose underscores are spaces
_ASCII_WORD = re.compile(r"[a-z0-9]+")
# Words held together by underscores or inner punctuation, and the tails of C++ and C#. The lookahead passes plain words
# over quickly, and nothing taken is given back: otherwise each word would be tried again at each of its letters.
_COMPOUND = re.compile(
    r"(?<!{w})(?={w}++[-./:@+#]|{w}*?_){w}++(?:(?:[-./:@]|::|->){w}++)*+(?:\+\+|#)?".replace("{w}", rf"[\w{_MARKS}]")
)
_PUNCTUATION = ".,;:!?()[]{}\"'`*"
# A compound is an identifier if it has a digit or more than hyphens and slashes: not "well-known", "and/or", "10-15".
_IDENTIFIER = re.compile(r"(?!\d+[-/:]\d+\Z)(?=.*[\d_.:@>+#])")
_DIGIT_GROUPS = re.compile(r",(?<=\d,)(?=\d\d\d(?!\d))")  # a literal first character makes a fast search
_LATIN_ACCENTS = re.compile("(?<=[a-z])[\u0300-\u036f]+")
_ELISIONS = re.compile(r"'(?<=[a-z]')(?:s|t|d|m|ll|re|ve)\b")
_UNSPACED = re.compile(
    "[\u0e00-\u0e7f]+|[\u0e80-\u0eff]+|[\u1000-\u109f]+|[\u1780-\u17ff]+"
    "|[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+"
)
_PLAIN = str.maketrans(
    {"’": "'", "‘": "'", "‐": "-", "‑": "-", "–": "-"}
    | {sign: f" {n} " for signs in ("⁰¹²³⁴⁵⁶⁷⁸⁹", "₀₁₂₃₄₅₆₇₈₉") for n, sign in enumerate(signs)}  # 10² is not 102
)


class Analyser:
    """Cuts text into the terms that are indexed and searched. Thread-safe; holds only a bounded cache of stems.

    Args:
        stem: a word (lower case) to its stem.
        stop_words: words (lower case) that are dropped.
    """

    def __init__(
        self,
        stem: Callable[[str], str] | None = None,
        stop_words: frozenset[str] = ENGLISH_STOP_WORDS,
    ) -> None:
        self._stem = english_stemmer() if stem is None else stem
        self._stop_words = stop_words
        self._cache: dict[str, str] = dict.fromkeys(stop_words, "")

    def terms(self, text: str) -> list[str]:
        """The terms of ``text``, with repetitions: words in their order, then identifiers in theirs."""
        plain, is_ascii = _normalise(text)
        words = _ASCII_WORD.findall(plain) if is_ascii else _WORD.findall(plain.replace("_", " "))
        cache = self._cache
        terms: list[str] = []
        for word in words:
            term = cache.get(word)
            if term is None:
                if not is_ascii and _UNSPACED.search(word):
                    terms.extend(_pairs(word))
                    continue
                term = self._learn(word)
            if term:
                terms.append(term)
        uncommon = " ".join([piece for piece in plain.split() if not piece.strip(_PUNCTUATION).isalpha()])
        compounds = _COMPOUND.findall(uncommon)
        terms.extend(compound[:MAX_TERM_CHARS] for compound in compounds if _IDENTIFIER.match(compound))
        return terms

    def _learn(self, word: str) -> str:
        term = word[:MAX_TERM_CHARS] if len(word) > 1 else ""
        if term.isalpha():
            term = self._stem(term)
        if len(self._cache) >= _CACHE_WORDS:
            self._cache = dict.fromkeys(self._stop_words, "")
        self._cache[word] = term
        return term


def english_stemmer() -> Callable[[str], str]:
    """Snowball's English ("Porter 2") stemmer, compiled: 1 µs a word where the Python one needs 76."""
    analyser = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(tantivy.Filter.stemmer("english")).build()
    lock = threading.Lock()

    def stem(word: str) -> str:
        with lock:
            stems: list[str] = analyser.analyze(word)
        return stems[0] if stems else word

    return stem


def _normalise(text: str) -> tuple[str, bool]:
    """Lower case, without accents of Latin letters, elided endings and commas in numbers; and whether it is ASCII."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_PLAIN))
    text = text.casefold()
    if not text.isascii():
        text = unicodedata.normalize("NFC", _LATIN_ACCENTS.sub("", unicodedata.normalize("NFD", text)))
    if "'" in text:
        text = _ELISIONS.sub("", text)
    if "," in text:
        text = _DIGIT_GROUPS.sub("", text)
    return text, text.isascii()


def _pairs(word: str) -> list[str]:
    """Overlapping pairs of the unspaced runs of ``word``; what lies between them as it is."""
    terms: list[str] = []
    end = 0
    for run in _UNSPACED.finditer(word):
        if run.start() > end:
            terms.append(word[end : run.start()][:MAX_TERM_CHARS])
        characters = run.group()
        terms.extend(characters[i : i + 2] for i in range(max(1, len(characters) - 1)))
        end = run.end()
    if end < len(word):
        terms.append(word[end:][:MAX_TERM_CHARS])
    return terms


def passage_text(title: str, chunk: Chunk) -> str:
    """What a term index reads of a passage: its document's title, its headings, its text."""
    return "\n".join((title, *chunk.heading_path, chunk.text))
