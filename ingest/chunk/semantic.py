"""Semantic chunks: a new one where the text turns to something else, as an encoder sees it.

The definition (METHODS.md; the comparison of blocks on both sides of a gap is Hearst's TextTiling, 1997, with vectors
of an encoder in place of word counts):

1. Sentences s_1 … s_n, as in ``ingest.chunk.sentence``.
2. At each gap i the similarity sim_i = cos(E(left), E(right)), where left is the window of ``WINDOW_SENTENCES``
   sentences that ends with s_i and right the one that begins with s_{i+1}, each no longer than a chunk may be.
3. The text breaks at gap i where sim_i < the p-th percentile of all sim of the document, and at every heading; never
   within a table or a code block, nor between a heading and what it is over.
4. What is longer than the budget is packed to it, as ``sentence`` would.
5. What has less than a quarter of the budget is joined to its better neighbour if both fit one chunk: the more similar
   one within its section. Only where its section is nothing else, it goes to what follows the heading, or comes before.

Chunks do not overlap: where one ends, the next says something else. It costs about one encoding of each window, so
``WINDOW_SENTENCES`` times the text, beside the encoding of the chunks themselves; vectors are kept for a block of gaps only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from core.errors import InvalidRequest
from core.protocols import Embed, Tokenizer
from core.types import Chunk, Document
from ingest.chunk.atoms import Atom, atoms
from ingest.chunk.build import build_chunks
from ingest.chunk.pack import Boundary, Unit, boundaries, check_budget, pack
from ingest.chunk.sentence import sentence_units
from ingest.parse.document import Heading

KIND = "semantic"
CHUNKER_VERSION = "3"
PERCENTILE = 20.0
WINDOW_SENTENCES = 2
MIN_SHARE = 0.25  # of the budget; a chunk with less looks for a neighbour

_DECIMALS = 4  # of a similarity: what rounding in an encoder makes of equal texts is no break
_BLOCK_GAPS = 512  # gaps whose windows are encoded together; memory does not grow with the document
_SECTION = -math.inf  # similarity across a heading
_TOGETHER = math.inf  # similarity within a table or a code block, and of a heading to what it is over


@dataclass(slots=True)
class _Piece:
    """Units first … last - 1. ``similarity`` is that of the gap before it."""

    first: int
    last: int
    cost: int  # tokens
    similarity: float
    forced: bool  # nothing may be joined across the gap before it


def chunk(
    document: Document,
    headings: Sequence[Heading],
    tokenizer: Tokenizer,
    max_tokens: int,
    overlap_tokens: int,
    embed: Embed | None = None,
    *,
    percentile: float = PERCENTILE,
) -> list[Chunk]:
    """See ``ingest.chunk.fixed.chunk``; the same text, encoder and numbers give the same chunks.

    Args:
        overlap_tokens: only checked, as every chunker does.
        embed: encodes windows of sentences, some hundreds at a time.
        percentile: in (0, 100); how many of all gaps are breaks, in percent.

    Raises:
        InvalidRequest: budget and overlap do not fit, ``percentile`` is none, or ``embed`` is missing.
    """
    check_budget(max_tokens, overlap_tokens)
    if embed is None:
        raise InvalidRequest("semantic chunks need an encoder: pass embed", code="bad-chunker")
    if not 0 < percentile < 100:
        raise InvalidRequest(f"percentile {percentile:g} is out of range: use more than 0 and less than 100")
    text = document.text
    units = boundaries(text, _sentences(text, atoms(text, tokenizer), headings, max_tokens), headings)
    similarities = _similarities(text, units, max_tokens, embed)
    pieces = _join_small(_pieces(units, similarities, max_tokens, percentile), max_tokens)
    ranges = [(units[p.first].start, units[p.last - 1].end) for p in pieces]
    return build_chunks(document, headings, ranges, tokenizer, max_tokens, KIND, CHUNKER_VERSION)


def _sentences(
    text: str, found: Sequence[Atom], headings: Sequence[Heading], max_tokens: int
) -> list[tuple[int, int, int]]:
    """Sentences; the words of one that is over the budget are put together again, as far as the budget goes.

    Else each word would be a gap, and what an encoder thinks of two words says nothing about the subject.
    """
    joined: list[tuple[int, int, int]] = []
    open_word = False  # whether the last of ``joined`` is of words that go on
    starts = {h.start for h in headings}
    at = 0
    for start, end, cost in sentence_units(text, found, headings, max_tokens):
        while found[at].start < start:
            at += 1
        word = found[at].end == end
        if (
            word
            and open_word
            and joined[-1][2] + cost <= max_tokens
            and start not in starts
            and "\n" not in text[joined[-1][1] : start]
        ):
            joined[-1] = (joined[-1][0], end, joined[-1][2] + cost)
        else:
            joined.append((start, end, cost))
        open_word = word
    return joined


def _similarities(text: str, units: Sequence[Unit], max_tokens: int, embed: Embed) -> list[float]:
    """sim[i] of the gap before unit i; sim[0] is that of nothing before."""
    found = [_SECTION] * len(units)
    asked: list[int] = []
    for i in range(1, len(units)):
        inside = units[i].block > 0 and units[i].block == units[i - 1].block
        if units[i].boundary is Boundary.FORCED or (units[i].boundary is Boundary.HEADING and not inside):
            continue
        after_heading = units[i - 1].boundary is Boundary.HEADING and units[i].boundary >= Boundary.LINE
        if inside or after_heading:
            found[i] = _TOGETHER
        else:
            asked.append(i)
    for block in _blocks(asked):
        windows: dict[tuple[int, int], int] = {}  # by their place in the text; most are asked for twice
        pairs = [
            (
                windows.setdefault(_left(units, i, max_tokens), len(windows)),
                windows.setdefault(_right(units, i, max_tokens), len(windows)),
            )
            for i in block
        ]
        vectors = embed([text[a:b] for a, b in windows])  # (n_windows, dim)
        left, right = np.array(pairs, dtype=np.int64).T
        cosines = np.einsum("nd,nd->n", vectors[left], vectors[right], dtype=np.float64)
        for i, cosine in zip(block, cosines.tolist(), strict=True):
            found[i] = round(cosine, _DECIMALS)
    return found


def _blocks(gaps: Sequence[int]) -> Iterator[Sequence[int]]:
    return (gaps[at : at + _BLOCK_GAPS] for at in range(0, len(gaps), _BLOCK_GAPS))


def _left(units: Sequence[Unit], gap: int, max_tokens: int) -> tuple[int, int]:
    """The range of text of the window that ends before ``gap``, within its section."""
    first, cost = gap - 1, units[gap - 1].cost
    while (
        first > 0
        and gap - first < WINDOW_SENTENCES
        and units[first].boundary < Boundary.HEADING
        and cost + units[first - 1].cost <= max_tokens
    ):
        first -= 1
        cost += units[first].cost
    return units[first].start, units[gap - 1].end


def _right(units: Sequence[Unit], gap: int, max_tokens: int) -> tuple[int, int]:
    """The range of text of the window that begins after ``gap``, within its section."""
    last, cost = gap, units[gap].cost
    while (
        last + 1 < len(units)
        and last + 1 - gap < WINDOW_SENTENCES
        and units[last + 1].boundary < Boundary.HEADING
        and cost + units[last + 1].cost <= max_tokens
    ):
        last += 1
        cost += units[last].cost
    return units[gap].start, units[last].end


def _pieces(units: Sequence[Unit], similarities: Sequence[float], max_tokens: int, percentile: float) -> list[_Piece]:
    """Units between breaks; what is over the budget is packed to it."""
    finite = [s for s in similarities if math.isfinite(s)]
    threshold = float(np.percentile(finite, percentile)) if finite else _SECTION
    breaks = [i for i, s in enumerate(similarities) if i == 0 or s == _SECTION or s < threshold]
    pieces: list[_Piece] = []
    for first, last in pairwise([*breaks, len(units)]):
        if sum(u.cost for u in units[first:last]) <= max_tokens:
            cuts = [first]
        else:
            begun = {start for start, _ in pack(units[first:last], max_tokens, 0)}
            cuts = [i for i in range(first, last) if units[i].start in begun]
        for a, b in pairwise([*cuts, last]):
            cost = sum(u.cost for u in units[a:b])
            pieces.append(_Piece(a, b, cost, similarities[a], units[a].boundary is Boundary.FORCED))
    return pieces


def _fits(piece: _Piece, following: _Piece, max_tokens: int) -> bool:
    return piece.cost + following.cost <= max_tokens and not following.forced


def _join_small(pieces: list[_Piece], max_tokens: int) -> list[_Piece]:
    """One pass from the front; a piece that was joined to the next is looked at again as a part of it."""
    least = MIN_SHARE * max_tokens
    kept: list[_Piece] = []
    for i, piece in enumerate(pieces):
        following = pieces[i + 1] if i + 1 < len(pieces) else None
        if piece.cost >= least:
            kept.append(piece)
            continue
        # In its section if that has more than this piece; else wherever there is room.
        alone = piece.similarity == _SECTION and (following is None or following.similarity == _SECTION)
        before = bool(kept) and _fits(kept[-1], piece, max_tokens) and (alone or piece.similarity > _SECTION)
        if (
            following is not None
            and _fits(piece, following, max_tokens)
            and (alone or following.similarity > _SECTION)
            and (not before or following.similarity >= piece.similarity)
        ):
            pieces[i + 1] = _Piece(
                piece.first, following.last, piece.cost + following.cost, piece.similarity, piece.forced
            )
        elif before:
            kept[-1] = _Piece(
                kept[-1].first, piece.last, kept[-1].cost + piece.cost, kept[-1].similarity, kept[-1].forced
            )
        else:
            kept.append(piece)
    return kept
