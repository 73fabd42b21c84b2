"""Which tokens may come next in a text that is to have a form. Knows what tokens say, not how they are drawn."""

from __future__ import annotations

import codecs
import functools
import re
from array import array
from collections.abc import Sequence
from typing import Any, TypeAlias

from lm.detokenize import REPLACEMENT
from lm.forms import Form, State

# Where a text stands: in the automaton, and the first bytes of a character of which the rest is still to come.
At: TypeAlias = tuple[State, bytes]
_KEPT = 64  # places whose tokens are remembered
_MOST_BEGUN = 4096  # places with a character begun, of which it is remembered whether they can go on
_ANCHOR = "a"  # a token is decoded behind it, so that its text is what it is within a text
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Vocabulary:
    """What each token says.

    Args:
        said: by each token, as it continues a text; bytes where they are no whole characters; None of control tokens.
        ends: tokens that end an answer.
    """

    def __init__(self, said: Sequence[str | bytes | None], ends: Sequence[int]) -> None:
        self._said = said
        self.ends = frozenset(ends)
        self._allowed: dict[tuple[str, At], array[int]] = {}
        self._can_go_on: dict[tuple[str, At], bool] = {}

    @staticmethod
    def start(form: Form) -> At:
        return form.start, b""

    def after(self, form: Form, at: At, token: int) -> At | None:
        """Where the text stands after ``token``; None where it may not come. An end token may come where the text may end."""
        state, begun = at
        if token in self.ends:
            return (frozenset(), b"") if not begun and form.may_end(state) else None
        said = self._said[token] if token < len(self._said) else None
        if not said:
            return None
        if isinstance(said, str):
            state = frozenset() if begun else form.step(state, said)
            return (state, b"") if state else None
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            text = decoder.decode(begun + said)
        except UnicodeDecodeError:
            return None
        rest = decoder.getstate()[0]
        state = form.step(state, text)
        return (state, rest) if state and (not rest or self._completes(form, (state, rest))) else None

    def allowed(self, form: Form, at: At) -> array[int]:
        """All tokens that may come; kept, since it looks at each."""
        key = (form.regex, at)
        if key not in self._allowed:
            if len(self._allowed) >= _KEPT:
                self._allowed.clear()
            found = (t for t in range(len(self._said)) if self.after(form, at, t) is not None)
            self._allowed[key] = array("i", found)
        return self._allowed[key]

    def _completes(self, form: Form, at: At) -> bool:
        """Whether what has begun may become a character that the form has. A vocabulary with parts of characters has them all."""
        key = (form.regex, at)
        if key not in self._can_go_on:
            if len(self._can_go_on) >= _MOST_BEGUN:
                self._can_go_on.clear()
            self._can_go_on[key] = form.may_follow(at[0], _characters(at[1]))
        return self._can_go_on[key]


@functools.lru_cache(maxsize=2048)  # 12 MB if all are asked for: only five of them are long
def _characters(begun: bytes) -> str:
    """All characters whose UTF-8 begins so."""
    size = 2 if begun[0] < 0xE0 else 3 if begun[0] < 0xF0 else 4
    value = begun[0] & (0xFF >> (size + 1))
    for byte in begun[1:]:
        value = value << 6 | byte & 0x3F
    rest = 6 * (size - len(begun))
    first, last = value << rest, (value + 1 << rest) - 1
    shortest = {2: 0x80, 3: 0x800, 4: 0x10000}[size]  # what fits fewer bytes is not written with more
    codes = range(max(first, shortest), min(last, 0x10FFFF) + 1)
    return "".join(chr(code) for code in codes if not 0xD800 <= code <= 0xDFFF)


def vocabulary_of(tokenizer: Any, ends: Sequence[int]) -> Vocabulary:
    """That of a transformers tokenizer."""
    n = max(tokenizer.get_vocab().values()) + 1
    anchor = tokenizer(_ANCHOR, add_special_tokens=False)["input_ids"]
    before: str = tokenizer.decode(anchor)
    decoded: list[str] = tokenizer.batch_decode([[*anchor, token] for token in range(n)])
    control = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values(), *ends}
    said: list[str | bytes | None] = []
    for token, text in enumerate(decoded):
        if token in control or not text.startswith(before):
            said.append(None)
        elif REPLACEMENT in text:
            said.append(_bytes_of(tokenizer.convert_ids_to_tokens(token)))
        else:
            said.append(text[len(before) :])
    return Vocabulary(said, ends)


def _byte_letters() -> dict[str, int]:
    """The letters by which byte-level tokenizers (GPT-2) write bytes: printable ones stand for themselves, the others, in order, for
    those from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


_LETTERS = _byte_letters()


def _bytes_of(token: str | None) -> bytes | None:
    """The bytes that a token is, by its name: "<0xE2>", or byte-level letters; None if it is neither."""
    if not token:
        return None
    if named := _BYTE.fullmatch(token):
        return bytes.fromhex(named[1])
    return bytes(_LETTERS[letter] for letter in token) if all(letter in _LETTERS for letter in token) else None
