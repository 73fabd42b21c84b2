"""Word pieces with their places in the text.

One ``tokenizers`` object without truncation, padding or special tokens serves everything; the encoder adds its own.
Not known here: how long an input a model reads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer as HfTokenizer

from core.errors import ModelUnavailable

# Half of a surrogate pair alone is not text and has no UTF-8; the replacement keeps every offset in place.
_SURROGATE = re.compile("[\ud800-\udfff]")


class WordPieceTokenizer:
    """A ``core.protocols.Tokenizer`` over a ``tokenizer.json``. Thread-safe: nothing changes after loading."""

    def __init__(self, hf: HfTokenizer) -> None:
        """Takes over ``hf``: its truncation and padding are switched off."""
        hf.no_truncation()
        hf.no_padding()
        self._hf = hf

    @classmethod
    def from_file(cls, path: Path) -> WordPieceTokenizer:
        """Reads a ``tokenizer.json``; raises ModelUnavailable if it is not one."""
        try:
            return cls(HfTokenizer.from_file(str(path)))
        except Exception as e:  # the library raises bare Exception
            raise ModelUnavailable(f"cannot read the tokenizer {path}: {e}") from e

    def token_id(self, piece: str) -> int:
        """The id of a piece such as ``[CLS]``; raises ModelUnavailable if the vocabulary lacks it."""
        found = self._hf.token_to_id(piece)
        if found is None:
            raise ModelUnavailable(f"the tokenizer has no piece {piece!r}")
        return found

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Piece ids of each text, in full and without special tokens."""
        encodings = self._hf.encode_batch_fast([_clean(t) for t in texts], add_special_tokens=False)
        return [e.ids for e in encodings]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Half-open code point ranges of the pieces, in order.

        A character that is cut into several pieces (a Hangul syllable, say) appears in each of their ranges;
        characters that make no piece (spaces, controls, lone accents) appear in none.
        """
        return [(start, end) for start, end in self._hf.encode(_clean(text), add_special_tokens=False).offsets]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Number of pieces of each text, in full and without special tokens."""
        return [len(ids) for ids in self.ids(texts)]


def _clean(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
