"""Which analyser belongs to which language, and what a query becomes where passages of several languages are searched.

English, text of unknown language and languages without a stemmer share the analyser of before, to the last term. The
stemmers are Snowball's: compiled where tantivy brings them, else the Python ones of the same project. Lists of stop words
are those that tantivy brings; rare words outweigh common ones anyhow (docs/decisions/0093).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection
from typing import TypeAlias

import snowballstemmer
import tantivy

from core.text import strip_marks
from retrieval.sparse.analyse import Analyser, compiled_stemmer

LanguageKey: TypeAlias = str  # ISO 639-1, one of KEYS

ENGLISH: LanguageKey = "en"

_COMPILED = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nb": "norwegian",
    "nl": "dutch",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
}
_INTERPRETED = {
    "ca": "catalan",
    "cs": "czech",
    "et": "estonian",
    "fa": "persian",
    "hi": "hindi",
    "id": "indonesian",
    "lt": "lithuanian",
    "pl": "polish",
}
_WITH_STOP_WORDS = frozenset(["da", "de", "es", "fi", "fr", "hu", "it", "nb", "nl", "pt", "ru", "sv"])
_SAME = {"no": "nb", "nn": "nb"}

# In the order of their numbers in an index: only ever append.
KEYS: tuple[LanguageKey, ...] = (ENGLISH, *sorted(_COMPILED), *sorted(_INTERPRETED))


def language_key(language: str | None) -> LanguageKey:
    """The analyser that text of this language is read by; English for None and whatever has none of its own."""
    if language is None:
        return ENGLISH
    code = language.lower().replace("_", "-").partition("-")[0]
    code = _SAME.get(code, code)
    return code if code in _COMPILED or code in _INTERPRETED else ENGLISH


class Analysers:
    """The analysers by language, each made at its first use. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[LanguageKey, Analyser] = {ENGLISH: Analyser()}

    def of(self, key: LanguageKey) -> Analyser:
        found = self._made.get(key)
        if found is None:
            with self._lock:
                found = self._made.setdefault(key, _make(key))
        return found

    def query_terms(self, query: str, keys: Collection[LanguageKey]) -> list[str]:
        """The terms by which passages of these languages are found.

        Of one language, those of its analyser. Of several, the union: each term as often as the analyser that gives
        it most gives it. So a collection in English alone is searched as if no other language were known.
        """
        if len(keys) <= 1:
            return self.of(next(iter(keys), ENGLISH)).terms(query)
        merged: Counter[str] = Counter()
        for key in sorted(keys, key=KEYS.index):
            merged |= Counter(self.of(key).terms(query))
        return list(merged.elements())


def _make(key: LanguageKey) -> Analyser:
    stem = compiled_stemmer(_COMPILED[key]) if key in _COMPILED else _interpreted_stemmer(_INTERPRETED[key])
    if key == "el":
        stem = _unmarked(stem)
    if key in _WITH_STOP_WORDS:
        stem = _but_stop_words(_COMPILED[key], stem)
    return Analyser(stem, frozenset(), stem_accents=True)


def _interpreted_stemmer(language: str) -> Callable[[str], str]:
    stemmer = snowballstemmer.stemmer(language)
    lock = threading.Lock()  # it keeps the word in itself while it works

    def stem(word: str) -> str:
        with lock:
            return str(stemmer.stemWord(word))

    return stem


def _unmarked(stem: Callable[[str], str]) -> Callable[[str], str]:
    return lambda word: stem(strip_marks(word))


def _but_stop_words(language: str, stem: Callable[[str], str]) -> Callable[[str], str]:
    listed = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(tantivy.Filter.stopword(language)).build()
    lock = threading.Lock()

    def stem_or_drop(word: str) -> str:
        with lock:
            kept = listed.analyze(word)
        return stem(word) if kept else ""

    return stem_or_drop
