"""Text to terms: one analysis for every term index, so that they differ in scoring alone.

A text is normalised (NFKC, lower case, accents dropped, œ ø ł and the like spelt plainly), cut into words, freed of stop words and
stemmed; a letter or digit by itself is dropped. What looks like an identifier is kept whole beside its parts:
"CVE-2026-27628" gives ``cve``, ``2026``, ``27628`` and ``cve-2026-27628``, so that half of it finds the passage and all
of it finds the right one first. Scripts written without spaces (Chinese, Japanese, Thai, …) give overlapping pairs of
characters, and Han characters one by one. So does Korean, which writes particles onto its words, as Lucene's CJKBigramFilter has it:
에너지를 (energy, as an object) gives 에너, 너지 and 지를, and is found by 에너지.

Beside the terms there are the ``words``: each as it is written, case and accents aside, with stop words and single
letters, for phrases in quotes.

Analysis knows nothing about fields, scores or queries: a query is analysed as a passage is, and characters that mean
something to a query language (``AND ( :``) are text like any other. Which analyser belongs to which language is
``retrieval.sparse.languages``.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable

import tantivy

VERSION = "4"  # part of an index's identity: other terms need another index

# A longer "word" is data (base64, hashes of hashes); its beginning is enough to find it by.
MAX_TERM_CHARS = 64
# About 12 MB for each language. Twenty thousand words are 97 of 100 in running text; the rest is names and typing errors.
_CACHE_WORDS = 100_000

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
# What people leave out, of text that is taken apart (NFD): accents of Latin and Greek letters, the dots of ё but not the sign
# of й, which is another letter, and the vowel signs and the stretching of Arabic. One set comes first: that is searched for fast.
_LEFT_OUT = re.compile(
    "[\u0300-\u036f\u0640\u064b-\u0652\u0670]"
    "(?:(?<=[a-z\u03b1-\u03c9\u0300-\u036f].)|(?<=\u0435\u0308)|(?<=[\u0640\u064b-\u0652\u0670]))"
)
# Letters that other keyboards lack, which no normal form takes apart.
_LETTERS = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ı": "i"})
_HAS_LETTERS = re.compile("[œæøłđı]")
_ELISIONS = re.compile(r"'(?<=[a-z]')(?:s|t|d|m|ll|re|ve)\b")
_UNSPACED = re.compile(
    "[\u0e00-\u0e7f]+|[\u0e80-\u0eff]+|[\u1000-\u109f]+|[\u1780-\u17ff]+"
    "|[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+|[\uac00-\ud7a3]+"
)
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_PLAIN = str.maketrans(
    {"’": "'", "‘": "'", "‐": "-", "‑": "-", "–": "-"}
    | {sign: f" {n} " for signs in ("⁰¹²³⁴⁵⁶⁷⁸⁹", "₀₁₂₃₄₅₆₇₈₉") for n, sign in enumerate(signs)}  # 10² is not 102
)


class Analyser:
    """Cuts text into the terms that are indexed and searched. Thread-safe; holds only a bounded cache of stems.

    Args:
        stem: a word (lower case) to its stem; the empty string drops the word.
        stop_words: words (lower case) that are dropped.
        stem_accents: whether ``stem`` wants words with their accents, as the rules of most languages but English do;
            what it returns is then freed of them.
    """

    def __init__(
        self,
        stem: Callable[[str], str] | None = None,
        stop_words: frozenset[str] = ENGLISH_STOP_WORDS,
        *,
        stem_accents: bool = False,
    ) -> None:
        self._stem = compiled_stemmer("english") if stem is None else stem
        self._stop_words = stop_words
        self._stem_accents = stem_accents
        self._cache: dict[str, str] = dict.fromkeys(stop_words, "")

    def terms(self, text: str, *, spelt_plainly: bool = False) -> list[str]:
        """The terms of ``text``, with repetitions: words in their order, then identifiers in theirs.

        Args:
            spelt_plainly: adds, for passages, what a word with accents would be if somebody left those out, where that
                is another term. A query needs only what it says.
        """
        plain, is_ascii = _normalise(text)
        return self._terms(text, plain, is_ascii, _cut(plain, is_ascii), spelt_plainly)

    def read(self, text: str) -> tuple[list[str], list[str]]:
        """The terms of a part of a passage, spelt plainly too, and its words (as ``words_of``), in one go."""
        plain, is_ascii = _normalise(text)
        cut = _cut(plain, is_ascii)
        return self._terms(text, plain, is_ascii, cut, True), _words(cut, is_ascii)

    def _terms(self, text: str, plain: str, is_ascii: bool, cut: list[str], spelt_plainly: bool) -> list[str]:
        words = cut
        if self._stem_accents and not text.isascii():
            words = _WORD.findall(_normalise(text, keep_accents=True)[0].replace("_", " "))
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
                if spelt_plainly and self._stem_accents and not word.isascii():
                    plainly = _without_accents(word)
                    other = cache[plainly] if plainly in cache else self._learn(plainly)
                    if other and other != term:
                        terms.append(other)
        terms.extend(_identifiers(plain))
        return terms

    def _learn(self, word: str) -> str:
        term = word[:MAX_TERM_CHARS] if len(word) > 1 else ""
        if not term.isalpha() and (not self._stem_accents or term.isascii()):  # a vowel sign of Hindi is no letter
            return term  # numbers and hashes are no work, and have no end
        term = self._stem(term)
        if self._stem_accents and not term.isascii():
            term = _without_accents(term)[:MAX_TERM_CHARS]
        if len(self._cache) >= _CACHE_WORDS:
            self._cache = dict.fromkeys(self._stop_words, "")
        self._cache[word] = term
        return term


def words_of(text: str) -> list[str]:
    """Every word of ``text`` in its order, as phrases are compared: case, accents and elided endings aside.

    Nothing is stemmed and nothing dropped. Characters of scripts that are written without spaces are words of their own.
    """
    plain, is_ascii = _normalise(text)
    return _words(_cut(plain, is_ascii), is_ascii)


def identifiers_of(text: str) -> list[str]:
    """The compounds of ``text`` that look like identifiers, in their order: "cve-2026-27628", "4.2", "std::vector"."""
    return _identifiers(_normalise(text)[0])


def compiled_stemmer(language: str) -> Callable[[str], str]:
    """One of Snowball's stemmers, compiled: 1 µs a word where the Python one needs 76.

    Args:
        language: its English name in lower case, of those that tantivy brings.
    """
    analyser = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(tantivy.Filter.stemmer(language)).build()
    lock = threading.Lock()

    def stem(word: str) -> str:
        with lock:
            stems: list[str] = analyser.analyze(word)
        return stems[0] if stems else word

    return stem


def _cut(plain: str, is_ascii: bool) -> list[str]:
    return _ASCII_WORD.findall(plain) if is_ascii else _WORD.findall(plain.replace("_", " "))


def _words(cut: list[str], is_ascii: bool) -> list[str]:
    words = [word if len(word) <= MAX_TERM_CHARS else word[:MAX_TERM_CHARS] for word in cut]
    if is_ascii:
        return words
    return [piece for word in words for piece in (_singles(word) if _UNSPACED.search(word) else (word,))]


def _identifiers(plain: str) -> list[str]:
    uncommon = " ".join([piece for piece in plain.split() if not piece.strip(_PUNCTUATION).isalpha()])
    compounds = _COMPOUND.findall(uncommon)
    return [compound[:MAX_TERM_CHARS] for compound in compounds if _IDENTIFIER.match(compound)]


def _normalise(text: str, *, keep_accents: bool = False) -> tuple[str, bool]:
    """Lower case, spelt plainly but for ``keep_accents``, without elided endings and commas in numbers; and whether it is ASCII."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_PLAIN))
    text = text.casefold()
    if not text.isascii():
        text = unicodedata.normalize("NFC", text) if keep_accents else _without_accents(text)
    if "'" in text:
        text = _ELISIONS.sub("", text)
    if "," in text:
        text = _DIGIT_GROUPS.sub("", text)
    return text, text.isascii()


def _without_accents(text: str) -> str:
    """Letters as they are spelt plainly: what may be left out is, and every keyboard has them."""
    apart = unicodedata.normalize("NFD", text)
    if _HAS_LETTERS.search(apart):
        apart = apart.translate(_LETTERS)
    return unicodedata.normalize("NFC", _LEFT_OUT.sub("", apart))


def _singles(word: str) -> list[str]:
    """The unspaced runs of ``word`` character by character, what lies between them as it is."""
    pieces: list[str] = []
    end = 0
    for run in _UNSPACED.finditer(word):
        pieces += [word[end : run.start()], *run.group()]
        end = run.end()
    return [piece for piece in (*pieces, word[end:]) if piece]


def _pairs(word: str) -> list[str]:
    """Overlapping pairs of the unspaced runs of ``word``, and the Han characters among them one by one, since one can be
    a word; what lies between the runs as it is."""
    terms: list[str] = []
    end = 0
    for run in _UNSPACED.finditer(word):
        if run.start() > end:
            terms.append(word[end : run.start()][:MAX_TERM_CHARS])
        characters = run.group()
        terms.extend(characters[i : i + 2] for i in range(max(1, len(characters) - 1)))
        if len(characters) > 1:
            terms.extend(_HAN.findall(characters))
        end = run.end()
    if end < len(word):
        terms.append(word[end:][:MAX_TERM_CHARS])
    return terms
