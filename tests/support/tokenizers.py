"""A tokenizer for tests that need no model: words, then pieces of at most four characters, as word pieces would be."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence


class ToyTokenizer:
    """Like BERT's: splits at white space and punctuation, drops controls, reads a word over 100 characters as one piece."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        found = []
        for match in re.finditer(r"\w+|[^\w\s]", text):
            if unicodedata.category(match.group()[0]) in ("Cc", "Cf", "Mn"):
                continue
            if len(match.group()) > 100:
                found.append(match.span())
            else:
                found += [(i, min(i + 4, match.end())) for i in range(match.start(), match.end(), 4)]
        return found

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(self.spans(text)) for text in texts]
