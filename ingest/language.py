"""Which language a text is in, by a bounded sample of it.

lingua in its low-accuracy mode with 37 languages takes 45 MB and 0.4 s at first use, and 0.5 ms per document (its full
mode with all 75 takes 840 MB): see docs/decisions/0068.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lingua import LanguageDetector

LANGUAGES = (
    "ARABIC BOKMAL BULGARIAN CATALAN CHINESE CROATIAN CZECH DANISH DUTCH ENGLISH ESTONIAN FINNISH FRENCH GERMAN GREEK"
    " HEBREW HINDI HUNGARIAN INDONESIAN ITALIAN JAPANESE KOREAN LATVIAN LITHUANIAN PERSIAN POLISH PORTUGUESE ROMANIAN"
    " RUSSIAN SLOVAK SLOVENE SPANISH SWEDISH THAI TURKISH UKRAINIAN VIETNAMESE"
)
MIN_LETTERS = 12  # of fewer nothing is said
MIN_CONFIDENCE = 0.6
_PIECES, _PIECE = 3, 2000  # characters looked at: at the beginning, in the middle, at the end
_SAMPLE = 100  # letters and spaces taken of each piece
_WORDS = re.compile(r"[^\W\d_]+")
_TAG = re.compile(r"([A-Za-z]{2,3})(?:[-_].*)?\Z")


class LanguageGuesser:
    """Loads at first use; may be asked from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._detector: LanguageDetector | None = None

    def guess(self, text: str) -> str | None:
        """An ISO 639-1 code ("en", "nb" for written Norwegian), or None where the text does not say."""
        sample = sample_of(text)
        if sum(map(len, sample.split())) < MIN_LETTERS:
            return None
        ranked = self._loaded().compute_language_confidence_values(sample)
        if not ranked or ranked[0].value < MIN_CONFIDENCE:
            return None
        return str(ranked[0].language.iso_code_639_1.name).lower()

    def _loaded(self) -> LanguageDetector:
        with self._lock:
            if self._detector is None:
                from lingua import Language, LanguageDetectorBuilder

                chosen = [getattr(Language, name) for name in LANGUAGES.split()]
                self._detector = LanguageDetectorBuilder.from_languages(*chosen).with_low_accuracy_mode().build()
            return self._detector


def sample_of(text: str) -> str:
    """Some words from the beginning, the middle and the end: numbers and signs say nothing of a language."""
    if len(text) <= _PIECES * _PIECE:
        pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
    else:
        middle = (len(text) - _PIECE) // 2
        pieces = [text[:_PIECE], text[middle : middle + _PIECE], text[-_PIECE:]]
    return " ".join(" ".join(_WORDS.findall(piece))[:_SAMPLE].strip() for piece in pieces)


def declared_language(value: object) -> str | None:
    """The language of a tag that a file carries ("en-US", "de_DE"), or None if it is no tag."""
    found = _TAG.match(value.strip()) if isinstance(value, str) else None
    return found.group(1).lower() if found else None
