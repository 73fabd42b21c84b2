"""The smallest pieces of a text that a chunk may begin or end at: words, and parts of what is too long for a word.

A word is what stands between white space. Scripts written without spaces (Chinese, Japanese, Thai, …) may be cut
between any two letters; a word longer than ``MAX_WORD_CHARACTERS`` (a hash, a base64 blob) is cut into slices, since
an encoder reads it as one unknown token however long it is. A cut never parts a letter from its marks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.protocols import Tokenizer

MAX_WORD_CHARACTERS = 100  # the longest word that BERT's tokenizer looks into
_SLICE_CHARACTERS = 48
# A piece costs at least a token per so many characters, so that text an encoder does not count (unknown letters,
# invisible characters) still fills a chunk. Words of ordinary languages cost what their tokens do.
_CHARACTERS_PER_TOKEN = 16
_BLOCK_CHARACTERS = 200_000  # texts are tokenised by blocks, so that memory does not grow with the document

_WORD = re.compile(r"\S+")
# Ideographs, kana, Thai, Lao, Myanmar, Khmer: written without spaces.
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff"
_SPACELESS_LETTER = re.compile(f"[{_SPACELESS}]")
_ZWJ = "\u200d"
_CLOSING = frozenset("。、，．！？：；）」』】〉》〕］｝…,.!?:;)]}%\"'”’»")
_OPENING = frozenset("（「『【〈《〔［｛([{\"'“‘«")


class Atom(NamedTuple):
    start: int
    end: int
    cost: int  # in tokens


def atoms(text: str, tokenizer: Tokenizer) -> list[Atom]:
    """The atoms of ``text``, in order; together they hold everything that is not white space."""
    found: list[Atom] = []
    for block_start, block in _blocks(text):
        ranges = _ranges(block)
        if ranges:
            found += _costed(np.array(ranges), np.array(tokenizer.spans(block)).reshape(-1, 2), block_start)
    return found


def _ranges(block: str) -> list[tuple[int, int, bool]]:
    """(start, end, whether it is a slice of a word) of each atom."""
    whole = block.isascii() or not _SPACELESS_LETTER.search(block)
    found: list[tuple[int, int, bool]] = []
    for match in _WORD.finditer(block):
        start, end = match.span()
        if whole and end - start <= MAX_WORD_CHARACTERS:
            found.append((start, end, False))
        else:
            found += [(*piece, end - start > MAX_WORD_CHARACTERS) for piece in _pieces(match.group(), start)]
    return found


def _costed(ranges: NDArray[np.int64], tokens: NDArray[np.int64], offset: int) -> list[Atom]:
    """Args: ranges: (n, 3) start, end, sliced. tokens: (m, 2) start, end, both in order of appearance."""
    starts, ends, sliced = ranges.T
    # A token that reaches over a cut counts on both sides: parted, each side has its own.
    count = np.searchsorted(tokens[:, 0], ends, "left") - np.searchsorted(tokens[:, 1], starts, "right")
    size = ends - starts
    # A slice of an unknown word may be many tokens by itself; half its characters is more than enough.
    least = np.where(sliced, (size + 1) // 2, -(-size // _CHARACTERS_PER_TOKEN))
    cost = np.maximum(count, least)
    return list(map(Atom, (starts + offset).tolist(), (ends + offset).tolist(), cost.tolist()))


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    while start < len(text):
        end = min(len(text), start + _BLOCK_CHARACTERS)
        while end < len(text) and not text[end].isspace() and end - start < 10 * _BLOCK_CHARACTERS:
            end += 1
        yield start, text[start:end]
        start = end


def _pieces(word: str, offset: int) -> list[tuple[int, int]]:
    if len(word) <= MAX_WORD_CHARACTERS and not _SPACELESS_LETTER.search(word):
        return [(offset, offset + len(word))]
    cuts = [0]
    for i in range(1, len(word)):
        if joins(word, i):
            continue
        long = len(word) > MAX_WORD_CHARACTERS and i - cuts[-1] >= _SLICE_CHARACTERS
        if long or _may_part(word[i - 1], word[i]):
            cuts.append(i)
    cuts.append(len(word))
    return [(offset + a, offset + b) for a, b in pairwise(cuts)]


def _may_part(left: str, right: str) -> bool:
    if right in _CLOSING or left in _OPENING:
        return False
    return _SPACELESS_LETTER.match(left) is not None or _SPACELESS_LETTER.match(right) is not None


def joins(text: str, i: int) -> bool:
    """Whether the characters on both sides of ``i`` belong to one letter or one emoji."""
    right = text[i]
    return (
        unicodedata.combining(right) != 0
        or unicodedata.category(right) in ("Mn", "Mc", "Me")
        or right in (_ZWJ, "\ufe0f", "\ufe0e")
        or text[i - 1] == _ZWJ
        or "\U0001f3fb" <= right <= "\U0001f3ff"
        or ("\U0001f1e6" <= right <= "\U0001f1ff" and "\U0001f1e6" <= text[i - 1] <= "\U0001f1ff")
    )


def cost_of(found: Sequence[Atom]) -> int:
    return sum(atom.cost for atom in found)
