"""A cheap encoder for tests: the same text gives the same vector everywhere, and shared words make texts similar."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from core.types import Vectors


class WordTokenizer:
    def spans(self, text: str) -> list[tuple[int, int]]:
        return [m.span() for m in re.finditer(r"\w+", text)]

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(self.spans(t)) for t in texts]


class HashEncoder:
    """The normalised sum of one random vector per word (drawn with the word's hash as seed)."""

    def __init__(self, dim: int = 16, revision: str = "hash-1") -> None:
        self._dim = dim
        self._revision = revision
        self._words: dict[str, Vectors] = {}
        self.encoded = 0  # texts encoded so far

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def revision(self) -> str:
        return self._revision

    @property
    def max_tokens(self) -> int:
        return 256

    @property
    def tokenizer(self) -> WordTokenizer:
        return WordTokenizer()

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self.encode_documents(texts)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        self.encoded += len(texts)
        sums = np.stack([sum((self._word(w) for w in _words(t)), np.zeros(self._dim)) for t in texts])
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        return (sums / np.where(norms == 0, 1, norms)).astype(np.float32)

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        return [self.encode_documents(_words(t) or [""]) for t in texts]

    def _word(self, word: str) -> Vectors:
        if word not in self._words:
            seed = int.from_bytes(hashlib.sha256(f"{self._revision}:{word}".encode()).digest()[:8], "little")
            self._words[word] = np.random.default_rng(seed).standard_normal(self._dim)
        return self._words[word]


class SpellingTokenizer(WordTokenizer):
    def share_read(self, text: str) -> float:
        return float(text.isascii())


class SpellingEncoder(HashEncoder):
    """Says of everything but ASCII that it only knows the letters."""

    @property
    def tokenizer(self) -> SpellingTokenizer:
        return SpellingTokenizer()


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
