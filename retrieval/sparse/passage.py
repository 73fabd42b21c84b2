"""What a term index reads of a passage: its document's title, its headings and its text, as terms and as words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import InvalidRequest
from core.types import Chunk
from retrieval.sparse.languages import Analysers, language_key

MAX_BOOST = 10
BOUNDARY = "¶"  # between title, headings and text: no word, so no phrase goes across


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldBoosts:
    """How often a word of the title, or of a heading, counts against a word of the text; whole numbers from 0 to 10.

    BM25F's weighting (Robertson, Zaragoza and Taylor 2004), tf = Σ w_field · tf_field and lengths likewise, by reading
    the field w times: so every engine, whatever its formula, boosts alike.
    """

    title: int = 1
    headings: int = 1

    def __post_init__(self) -> None:
        for name, boost in (("title_boost", self.title), ("headings_boost", self.headings)):
            if not 0 <= boost <= MAX_BOOST:
                raise InvalidRequest(f"{name} = {boost}: choose a whole number from 0 to {MAX_BOOST}")


@dataclass(frozen=True, slots=True)
class ReadPassage:
    terms: list[str]
    words: str  # words and boundaries, with a space before, between and after


class PassageReader:
    """Reads passages for a term index. Thread-safe."""

    def __init__(self, analysers: Analysers | None = None, boosts: FieldBoosts | None = None) -> None:
        self.analysers = Analysers() if analysers is None else analysers
        self._boosts = FieldBoosts() if boosts is None else boosts

    def read(self, title: str, chunk: Chunk, language: str | None) -> ReadPassage:
        """A passage in ``language``; None where it is not known."""
        analyser = self.analysers.of(language_key(language))
        terms: list[str] = []
        spaced: list[str] = []
        parts = [
            (title, self._boosts.title),
            *((h, self._boosts.headings) for h in chunk.heading_path),
            (chunk.text, 1),
        ]
        for part, times in parts:
            if part:
                its_terms, words = analyser.read(part)
                terms += its_terms * times
                spaced.append(" ".join(words))
        return ReadPassage(terms, f" {f' {BOUNDARY} '.join(spaced)} ")

    def read_all(
        self, chunks: Sequence[Chunk], titles: Sequence[str], languages: Sequence[str | None] | None
    ) -> list[ReadPassage]:
        """Passages with their titles and languages; none of the latter means that none is known."""
        known = [None] * len(chunks) if languages is None else languages
        return [self.read(title, chunk, language) for chunk, title, language in zip(chunks, titles, known, strict=True)]


def passage_text(title: str, chunk: Chunk) -> str:
    """What is read as terms of a passage without boosts, as one text."""
    return "\n".join((title, *chunk.heading_path, chunk.text))
